"""What the HDF5 library is to do with a file, done first in a process that it may bring down.

The library trusts the structures that it follows: a B-tree that is its own child makes it (1.14.6)
recurse until the stack is full, and a damaged heap can keep it busy for ever. No check of ours sees
all of that without being a second library. So a forked child walks the whole tree and looks up
every chunk, within limits of time and memory, and only a file with which it comes to an end is
opened here. An error that it is told is no matter: the same one is raised here, in words.

The child costs some milliseconds. Its memory is that of this process, shared until either writes.
"""

from __future__ import annotations

import os
import signal
import warnings
from typing import TYPE_CHECKING

from ...errors import FormatError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final, NoReturn

MAX_SECONDS: Final = 10
"""Of the processor: for the 40,000 datasets that there may be at most it takes less than two."""
MAX_GROWTH: Final = 200 << 20
"""Bytes of memory: the same 40,000 take some tens of megabytes."""
_GREW: Final = 3
"""The exit code of a child that has taken more."""
_DEADLY: Final = (
    signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGFPE, signal.SIGILL, signal.SIGXCPU,
)  # fmt: skip
_NOT_ITS_OWN: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Signals that a terminal sends to both processes; it is for this one to act upon them."""


def rehearse(act: Callable[[], object], where: str, seconds: int = MAX_SECONDS) -> None:
    """Call ``act`` in a child process, whatever comes of it there, for so long at most.

    Raises:
        FormatError: it has not come to an end there, by itself and within the limits.
    """
    with warnings.catch_warnings():
        # Python 3.12 warns of threads whose locks a child would wait for. h5py hands its own over,
        # and there is no other that reading takes.
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if not pid:
        _perform(act, seconds)
    try:
        _, status = os.waitpid(pid, 0)
    except BaseException:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise
    code = os.waitstatus_to_exitcode(status)
    if code == 0:
        return
    if code == _GREW:
        reason = f"takes more than {MAX_GROWTH:,} bytes to list it"
    elif code == -signal.SIGXCPU:
        reason = f"comes to no end with it within {seconds} seconds"
    else:
        reason = f"crashes on it ({signal.Signals(-code).name if code < 0 else code})"
    raise FormatError(
        f"{where}: the HDF5 library {reason}: the file is damaged, or made to do harm"
    )


def _perform(act: Callable[[], object], seconds: int) -> NoReturn:
    import resource

    try:
        for number in _DEADLY:
            signal.signal(number, signal.SIG_DFL)
        for number in _NOT_ITS_OWN:
            signal.signal(number, signal.SIG_IGN)
        # The C library prints what it finds of a broken heap.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        _, hard = resource.getrlimit(resource.RLIMIT_CPU)
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, hard))
        before = _peak()
        try:
            act()
        finally:
            if _peak() - before > MAX_GROWTH:
                os._exit(_GREW)
    finally:
        os._exit(0)


def _peak() -> int:
    """Return the most bytes of memory that this process has had."""
    import resource
    import sys

    # Linux counts in KiB, macOS in bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
