"""What a child process is that :mod:`.confined` starts: cut off, limited, and heard of by frames.

A frame is a kind, a length, and so many bytes. A child that comes to its end sends a last one that
says so, or the error that ended its work.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import struct
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from ...errors import (
    ChecksumError,
    FormatError,
    SourceNotFoundError,
    UnreadableError,
    UnsupportedError,
    UsageError,
)
from ...quoting import os_reason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import IO, Final

FIRST_SECONDS: Final = 1.0
"""Of the processor, before there is anything to show for it."""
STEP_SECONDS: Final = 0.0003
"""More of them for each message, and for each KiB of one: it takes a third of that."""
MAX_SECONDS: Final = 10
"""Whatever there is to show."""
MAX_GROWTH: Final = 160 << 20
"""Bytes of memory more than the parent has: the largest file that is read takes a third."""
FRAME: Final = struct.Struct("<cQ")
MAX_FRAME: Final = 64 << 20
"""Bytes of a frame: the table of as many chunks as there may be takes ten million."""
MESSAGE: Final = b"m"
FAILED: Final = b"f"
DONE: Final = b"."
ERRORS: Final = {
    kind.__name__: kind
    for kind in (
        ChecksumError, FormatError, SourceNotFoundError, UnreadableError, UnsupportedError,
        UsageError,
    )
}  # fmt: skip
"""The errors of reading, which the parent raises as they were raised here."""
_STEP: Final = 1024
_BUFFER: Final = 4096


def perform(
    work: Callable[[], Iterable[bytes]], writing: int, descriptors: tuple[int, ...]
) -> None:
    """Be the child: do the work, and send what it yields through ``writing``.

    ``descriptors`` are what it needs of the parent's.
    """
    answers = os.fdopen(writing, "wb", _BUFFER)
    limited = False
    try:
        _detach({writing, *descriptors})
        limited = _limit()
        _send(work, answers)
        kind, payload = DONE, b""
    except BaseException as error:  # noqa: BLE001 - raised again by the parent
        kind, payload = FAILED, _dump_error(error, limited=limited)
    answers.write(FRAME.pack(kind, len(payload)) + payload)
    answers.flush()


def _detach(descriptors: set[int]) -> None:
    """Part with what the parent shares: all but these of its open files."""
    # A pipe that stays open here would keep whoever reads it waiting.
    with suppress(FileNotFoundError):  # a system that does not list them
        for name in os.listdir("/dev/fd"):
            if int(name) not in descriptors:
                with suppress(OSError):  # the list itself
                    os.close(int(name))
    # The C library prints what it finds of a broken heap.
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in {0, 1, 2} - {nowhere, *descriptors}:
        os.dup2(nowhere, stream)


def _limit() -> bool:
    """Limit the time and the memory of this process; whether it had more memory before."""
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_CPU, MAX_SECONDS)
    _allow(0)
    try:
        with open("/proc/self/statm", "rb") as file:
            pages = int(file.read().split()[0])
    except FileNotFoundError:  # a system that does not tell, and would not limit it either
        return True
    return _lower(resource.RLIMIT_AS, pages * resource.getpagesize() + MAX_GROWTH)


def _lower(limit: int, wanted: int) -> bool:
    """Set a limit, unless one as low was inherited; whether that was not so."""
    soft, hard = resource.getrlimit(limit)
    if soft != resource.RLIM_INFINITY and soft <= wanted:
        return False
    resource.setrlimit(limit, (wanted, hard))
    return True


def _allow(steps: int) -> None:
    """Allow as much of the processor's time as so many steps may take, from the start on."""
    left = FIRST_SECONDS + steps * STEP_SECONDS - time.process_time()
    signal.setitimer(signal.ITIMER_PROF, max(left, 0.001))


def _send(work: Callable[[], Iterable[bytes]], answers: IO[bytes]) -> None:
    """Send the messages of the work.

    Raises:
        MemoryError: it takes too much.
    """
    before = _peak()
    steps = 0
    for message in work():
        if message:
            answers.write(FRAME.pack(MESSAGE, len(message)) + message)
        # Where memory is not limited, what was taken is seen at least afterwards.
        if _peak() - before > MAX_GROWTH:
            raise MemoryError
        steps += 1 + len(message) // _STEP
        _allow(steps)


def _peak() -> int:
    """Return the most bytes of memory that this process has had."""
    # Linux counts in KiB, macOS in bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _dump_error(error: BaseException, *, limited: bool) -> bytes:
    if isinstance(error, MemoryError):
        kind, text = "MemoryError", f"{MAX_GROWTH:,}"
        if not limited:
            kind, text = "", "not enough memory is left for it"
    elif type(error) in ERRORS.values():
        kind, text = type(error).__name__, str(error)
    elif isinstance(error, OSError):
        kind, text = "", os_reason(error)
    else:
        kind, text = "", f"{type(error).__name__}: {error}"
    return json.dumps([kind, text]).encode("ascii")
