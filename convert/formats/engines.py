"""Other programs that read what a reader of this package declines, or read it a second time.

A reader that finds a file legal but not its own raises DeclinedError; :mod:`.opening` then hands
the file to the engine that the reader's line in READERS names, and the checkpoint's notes say so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from ..errors import UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Final

    from ..checkpoint.raw import RawCheckpoint

EngineName: TypeAlias = Literal["native", "tensorflow"]
"""NATIVE, and the keys of every reader's engines."""
NATIVE: Final = "native"
"""The engine of this package itself, which every reader has."""
TENSORFLOW: Final = "tensorflow"


class DeclinedError(UnsupportedError):
    """Legal in its format and not handled by the native reader; an engine may."""


@dataclass(frozen=True, slots=True)
class Engine:
    """A program that opens what a reader recognises (path, step).

    ``require`` raises UnsupportedError where it is not installed, and says how to install it.
    """

    title: str
    require: Callable[[], None]
    open: Callable[[Path, int | None], RawCheckpoint]
