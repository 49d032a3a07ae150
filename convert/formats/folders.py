"""The names in a folder, and how many of its files are opened to see what they are.

A folder can hold any number of names, and one file under all of them.
"""

from __future__ import annotations

import os
from itertools import islice
from typing import TYPE_CHECKING

from ..errors import UnsupportedError
from .limits import MAX_ENTRIES, MAX_LOOKUPS

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Final

_APPLE_DOUBLE: Final = "._"


def list_names(folder: Path) -> list[str]:
    """Return the names in a folder, sorted, without those of AppleDouble files.

    In these, ``._NAME`` beside ``NAME``, macOS keeps attributes where a file system has no room for
    them (RFC 1740): they are nobody's, whatever they are called.

    Raises:
        UnsupportedError: it is too much.
        OSError: it cannot be listed.
    """
    with os.scandir(folder) as entries:
        names = [entry.name for entry in islice(entries, MAX_ENTRIES + 1)]
    if len(names) > MAX_ENTRIES:
        raise UnsupportedError(
            f"{folder}: more than {MAX_ENTRIES:,} names in this folder; put the checkpoint into "
            "one of its own"
        )
    return sorted(name for name in names if not name.startswith(_APPLE_DOUBLE))


def check_lookups(count: int, folder: Path) -> None:
    """Refuse to open so many files of a folder to see what they are.

    Raises:
        UnsupportedError: they are too many.
    """
    if count > MAX_LOOKUPS:
        raise UnsupportedError(
            f"{folder}: more than {MAX_LOOKUPS:,} files whose names do not say what they are, and "
            "no more are opened to see; name the checkpoint, or put it into a folder of its own"
        )
