"""The places that a job works on, so that no file beside its target takes one of them.

In a module of its own, because every command has them, and few write such files.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Final

STDOUT: Final = "-"
_STDOUT_NAMES: Final = ("/dev/stdout", "/dev/fd/1", "/proc/self/fd/1")


@dataclass(frozen=True, slots=True)
class Places:
    """What a job works on: ``paths`` are all that it was given, ``target`` the one that it makes.

    A path may be the prefix of several files, or of none yet.
    """

    paths: tuple[str, ...] = ()
    target: str | None = None


def name_place(path: str) -> str:
    """Return what is the same for all names of one place: STDOUT, or the file's own path."""
    return STDOUT if path == STDOUT or path in _STDOUT_NAMES else os.path.realpath(path)
