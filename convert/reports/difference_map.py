"""Where in a tensor its differences lie: counts in a coarse grid, of a size that never grows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Final

    from .summary import Json

ROWS: Final = 16
COLUMNS: Final = 64


@dataclass(frozen=True, slots=True)
class DifferenceMap:
    """How many elements differ in each cell of a grid over a tensor, row by row in ``counts``.

    The columns divide its last axis, the rows all others together, in C order; see measure_grid.
    An element at ``i`` of ``n`` lies in the part ``i * parts // n``.
    """

    leading: int
    last: int
    rows: int
    columns: int
    counts: tuple[int, ...]

    def as_json(self) -> Json:
        """Return it as it stands in a report, the counts as a list a row."""
        starts = range(0, self.rows * self.columns, self.columns)
        return {
            "rows": self.rows,
            "columns": self.columns,
            "counts": [list(self.counts[start : start + self.columns]) for start in starts],
        }

    def row_span(self, row: int) -> tuple[int, int]:
        """Return the first and the last index that a row stands for."""
        return _span(row, self.rows, self.leading)

    def column_span(self, column: int) -> tuple[int, int]:
        """Return the first and the last index that a column stands for."""
        return _span(column, self.columns, self.last)


def measure_grid(shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Return the size of all axes but the last, of the last one, and the rows and columns."""
    last = shape[-1] if shape else 1
    leading = 1
    for size in shape[:-1]:
        leading *= size
    return leading, last, min(leading, ROWS), min(last, COLUMNS)


def _span(part: int, parts: int, size: int) -> tuple[int, int]:
    return -(-part * size // parts), -(-(part + 1) * size // parts) - 1
