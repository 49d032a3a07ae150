"""Work done in a child process, which it may bring down, and which has to tell how it ended.

The HDF5 library trusts the structures that it follows: a B-tree that is its own child makes it
(1.14.6) recurse until the stack is full, a damaged heap can keep it busy for ever, and a list of
links is given as much memory as it says that it needs. No check of ours sees all of that without
being a second library. So a forked child, with little memory and time, does all that the library
has to do with a file, and sends what comes of it; here the library never sees the file. That goes
for a target, too, though this process has just written it: with next to no memory left the library
crashes on a sound file as well.

What is sent are frames: a kind, a length, and so many bytes. Only the frame that says so ends the
work. Whatever else ends the child, be it with exit code 0, by a library's own ``exit`` or before it
has begun, is an error here, and so is a child that there cannot be.

The child costs some milliseconds. Its memory is that of this process, shared until either writes.
Its limits hold before the library sees a file, though not before it is loaded: here it is loaded
once, while each child would take 60 ms for it, and a child that was forked while another thread of
the caller imports it would wait for that thread's lock for ever.
"""

from __future__ import annotations

import json
import os
import signal
from functools import partial
from typing import TYPE_CHECKING

from ...errors import FormatError, Gpt2ConvertError, UnreadableError
from ...io.fork import CRASHES, Fork
from ...quoting import clip, os_reason
from .child import ERRORS, FAILED, FRAME, MAX_FRAME, MESSAGE, perform

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator
    from typing import IO, Final

_HARM: Final = "the file is damaged, or made to do harm"


def confine(
    work: Callable[[], Iterable[bytes]], where: str, descriptors: tuple[int, ...] = ()
) -> Generator[bytes]:
    """Do ``work`` in a child process and yield what it yields there; an empty message is dropped.

    ``where`` names the file in errors; ``descriptors`` are what the child needs of those that are
    open here. What was yielded counts only once the iteration has ended without an error.

    Raises:
        FormatError: the work crashes, takes too much time or memory.
        UnreadableError: there can be no child, or not within the limits of this process, or
            something else ended it.
        Gpt2ConvertError: the work raised it.
    """
    child = _Child()
    try:
        try:
            child.start(work, descriptors)
        except OSError as error:
            raise UnreadableError(
                f"{where}: no process can be started for the HDF5 library: {os_reason(error)}"
            ) from None
        for kind, payload in child.frames():
            if kind == MESSAGE:
                yield payload
            elif kind == FAILED:
                raise _load_error(payload, where)
            else:
                return
        raise _explain(child.end(), where)
    finally:
        child.end()


class _Child:
    """The process, from its start to its end."""

    def __init__(self) -> None:
        self._fork = Fork()
        self._answers: IO[bytes] | None = None

    def start(self, work: Callable[[], Iterable[bytes]], descriptors: tuple[int, ...]) -> None:
        """Fork; the child never returns from here.

        Raises:
            OSError: no process or no pipe is to be had.
        """
        reading, writing = os.pipe()
        self._answers = os.fdopen(reading, "rb")
        try:
            # h5py hands its own locks over, and what the child imports was imported here.
            self._fork.start(partial(perform, work, writing, descriptors))
        finally:
            os.close(writing)

    def frames(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield what the child sends, until it ends."""
        assert self._answers is not None  # noqa: S101 - it was started
        while len(head := self._answers.read(FRAME.size)) == FRAME.size:
            kind, size = FRAME.unpack(head)
            if size > MAX_FRAME:
                return
            payload = self._answers.read(size)
            if len(payload) < size:
                return
            yield kind, payload

    def end(self) -> int | None:
        """End the child, if it has not; return its exit code, None where nobody can tell."""
        if self._answers is not None:
            self._answers.close()
        return self._fork.end()


def _explain(code: int | None, where: str) -> Gpt2ConvertError:
    """Return the error of a child that ended without having said how."""
    if code == -signal.SIGPROF:
        return FormatError(
            f"{where}: the HDF5 library comes to no end with it in the time that it should take: "
            f"{_HARM}"
        )
    if code is not None and -code in CRASHES:
        name = signal.Signals(-code).name
        return FormatError(f"{where}: the HDF5 library crashes on it ({name}): {_HARM}")
    if code is None:
        fate = "ended, and something else was told how"
    elif code == -signal.SIGXCPU:
        fate = "took all of the processor's time that it may have"
    elif code < 0:
        name = signal.strsignal(-code) or "a signal"
        fate = f"was ended ({name.lower()}), by a limit, for want of memory, or by somebody"
    else:
        fate = f"ended itself, with exit code {code}, in the middle of its work"
    return UnreadableError(f"{where}: the process for the HDF5 library {fate}")


def _load_error(payload: bytes, where: str) -> Gpt2ConvertError:
    kind, text = json.loads(payload)
    if kind in ERRORS:
        return ERRORS[kind](text)
    if kind:
        return FormatError(
            f"{where}: the HDF5 library wants more than {text} bytes to list it: {_HARM}"
        )
    reason = clip(" ".join(text.split()))
    return UnreadableError(f"{where}: the process for the HDF5 library failed: {reason}")
