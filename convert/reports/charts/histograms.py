"""A histogram of a tensor as the outline of its bars, and in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Final

    from ...tensors.stats import TensorStats

WIDTH: Final = 96
HEIGHT: Final = 24
_LEAST: Final = 1.0
"""Height of a bar that is not empty, so that a single outlier is seen."""


@dataclass(frozen=True, slots=True)
class Outline:
    """The path of a tensor's bars, and in ``summary`` where most of its elements are."""

    path: str
    summary: str


def draw_histogram(stats: TensorStats) -> Outline | None:
    """Return the histogram of a tensor; None where no element is finite."""
    low, high, counts = stats.min, stats.max, stats.histogram
    if not counts or low is None or high is None:
        return None
    if low == high:
        return Outline(outline_histogram(counts), f"all elements are {low:.4g}")
    number = counts.index(max(counts))
    # Parts of each: the distance between the largest numbers would be infinite.
    start, end = (
        low * (1 - part / len(counts)) + high * (part / len(counts))
        for part in (number, number + 1)
    )
    share = counts[number] / sum(counts)
    summary = f"the fullest of {len(counts)} bars, from {start:.3g} to {end:.3g}, has {share:.0%}"
    return Outline(outline_histogram(counts), summary)


def outline_histogram(counts: Sequence[int]) -> str:
    """Return the path of bars side by side, the fullest as high as the box; empty of no counts."""
    most = max(counts, default=0)
    if not most:
        return ""
    step = WIDTH / len(counts)
    path = f"M0 {HEIGHT}"
    for number, count in enumerate(counts, 1):
        height = max(HEIGHT * count / most, _LEAST) if count else 0
        path += f"V{HEIGHT - height:.4g}H{number * step:.4g}"
    return f"{path}V{HEIGHT}Z"
