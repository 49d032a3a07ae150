"""Threads that are ended by what may end them anywhere, and callers that must not wait for them."""

from __future__ import annotations

import errno
import faulthandler
import linecache
import sys
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import gpt2_convert
from gpt2_convert.errors import ChecksumError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType
    from typing import Any

T = TypeVar("T")
PATIENCE = 60
"""Seconds after which a caller that should have gone on is taken to hang."""
_PACKAGE = str(Path(gpt2_convert.__file__).parent)


class Unheard(BaseException):
    """What no clause but one for everything catches."""


ENDS: dict[str, Callable[[], BaseException]] = {
    "no space": lambda: OSError(errno.ENOSPC, "No space left on device"),
    "no memory": MemoryError,
    "a closed file": lambda: ValueError("write to closed file"),
    "too deep": lambda: RecursionError("maximum recursion depth exceeded"),
    "damage": lambda: ChecksumError("x: damaged"),
    "Ctrl-C": KeyboardInterrupt,
    "exit": lambda: SystemExit(1),
    "no Exception": lambda: Unheard("of no kind"),
}
"""What may end a thread."""


def promptly(act: Callable[[], T]) -> T:
    """Return what ``act`` returns, or raise what it raises; fail if it does neither."""
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(act())
        except BaseException as error:  # noqa: BLE001 - raised again below
            errors.append(error)

    thread = threading.Thread(target=run, name="caller", daemon=True)
    thread.start()
    thread.join(PATIENCE)
    if thread.is_alive():
        faulthandler.dump_traceback(sys.__stderr__ or 2)
        raise AssertionError("it hangs")
    for error in errors:
        raise error
    return results[0]


def threads_of(before: set[threading.Thread]) -> list[str]:
    """Return the names of threads that are there and were not ``before``, given time to end."""
    new = set(threading.enumerate()) - before
    for thread in new:
        thread.join(PATIENCE)
    return [thread.name for thread in new if thread.is_alive()]


def _is_with(frame: FrameType) -> bool:
    line = linecache.getline(frame.f_code.co_filename, frame.f_lineno)
    return line.lstrip().startswith("with ")


@dataclass
class Ending:
    """Where a thread was ended; nowhere if it had done its work before."""

    place: str | None = None


@contextmanager
def ended(name: str, line: int, error: BaseException) -> Iterator[Ending]:
    """Have ``error`` raised in the first new thread of that name when it comes to its n-th line.

    Lines of this package are counted, and not those of others that it calls, nor those that leave
    a lock or a file: only a debugger stops before what they are there for.
    """
    ending = Ending()
    counts: dict[int, int] = {}

    def trace(frame: FrameType, event: str, arg: object) -> Any:  # noqa: ANN401
        if not threading.current_thread().name.startswith(name) or ending.place:
            return None
        return count if frame.f_code.co_filename.startswith(_PACKAGE) else None

    def count(frame: FrameType, event: str, arg: object) -> Any:  # noqa: ANN401
        if event == "line" and not ending.place and not _is_with(frame):
            number = threading.get_ident()
            counts[number] = counts.get(number, 0) + 1
            if counts[number] == line:
                ending.place = f"{frame.f_code.co_filename}:{frame.f_lineno}"
                raise error
        return count

    threading.settrace(trace)
    try:
        yield ending
    finally:
        threading.settrace(None)
