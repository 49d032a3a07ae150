"""Renames: plain ones, ones that replace nothing, and ones of two things for each other.

The last two are not in Python's os. Linux has both in renameat2 since 3.15, macOS in renameatx_np
since 10.12, and each file system decides which of them it offers.
"""

from __future__ import annotations

import errno
import os
import sys
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from typing import Final

_CALL: Final = {"linux": ("renameat2", 1, 2), "darwin": ("renameatx_np", 4, 2)}
"""The function, and its flags for a rename that replaces nothing and for an exchange."""


class Entry(NamedTuple):
    """A name in a folder, which is open as ``folder``."""

    folder: int
    name: str


def rename(old: Entry, new: Entry) -> None:
    """Rename ``old``; a file replaces a file, and a folder an empty folder.

    Raises:
        OSError: the operating system refuses.
    """
    os.rename(old.name, new.name, src_dir_fd=old.folder, dst_dir_fd=new.folder)


def rename_new(old: Entry, new: Entry) -> bool:
    """Rename ``old`` if nothing has the name ``new``; False where the system offers no such thing.

    Raises:
        FileExistsError: something has that name.
    """
    number = _rename(old, new, 0)
    if number == errno.EEXIST:
        raise FileExistsError(number, os.strerror(number))
    return number == 0


def exchange(first: Entry, second: Entry) -> bool:
    """Exchange two files or folders in one step; False where that cannot be done."""
    return _rename(first, second, 1) == 0


def _rename(old: Entry, new: Entry, which: int) -> int:
    """Return 0, or the system's number of why not."""
    if sys.platform not in _CALL:
        return errno.ENOSYS
    import ctypes

    name, *flags = _CALL[sys.platform]
    function = getattr(ctypes.CDLL(None, use_errno=True), name, None)
    if function is None:
        return errno.ENOSYS
    result: int = function(
        old.folder, os.fsencode(old.name), new.folder, os.fsencode(new.name), flags[which]
    )
    return ctypes.get_errno() if result else 0
