"""A histogram as one row of ASCII characters, darker where there are more elements."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Final

LEVELS: Final = " .:-=+*#%@"
"""From nothing at all to the fullest bin."""


def draw_histogram(counts: Sequence[int]) -> str:
    """Return a character a bin, in proportion to the fullest one.

    A blank is an empty bin and nothing else, so that a single outlier is seen.
    """
    most = max(counts, default=0)
    steps = len(LEVELS) - 1
    # Rounded up: one element of a million is a step already.
    return "".join(LEVELS[-(-count * steps // most)] if count else LEVELS[0] for count in counts)
