"""How many numbers lie in each of a few bins, counted while they stream by."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any, Final

    import numpy.typing as npt

    Array = npt.NDArray[Any]

BINS: Final = 32
"""Bins of the histogram; as many characters in a terminal."""


class Histogram:
    """Counts of numbers from 0 to BINS in BINS bins, and one for BINS itself, which is no bin.

    Two neighbours are counted at once, as one number of two bytes: that halves the steps, and few
    of them wait for the count that the step before has just changed.
    """

    __slots__ = ("_bins", "_indices", "_odd", "_pairs")

    def __init__(self, most: int) -> None:
        """Take no more than ``most`` numbers at a time."""
        import numpy as np

        self._bins = np.empty(most, np.uint8)
        self._indices = np.empty(most // 2, np.intp)
        self._pairs = np.zeros(BINS + 1 << 8, np.intp)
        self._odd = [0] * (BINS + 1)

    def add(self, scaled: Array) -> None:
        """Count numbers; one that lies beyond BINS is counted in any bin."""
        import numpy as np

        bins = self._bins[: scaled.size]
        np.copyto(bins.reshape(scaled.shape), scaled, casting="unsafe")
        even = scaled.size & ~1
        # np.bincount holds the GIL. It would make these by itself, under it.
        indices = self._indices[: even // 2]
        np.copyto(indices, bins[:even].view(np.uint16))
        counted = np.bincount(indices, minlength=self._pairs.size)
        if counted.size > self._pairs.size:  # of another range than the first pass has found
            np.minimum(bins, BINS, out=bins)
            counted = np.bincount(bins[:even].view(np.uint16), minlength=self._pairs.size)
        self._pairs += counted
        if even < scaled.size:
            self._odd[min(bins[even], BINS)] += 1

    def counts(self) -> list[int]:
        """Return the counts of all numbers so far."""
        pairs = self._pairs.reshape(BINS + 1, -1)
        both = pairs.sum(axis=1) + pairs.sum(axis=0)[: BINS + 1]
        *counts, highest = (int(pair) + odd for pair, odd in zip(both, self._odd, strict=True))
        counts[-1] += highest  # the last bin has its upper edge, too
        return counts
