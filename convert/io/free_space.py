"""Is there room? Asked before the first byte is written."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ..errors import TargetError

if TYPE_CHECKING:
    from pathlib import Path


def check_free_space(folder: Path, nbytes: int, target: str) -> None:
    """Refuse to write ``nbytes`` into ``folder`` where its file system has less; else it is silent.

    Some file systems do not tell, and quotas are not asked for: a full disk is found by writing,
    too, and leaves as little behind. ``target`` is said in the error.

    Raises:
        TargetError: there is too little room.
        OSError: the operating system will not tell.
    """
    told = os.statvfs(folder)
    if not told.f_blocks:
        return
    blocks = told.f_bavail if os.geteuid() else told.f_bfree
    free = blocks * (told.f_frsize or told.f_bsize)
    if nbytes > free:
        raise TargetError(
            f"{target}: cannot be written: {nbytes:,} bytes are needed, and the file system has "
            f"{free:,} free; make room, or name a target on another one"
        )
