"""The permissions that a new file or folder takes over from the one that it replaces."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Final

_OF_FOLDERS: Final = stat.S_ISGID | stat.S_ISVTX
"""Bits that in a folder say who owns what is put there, and who may remove it."""


def keep_permissions(fd: int, older: os.stat_result) -> None:
    """Give what is open as ``fd`` the owner, group and permissions of what ``older`` describes.

    Who may not give away files stays the owner. What the group was allowed is allowed to no other:
    where the group cannot be kept, it is allowed nothing.

    Raises:
        OSError: the permissions cannot be set.
    """
    newer = os.fstat(fd)
    kept, needed = 0o777, 0
    if stat.S_ISDIR(newer.st_mode):
        kept |= _OF_FOLDERS
        needed = stat.S_IRWXU  # or its owner could not move it to its place
    mode = older.st_mode & kept | needed
    if not (_give(fd, older.st_uid, older.st_gid) or _give(fd, -1, older.st_gid)):
        mode &= ~stat.S_IRWXG
    if os.fstat(fd).st_mode & kept != mode:
        os.fchmod(fd, mode)


def _give(fd: int, owner: int, group: int) -> bool:
    """Set owner and group, -1 for as it is; whether they are so now."""
    status = os.fstat(fd)
    if owner in (-1, status.st_uid) and group == status.st_gid:
        return True
    try:
        os.fchown(fd, owner, group)
    except OSError:
        return False
    return True
