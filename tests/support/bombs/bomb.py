"""One checkpoint that would cost far more than its bytes, and what is said of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Write = Callable[[Path], object]
    """Fills an empty folder with the files of a bomb."""

NO_MODEL = "not a GPT-2 checkpoint"
TOO_MANY = "statistics of at most 5,000 are"
"""Why a list has no statistics."""
LISTINGS = ("inspect", "json", "stats")


@dataclass(frozen=True)
class Bomb:
    """``write`` makes the files, ``source`` is the one of them to pass (or the folder, if empty).

    ``says`` is a regular expression for what is said of it, by every command or by those in
    ``only``. Where it is ``listed``, inspect shows it all the same; ``stats`` is why there are no
    statistics, if there are none. ``target`` is what it is compared with, if not with itself.
    """

    write: Write
    source: str = ""
    says: str = ""
    listed: bool = False
    stats: str = ""
    only: tuple[str, ...] = ()
    target: str | None = None

    def refusal(self, command: str) -> str:
        """Return what ``command`` says; nothing where it does its work."""
        if command == "stats" and self.stats:
            return self.stats
        if self.listed and command in LISTINGS:
            return ""
        return self.says if not self.only or command in self.only else ""
