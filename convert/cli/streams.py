"""Standard output and standard error, in whatever state they arrive.

Either may be closed, full, a pipe that is no longer read, or unable to encode a name. Names and
paths come from files, so whatever of them is printed is escaped first.
"""

from __future__ import annotations

import os
import sys
import unicodedata
from contextlib import suppress
from typing import TYPE_CHECKING

from ..quoting import make_printable

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final, TextIO

PROGRAM: Final = "gpt2-convert"
COMPLETE: Final = "_GPT2_CONVERT_COMPLETE"
"""The environment variable through which a shell asks how a command line may go on."""
_BIDIRECTIONAL: Final = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
"""Characters that have a terminal show what follows in another order."""
JSON_OPTION: Final = "--json"
"""What asks for one document on stdout, whatever happens."""


def open_standard_streams() -> None:
    """Open what arrived closed, so that no checkpoint gets the number of stdout or stderr.

    Whatever is printed would end in it. They are opened the wrong way round, so that using them
    fails as it would on a closed one (as stdopen in GNU coreutils does).
    """
    for fd, flags in ((0, os.O_WRONLY), (1, os.O_RDONLY), (2, os.O_RDONLY)):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, flags)
    if sys.stdout is None:
        sys.stdout = open(1, "w", encoding="ascii", closefd=False)  # noqa: SIM115 - lives on
    if sys.stderr is None:
        sys.stderr = open(2, "w", encoding="ascii", closefd=False)  # noqa: SIM115 - lives on


def ask_for_json(arguments: list[str]) -> bool:
    """Whether a command line that is not parsed, or cannot be, asks for JSON."""
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    return JSON_OPTION in options


def in_foreground(stream: TextIO) -> bool:
    """Whether ``stream`` is a terminal, and this program is not in the background of it."""
    if not stream.isatty():
        return False
    try:
        return os.tcgetpgrp(stream.fileno()) == os.getpgrp()
    except OSError:
        return True  # a terminal, but not the one that controls this program


def escape(text: str, stream: TextIO) -> str:
    r"""Return ``text`` with what could move a cursor, hide or not be encoded as \x, \u or \n."""
    text = make_printable(text)
    encoding = stream.encoding or "ascii"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def write_at_once(text: str) -> None:
    """Write a piece of a text that is still in the making to stdout.

    A pipe gets it as it is. On a terminal newlines and tabs are text, too, and other control
    characters are not: a model may say anything.
    """
    if sys.stdout.isatty():
        text = "".join(char if _is_text(char) else escape(char, sys.stdout) for char in text)
    encoding = sys.stdout.encoding or "ascii"
    sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))
    sys.stdout.flush()


def _is_text(char: str) -> bool:
    """Whether a terminal shows a character where the cursor is, and does nothing else."""
    return char in "\n\t" or not (unicodedata.category(char) == "Cc" or char in _BIDIRECTIONAL)


def print_error(message: str) -> None:
    """Print one line on stderr, whatever the message holds; if that fails, nobody can be told."""
    with suppress(OSError):
        sys.stderr.write(f"{PROGRAM}: {escape(message, sys.stderr)}\n")
        sys.stderr.flush()


def print_result(code: int, write: Callable[[], object], done: str = "") -> int:
    """Let ``write`` fill stdout, and return the exit code: ``code`` unless it cannot be written.

    ``done`` is what to add in that case, of what was done all the same.

    A reader that closes the pipe early, as head does, has seen enough; how the job went does not
    change by that.
    """
    from ..quoting import os_reason
    from .exit_codes import COULD_NOT

    try:
        write()
        sys.stdout.flush()
    except BrokenPipeError:
        return code
    except OSError as error:
        print_error(f"the result could not be printed: {os_reason(error)}{done}")
        return COULD_NOT
    return code
