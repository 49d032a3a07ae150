"""A histogram of a tensor as the outline of its bars."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Final

WIDTH: Final = 96
HEIGHT: Final = 24
_LEAST: Final = 1.0
"""Height of a bar that is not empty, so that a single outlier is seen."""


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
