"""What a file says, as a message may repeat it: quoted, on one line and never long.

A container may hold names of megabytes, and a message has to stay one that a person can read.
"""

from __future__ import annotations

import errno
from itertools import groupby
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Final

_MOST: Final = 200
"""Characters: more than the names of TensorFlow's object graphs have as a rule."""
_LIMITS: Final = {errno.EMFILE: "ulimit -n", errno.EFBIG: "ulimit -f, or the file system"}


def quote(name: str | bytes) -> str:
    """Return the name of a tensor, member, key or file in quotes, cut where it is long."""
    return clip(repr(name[:_MOST]))


def clip(text: str) -> str:
    """Return ``text``, cut where it is long; for what others say that may repeat a name."""
    return text if len(text) <= _MOST else f"{text[: _MOST - 3]}..."


def make_printable(text: str) -> str:
    r"""Return ``text`` with what could move a cursor, hide or turn what follows as \x, \u or \n."""
    if text.isprintable():
        return text
    # Whole runs at a time: a checkpoint may have megabytes of names.
    runs = ((safe, "".join(run)) for safe, run in groupby(text, str.isprintable))
    return "".join(
        run if safe else run.encode("unicode_escape").decode("ascii") for safe, run in runs
    )


def quote_some(names: Sequence[str]) -> str:
    """Return names in quotes with commas, as many as stay readable in a line, at least one."""
    listed: list[str] = []
    room = _MOST
    for name in names:
        text = quote(name)
        room -= len(text)
        if listed and room < 0:
            return f"{', '.join(listed)}, ..."
        listed.append(text)
    return ", ".join(listed)


def os_reason(error: OSError) -> str:
    """Return what the operating system says, without Python's number and path.

    Of a limit of the shell's, its name is added.
    """
    reason = (error.strerror or str(error)).lower()
    return f"{reason} ({_LIMITS[error.errno]})" if error.errno in _LIMITS else reason
