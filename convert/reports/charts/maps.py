"""A picture of where in a tensor the differences lie."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Final

    from ..difference_map import DifferenceMap

STEPS: Final = (0.0, 0.05, 0.5, 1.0)
"""The least share of differing elements of each level above 0, which is where nothing differs."""
FULLEST: Final = 3
"""Cells that are named, those with most differences first."""


@dataclass(frozen=True, slots=True)
class Run:
    """Cells of one row beside each other that are equally dark."""

    row: int
    column: int
    width: int
    level: int


@dataclass(frozen=True, slots=True)
class Picture:
    """The dark cells of a grid of ``rows`` and ``columns``, and in ``summary`` what it shows.

    ``fullest`` are rows of a table: where, how many differ, of how many.
    """

    tensor: str
    rows: int
    columns: int
    last_row: int
    last_column: int
    runs: tuple[Run, ...]
    summary: str
    fullest: tuple[tuple[str, str, str], ...]


def draw_map(tensor: str, found: DifferenceMap) -> Picture:
    """Return the picture of a tensor's differences."""
    runs: list[Run] = []
    for row in range(found.rows):
        levels = [_grade(found, row, column) for column in range(found.columns)]
        column = 0
        for level, group in groupby(levels):
            width = len([*group])
            if level:
                runs.append(Run(row, column, width, level))
            column += width
    return Picture(
        tensor=tensor,
        rows=found.rows,
        columns=found.columns,
        last_row=found.leading - 1,
        last_column=found.last - 1,
        runs=tuple(runs),
        summary=_summarise(found),
        fullest=tuple(_list_fullest(found)),
    )


def _grade(found: DifferenceMap, row: int, column: int) -> int:
    """Return how dark a cell is: 0 where nothing differs, the last level where everything does."""
    count = found.counts[row * found.columns + column]
    share = count / _size(found, row, column)
    return sum(share >= step for step in STEPS) if count else 0


def _size(found: DifferenceMap, row: int, column: int) -> int:
    (top, bottom), (left, right) = found.row_span(row), found.column_span(column)
    return (bottom - top + 1) * (right - left + 1)


def _summarise(found: DifferenceMap) -> str:
    cells = [divmod(number, found.columns) for number, count in enumerate(found.counts) if count]
    if not cells:
        return "no element differs"
    rows = [row for row, _ in cells]
    columns = [column for _, column in cells]
    top, bottom = found.row_span(min(rows))[0], found.row_span(max(rows))[1]
    left, right = found.column_span(min(columns))[0], found.column_span(max(columns))[1]
    where = f"{_name_span(left, right)} of the last axis"
    if found.leading > 1:
        where = f"rows {_name_span(top, bottom)}, {where}"
    return f"{len(cells):,} of {len(found.counts):,} cells have differences: within {where}"


def _list_fullest(found: DifferenceMap) -> Iterator[tuple[str, str, str]]:
    ranked = sorted(range(len(found.counts)), key=lambda number: -found.counts[number])
    for number in ranked[:FULLEST]:
        row, column = divmod(number, found.columns)
        if count := found.counts[number]:
            where = _name_span(*found.column_span(column))
            if found.leading > 1:
                where = f"{_name_span(*found.row_span(row))}; {where}"
            yield where, f"{count:,}", f"{_size(found, row, column):,}"


def _name_span(first: int, last: int) -> str:
    return f"{first:,}" if first == last else f"{first:,} to {last:,}"
