"""A report as a page: a verdict, facts and tables, which each format then writes in its own way.

Nothing here is escaped: the cells may hold anything that a file says, and whoever writes them knows
what his reader would take for more than text.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


class Mood(StrEnum):
    """What a line means for the reader."""

    GOOD = "good"
    BAD = "bad"
    WARNING = "warning"
    PLAIN = "plain"


@dataclass(frozen=True, slots=True)
class Fact:
    """A line: what it is of, and what it says."""

    label: str
    text: str
    mood: Mood = Mood.PLAIN


@dataclass(frozen=True, slots=True)
class Column:
    """The head of a column; it holds ``names`` as files have them, or ``numbers``, or words."""

    title: str
    names: bool = False
    numbers: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under a title; ``folded`` where a reader has to ask for them."""

    title: str
    columns: tuple[Column, ...]
    rows: Sequence[tuple[str, ...]]
    folded: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """What is said of a job: ``verdict`` is one word of that ``mood``, and ``title`` of what."""

    title: str
    verdict: str
    mood: Mood
    facts: tuple[Fact, ...]
    tables: tuple[Table, ...]
