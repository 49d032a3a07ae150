"""What is said when nothing else can be: where memory is gone, or a library ends the process.

OpenBLAS calls exit(1) where it gets no memory, and other libraries have such habits, too. Here exit
code 1 means that two models differ, so nobody but this program may end with it. C's exit calls what
was registered for it, and this program itself never gets there, as it ends with _exit. So whatever
is called then ends the process as a failure.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import gpt2_convert

from .exit_codes import COULD_NOT

if TYPE_CHECKING:
    from typing import Any, Final


NO_MEMORY: Final = (
    "MemoryError",
    "not enough memory even to say what for; free some, or allow more (ulimit -v 262144)",
)
ENDED: Final = (
    "InternalError",
    (
        "a library has ended the program, perhaps for lack of memory; "
        "free some, or report it with what the library has printed"
    ),
)
"""Errors as their documents have them, plain ASCII without quotes: the type, the message."""
_DOCUMENT: Final = """\
{
  "kind": "error",
  "ok": false,
  "tool": "gpt2-convert",
  "version": "%s",
  "duration": %.3f,
  "findings": [],
  "error": {
    "type": "%s",
    "message": "%s",
    "problems": [],
    "option": null,
    "value": null
  }
}
"""
_process: int | None = None
"""The number of this process, if it is the program's own."""
_owes_document = False
_started = 0.0
_kept: Final[list[Any]] = []
"""What C calls, and nothing in Python refers to."""


def take_charge(as_json: bool) -> None:
    """Take note that this process is the program's own, and whether a document was asked for."""
    global _process, _owes_document, _started
    _process, _owes_document, _started = os.getpid(), as_json, time.monotonic()


def find_start() -> float:
    """Return when the program began, on the clock of time.monotonic."""
    return _started


def has_its_document() -> bool:
    """Whether all that stdout should hold is there."""
    return _process is not None and not _owes_document


def note_document() -> None:
    """Take note that a document was printed: there is to be one."""
    global _owes_document
    _owes_document = False


def release_memory(error: BaseException) -> None:
    """Let go of all that is kept alive by ``error``, if it is for lack of memory."""
    if isinstance(error, MemoryError):
        error.__traceback__ = error.__context__ = error.__cause__ = None


def say_last_words(words: tuple[str, str]) -> int:
    """Write the line of an error and the document that is owed, and return the exit code."""
    with suppress(OSError):  # then nobody can be told
        if _owes_document:
            told = (gpt2_convert.__version__, time.monotonic() - _started, *words)
            os.write(1, (_DOCUMENT % told).encode("ascii"))
    with suppress(OSError):
        os.write(2, f"gpt2-convert: {words[1]}\n".encode("ascii"))
    return COULD_NOT


def outlive_exits() -> None:
    """Have C's exit end this process with COULD_NOT and a line, whoever calls it.

    A partial target is removed as after any error. A child process that a library has forked only
    gets the exit code. Nothing happens in a process that is not the program's own.
    """
    if _process is None or _kept:
        return
    import ctypes

    from ..io.unfinished import clear_unfinished

    libc = ctypes.CDLL(None)
    # What C++ compilers call for the same purpose; atexit itself is no function of glibc's library.
    register = getattr(libc, "__cxa_atexit", None)
    if register is None:
        return

    def end(_: object) -> None:
        if os.getpid() == _process:
            clear_unfinished()
            say_last_words(ENDED)

    register.argtypes = [ctypes.c_void_p] * 3
    call = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(end)
    _kept.append(call)
    # The last that is registered is called first. Whatever comes of it, the first is _exit itself.
    register(ctypes.cast(libc._exit, ctypes.c_void_p), COULD_NOT, None)
    register(ctypes.cast(call, ctypes.c_void_p), None, None)
