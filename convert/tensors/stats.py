"""Statistics of a tensor's values, streamed: whatever the tensor's size, a few chunks are held.

Two passes. The first counts NaN and infinities and finds the range; the second takes the moments
and the histogram. One pass could do it with bins that grow with the range, but their edges would
not be the minimum and the maximum, and nobody could compute the counts again with another program.
With the range known first, the numbers can also be mapped to 0...1 before they are added up, which
neither overflows nor loses the spread of numbers that are large and close to each other.

Blocks are joined by Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for
computing sample variances" (1979).
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ..errors import FormatError
from .dtype import DType
from .floats import decode
from .half import widen_half
from .histogram import BINS, Histogram

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, Final

    import numpy.typing as npt

    from .tensor import LazyTensor

    Array = npt.NDArray[Any]

PASSES: Final = 2
"""How often a tensor is read."""
_BLOCK: Final = 1 << 16
"""Elements whose moments are taken together, before they are joined to those of the others: the
last bits of the results depend on it."""
_ROWS: Final = 4
"""Blocks worked on at a time. More would not fit into the processor's cache; with fewer, threads
side by side would wait for the GIL more often."""
_COMPLEX: Final = {DType.COMPLEX64, DType.COMPLEX128}


@dataclass(frozen=True, slots=True)
class TensorStats:
    """The statistics of one tensor; False counts as 0, True as 1.

    ``count`` is the number of all elements, ``nan`` and ``infinite`` of those that the other
    fields leave out. ``min`` and ``max`` are exact, int for integers. ``std`` is that of the
    population (divided by the number, not by one less). These four are None where no element is
    finite. ``histogram`` counts the elements in BINS bins of equal width from ``min`` to ``max``;
    each bin includes its lower edge, the last one both. It is empty where no element is finite,
    and where all are equal they are in the middle bin.
    """

    count: int
    nan: int
    infinite: int
    min: int | float | None
    max: int | float | None
    mean: float | None
    std: float | None
    histogram: tuple[int, ...] = field(repr=False)

    def list_numbers(self) -> list[str]:
        """Return min, max, mean, std, NaN and infinite as a person reads them."""
        moments = (self.min, self.max, self.mean, self.std)
        shown = ["-" if number is None else f"{number:.4g}" for number in moments]
        return [*shown, f"{self.nan:,}", f"{self.infinite:,}"]

    def as_json(self) -> dict[str, object]:
        """Return the statistics as they stand in an inspection; every number is finite."""
        return {
            "count": self.count,
            "nan": self.nan,
            "infinite": self.infinite,
            "min": self.min,
            "max": self.max,
            "mean": self.mean,
            "std": self.std,
            "histogram": list(self.histogram),
        }


def dump_stats(stats: TensorStats | None) -> bytes:
    """Return the statistics as JSON, which says every number to its last bit."""
    return json.dumps(stats and stats.as_json()).encode("ascii")


def load_stats(text: bytes) -> TensorStats | None:
    """Return the statistics that :func:`dump_stats` has made JSON of."""
    found = json.loads(text)
    return found and TensorStats(**{**found, "histogram": tuple(found["histogram"])})


def compute_stats(tensor: LazyTensor, held: int = 0) -> TensorStats | None:
    """Return the statistics of ``tensor``; None for complex numbers and strings.

    It is read twice, or once and kept for the second pass if it has no more than ``held`` bytes.

    Raises:
        FormatError: the two passes did not find the same.
        Gpt2ConvertError: the tensor cannot be read, as LazyTensor.chunks says.
    """
    import numpy as np

    dtype = tensor.dtype
    if dtype in _COMPLEX or not (dtype.in_numpy or dtype.is_floating):
        return None
    first = second = tensor
    if tensor.nbytes <= held:
        kept: list[bytes] = []

        def read() -> Iterator[bytes]:
            for chunk in tensor.chunks():
                kept.append(chunk)
                yield chunk

        first, second = replace(tensor, read=read), replace(tensor, read=lambda: iter(kept))
    # Some processors complain of the NaNs that are only counted here.
    with np.errstate(invalid="ignore"):
        return _compute(first, second)


def _compute(first: LazyTensor, second: LazyTensor) -> TensorStats:
    """Return the statistics of one tensor, which each pass has in its own way."""
    extent = _find_extent(first)
    if extent.low is None or extent.high is None:
        return TensorStats(extent.count, extent.nan, extent.infinite, None, None, None, None, ())
    finite = extent.count - extent.nan - extent.infinite
    mean, std, histogram = _find_distribution(second, finite, float(extent.low), float(extent.high))
    return TensorStats(
        count=extent.count,
        nan=extent.nan,
        infinite=extent.infinite,
        min=extent.low,
        max=extent.high,
        mean=mean,
        std=std,
        histogram=histogram,
    )


@dataclass(slots=True)
class _Extent:
    """What the first pass finds."""

    count: int = 0
    nan: int = 0
    infinite: int = 0
    low: int | float | None = None
    high: int | float | None = None


def _find_extent(tensor: LazyTensor) -> _Extent:
    import numpy as np

    found = _Extent()
    for values in _decode(tensor):
        found.count += values.size
        low, high = values.min(), values.max()
        # One NaN makes both NaN, and an infinity is one of the two.
        if not (np.isfinite(low) and np.isfinite(high)):
            nan = int(np.isnan(values).sum())
            finite = values[np.isfinite(values)]
            found.nan += nan
            found.infinite += values.size - nan - finite.size
            if not finite.size:
                continue
            low, high = finite.min(), finite.max()
        # Added to 0, -0.0 is 0.0: which of the two is found first depends on the processor.
        lowest, highest = low.item() + 0, high.item() + 0
        found.low = lowest if found.low is None else min(found.low, lowest)
        found.high = highest if found.high is None else max(found.high, highest)
    return found


def _find_distribution(
    tensor: LazyTensor, finite: int, low: float, high: float
) -> tuple[float, float, tuple[int, ...]]:
    """Return mean, standard deviation and histogram of the ``finite`` finite elements."""
    import numpy as np

    # Half of everything, where the distance between the largest numbers would be infinite.
    factor = 0.5 if math.isinf(high - low) else 1.0
    start = low * factor
    width = high * factor - start
    # Numbers from 0 to BINS, a power of two, have the moments of those from 0 to 1 to the last bit,
    # and spare a step. Not so where what is tiny may lose bits, as the least of float64's may.
    scale = 1 if tensor.dtype is DType.FLOAT64 else BINS
    # Fresh memory for every step would take more time than the steps do.
    room = np.empty(_ROWS * _BLOCK)
    histogram = Histogram(_ROWS * _BLOCK)
    size, mean, squares = 0, 0.0, 0.0
    for rows in _rows(tensor, all_finite=finite == tensor.size):
        share: Array = room[: rows.size].reshape(rows.shape)
        np.copyto(share, rows)
        if factor != 1.0:
            share *= factor
        share -= start
        if width:
            share /= width / scale
            histogram.add(share if scale == BINS else share * BINS)
        columns = share.shape[1]
        means = np.add.reduce(share, axis=1) / columns
        share -= means[:, np.newaxis]
        np.square(share, out=share)
        sums = np.add.reduce(share, axis=1)
        for row_mean, row_squares in zip(means.tolist(), sums.tolist(), strict=True):
            distance = row_mean - mean
            together = size + columns
            squares += row_squares + distance * distance * (size * columns / together)
            mean += distance * (columns / together)
            size = together
    if size != finite:
        raise FormatError(f"{tensor.name}: it changed between two readings")
    spread = math.sqrt(squares / size) / scale
    counts = histogram.counts() if width else [0] * BINS
    if not width:
        counts[BINS // 2] = size
    return (start + width * (mean / scale)) / factor, width * spread / factor, tuple(counts)


def _rows(tensor: LazyTensor, *, all_finite: bool) -> Iterator[Array]:
    """Yield the finite elements in up to _ROWS rows, each a block, or what is left of one."""
    import numpy as np

    for values in _decode(tensor):
        if all_finite:
            end = values.size - values.size % _BLOCK
            for start in range(0, end, _ROWS * _BLOCK):
                yield values[start : min(start + _ROWS * _BLOCK, end)].reshape(-1, _BLOCK)
            if end < values.size:
                yield values[np.newaxis, end:]
            continue
        for start in range(0, values.size, _BLOCK):
            block = values[start : start + _BLOCK]
            kept = block[np.isfinite(block)]
            if kept.size:
                yield kept[np.newaxis]


def _decode(tensor: LazyTensor) -> Iterator[Array]:
    """Yield the elements, none of them half-precision: NumPy is slow with those."""
    import numpy as np

    for chunk in tensor.chunks():
        if tensor.dtype is DType.BOOL:
            # Whatever is not 0 is true, in a damaged file too.
            yield (np.frombuffer(chunk, np.uint8) != 0).view(np.uint8)
            continue
        values = decode(chunk, tensor.dtype)
        yield widen_half(values) if tensor.dtype is DType.FLOAT16 else values
