"""In what two tensors of one shape and dtype differ, counted while the two stream by."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import FormatError
from ..quoting import quote
from ..reports.difference_map import DifferenceMap, measure_grid
from ..tensors.dtype import DType
from ..tensors.floats import bits, decode, differ
from ..tensors.tolerance import EXACT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, Final

    import numpy.typing as npt

    from ..tensors.tensor import LazyTensor
    from ..tensors.tolerance import Tolerance

    Array = npt.NDArray[Any]
    Number = float | complex

_COMPLEX: Final = {DType.COMPLEX64, DType.COMPLEX128}


class Difference:
    """What differs between a source tensor and the target's, chunk by chunk; true if anything.

    ``overall`` is the largest difference of all values, within the tolerance or not; None where one
    is no finite number. ``sha256`` is the digest of the target's bytes, where one was asked for.
    ``mapped`` says that it is to be known where in the tensor the differences lie.
    """

    __slots__ = (
        "_counts", "_position", "damage", "differing", "finite", "first", "first_values", "mapped",
        "max_abs_diff", "overall", "sha256", "source", "target", "tolerance",
    )  # fmt: skip

    def __init__(
        self,
        source: LazyTensor,
        target: LazyTensor,
        tolerance: Tolerance = EXACT,
        *,
        mapped: bool = True,
    ) -> None:
        self.source = source
        self.target = target
        self.tolerance = tolerance
        self.mapped = mapped
        self.differing = 0
        self.first: int | None = None
        self.first_values: tuple[Number, Number] | None = None
        self.max_abs_diff = 0.0
        self.overall: float | None = 0.0
        self.sha256: str | None = None
        self.finite = True
        self.damage: str | None = None
        self._counts: Array | None = None
        self._position = 0

    def __bool__(self) -> bool:
        return self.differing > 0 or self.damage is not None

    def target_chunks(self) -> Iterator[bytes]:
        """Yield the target's chunks; what is wrong with them is noted as damage, not raised."""
        try:
            yield from self.target.chunks()
        except FormatError as error:
            self.damage = str(error)

    def compare(self, expected: bytes, found: bytes) -> None:
        """Take in the next chunk of each. Elements that one of the two lacks differ."""
        if expected != found:
            self._count(expected, found)
        self._position += len(expected)

    def finish(self) -> None:
        """Take in that both have ended.

        Raises:
            FormatError: the source was not as long as it announced.
        """
        if self._position != self.source.nbytes:
            raise FormatError(
                f"{quote(self.source.source_name)}: {self.source.nbytes:,} bytes announced, "
                f"found {self._position:,}"
            )

    def take_map(self) -> DifferenceMap | None:
        """Return where the differences are, and forget it; None where none are, or unmapped."""
        counts, self._counts = self._counts, None
        if counts is None:
            return None
        # A tensor that differs everywhere has a few numbers a thousand times.
        known: dict[int, int] = {}
        numbers = tuple(known.setdefault(count, count) for count in counts.tolist())
        return DifferenceMap(*measure_grid(self.source.shape), numbers)

    def _count(self, expected: bytes, found: bytes) -> None:
        import numpy as np

        dtype = self.source.dtype
        itemsize = dtype.itemsize or 1
        size = min(len(expected), len(found)) // itemsize * itemsize
        if len(found) > len(expected) and self.damage is None:
            self.damage = "more bytes follow than the shape takes"
        lacking = (len(expected) - size) // itemsize
        if lacking:
            self.differing += lacking
            self.finite = False
            self._locate(np.arange(size // itemsize, len(expected) // itemsize))
            if self.first is None and expected[:size] == found[:size]:
                self.first = (self._position + size) // itemsize
        where = np.flatnonzero(differ(expected[:size], found[:size], dtype))
        first = numbers(expected[:size], dtype)[where]
        second = numbers(found[:size], dtype)[where]
        self._measure(first, second)
        if not self.tolerance.exact:
            far = self.tolerance.exceeded(first, second)
            where, first, second = where[far], first[far], second[far]
        if not where.size:
            return
        with np.errstate(all="ignore"):
            distance = np.abs(first - second)
        if self.first is None:
            self.first = self._position // itemsize + int(where[0])
            self.first_values = first[0].item(), second[0].item()
        self.differing += int(where.size)
        self._locate(where)
        self.finite &= bool(np.isfinite(distance).all())
        if self.finite:
            self.max_abs_diff = max(self.max_abs_diff, float(distance.max()))

    def _locate(self, where: Array) -> None:
        """Count elements of the present chunk in the cells that they lie in."""
        import numpy as np

        itemsize = self.source.dtype.itemsize
        if not self.mapped or itemsize is None:
            return
        where = where + self._position // itemsize
        # A source that is longer than it announced is refused, but only at its end.
        where = where[where < self.source.size]
        if not where.size:
            return
        leading, last, rows, columns = measure_grid(self.source.shape)
        outer, inner = np.divmod(where, last)
        cells = outer * rows // leading * columns + inner * columns // last
        counts = np.bincount(cells, minlength=rows * columns)
        self._counts = counts if self._counts is None else self._counts + counts

    def _measure(self, first: Array, second: Array) -> None:
        """Take in values that are not the same bits, for the largest difference of all."""
        import numpy as np

        with np.errstate(all="ignore"):
            distance = np.abs(first - second)
        # The same infinity, or NaN with NaN, is no distance.
        distance[(first == second) | (np.isnan(first) & np.isnan(second))] = 0
        largest = float(distance.max()) if distance.size else 0.0
        if self.overall is not None:
            self.overall = max(self.overall, largest) if np.isfinite(largest) else None


def numbers(data: bytes, dtype: DType) -> Array:
    """Return the elements as float64, which holds every narrower number exactly.

    Complex numbers are complex128. Of what NumPy does not have, it is the bits as a number.
    """
    import numpy as np

    if dtype in _COMPLEX:
        return decode(data, dtype).astype(np.complex128)
    if not (dtype.in_numpy or dtype.is_floating):
        return bits(data, dtype).astype(np.float64)
    with np.errstate(invalid="ignore"):  # some processors complain of NaNs that are signals
        return decode(data, dtype).astype(np.float64)
