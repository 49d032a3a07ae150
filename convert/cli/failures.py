"""What is said of an error that ends a job: a line, a document if one was asked for, a code."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ..errors import Gpt2ConvertError
from ..quoting import clip, os_reason
from ..reports.outcome import TOOL, Failure, describe_error
from .documents import print_error_document
from .exit_codes import COULD_NOT
from .limits import find_memory_limit
from .printer import spell_flag
from .streams import print_error

if TYPE_CHECKING:
    from typing import Final

TRACEBACK: Final = "GPT2_CONVERT_TRACEBACK"
"""The environment variable that shows where an unexpected error came from."""
_NO_THREAD: Final = "can't start new thread"
"""In the words of Python, which has no class for it."""
_NOT_MAPPED: Final = ("failed to map segment", "cannot allocate memory", "out of memory")
"""In the words of dynamic linkers."""


def report_failure(error: BaseException, as_json: bool, where: str) -> int:
    """Print what ``error`` says, and return the exit code.

    ``where`` is what the operating system speaks of where it does not name a file.
    """
    return print_failure(describe_failure(error, where), as_json)


def print_failure(
    failure: Failure, as_json: bool, command: str = TOOL, seconds: float | None = None
) -> int:
    """Print the line of a failure, after its document if that was asked for; return the code.

    ``command`` and ``seconds`` are those of the job, if it came so far.
    """
    if as_json:
        print_error_document(failure, command, seconds)
    print_error(failure.message)
    return COULD_NOT


def describe_failure(error: BaseException, where: str) -> Failure:
    """Put an error into words; ``where`` is as in :func:`report_failure`."""
    if isinstance(error, Gpt2ConvertError):
        return describe_error(error, spell_flag)
    kind, message = _describe(error, where)
    return Failure(kind, "; ".join((message, *getattr(error, "__notes__", ()))))


def _describe(error: BaseException, where: str) -> tuple[str, str]:
    text = " ".join(str(error).split())
    if isinstance(error, MemoryError):
        return "MemoryError", _describe_lack_of_memory()
    if isinstance(error, ImportError):
        if any(words in text.lower() for words in _NOT_MAPPED):
            return "MemoryError", _describe_lack_of_memory()
        what = f"{error.name} cannot be imported" if error.name else "an import failed"
        return "ImportError", f"{what}: {clip(text)}; install gpt2-convert again"
    if isinstance(error, RuntimeError) and _NO_THREAD in text:
        return "ThreadError", (
            "no thread can be started: allow more processes (ulimit -u) or more memory "
            "(ulimit -v), or end other programs"
        )
    if isinstance(error, OSError):
        return "OSError", f"{error.filename or where}: {os_reason(error)}"
    if os.environ.get(TRACEBACK):
        import traceback

        traceback.print_exception(error)
    return "InternalError", (
        f"internal error: {type(error).__name__}: {error}; "
        f"please report it with the output of {TRACEBACK}=1"
    )


def _describe_lack_of_memory() -> str:
    limit = find_memory_limit()
    if limit is None:
        return "not enough memory: about 100 MB have to be free; end other programs"
    nbytes, what, command = limit
    return (
        f"not enough memory: {nbytes:,} bytes of {what} are allowed; raise the limit "
        f"({command}), of which a safetensors target takes its whole size"
    )
