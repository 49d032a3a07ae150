"""In which way two tensors of one shape and dtype differ.

:class:`Difference` counts while the two stream by. :func:`describe` then looks for a known mistake
that explains all of it: transposed, swapped with another tensor, rounded to fewer bits. Those looks
read the tensors again, and hold at most a few chunks, or two square matrices of MAX_SQUARE bytes.
"""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING

from ..errors import FormatError
from ..quoting import quote
from ..reports.verification import Finding, Kind
from ..tensors.floats import bits, cast, decode
from ..tensors.tensor import DType, same_bytes
from ..tensors.tolerance import EXACT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any, Final

    import numpy.typing as npt

    from ..tensors.tensor import LazyTensor
    from ..tensors.tolerance import Tolerance

    Array = npt.NDArray[Any]

MAX_SQUARE: Final = 16 << 20
"""Bytes of a matrix up to which it is compared with its transpose: 2048 x 2048 of float32."""
_HEAD: Final = 4096
"""Bytes at the start of a tensor by which another one is recognised before all are compared."""


class Difference:
    """What differs between a source tensor and the target's, chunk by chunk; true if anything."""

    __slots__ = (
        "_position", "damage", "differing", "finite", "first", "first_values", "max_abs_diff",
        "source", "target", "tolerance",
    )  # fmt: skip

    def __init__(
        self, source: LazyTensor, target: LazyTensor, tolerance: Tolerance = EXACT
    ) -> None:
        self.source = source
        self.target = target
        self.tolerance = tolerance
        self.differing = 0
        self.first: int | None = None
        self.first_values: tuple[float, float] | None = None
        self.max_abs_diff = 0.0
        self.finite = True
        self.damage: str | None = None
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
            if self.first is None and expected[:size] == found[:size]:
                self.first = (self._position + size) // itemsize
        where = np.flatnonzero(bits(expected[:size], dtype) != bits(found[:size], dtype))
        first = numbers(expected[:size], dtype)[where]
        second = numbers(found[:size], dtype)[where]
        if not self.tolerance.exact:
            far = self.tolerance.exceeded(first, second)
            where, first, second = where[far], first[far], second[far]
        if not where.size:
            return
        with np.errstate(all="ignore"):
            distance = np.abs(first - second)
        if self.first is None:
            self.first = self._position // itemsize + int(where[0])
            self.first_values = float(first[0]), float(second[0])
        self.differing += int(where.size)
        self.finite &= bool(np.isfinite(distance).all())
        if self.finite:
            self.max_abs_diff = max(self.max_abs_diff, float(distance.max()))


def numbers(data: bytes, dtype: DType) -> Array:
    """Return the elements as float64, which holds every narrower number exactly."""
    import numpy as np

    with np.errstate(invalid="ignore"):  # some processors complain of NaNs that are signals
        return decode(data, dtype).astype(np.float64)


class Twins:
    """Source tensors by what they begin with, to recognise one under another's name."""

    __slots__ = ("_names", "_sources")

    def __init__(self, sources: Mapping[str, LazyTensor]) -> None:
        self._sources = sources
        self._names: dict[tuple[tuple[int, ...], DType], dict[bytes, list[str]]] = {}

    def find(self, target: LazyTensor, own: LazyTensor) -> str | None:
        """Return the name of a source tensor other than ``own`` that ``target`` equals."""
        kind = own.shape, own.dtype
        if kind not in self._names:
            heads: dict[bytes, list[str]] = {}
            for name, tensor in self._sources.items():
                if (tensor.shape, tensor.dtype) == kind:
                    heads.setdefault(_head(tensor), []).append(name)
            self._names[kind] = heads
        for name in self._names[kind].get(_head(target), []):
            if name != own.name and same_bytes(self._sources[name], target):
                return name
        return None


def describe(difference: Difference, twins: Twins, targets: Mapping[str, LazyTensor]) -> Finding:
    """Return the finding, with a hint where a known mistake explains the whole difference."""
    import numpy as np

    source = difference.source
    first_index = None
    text = f"{difference.differing:,} of {source.size:,} elements differ"
    if difference.first is not None:
        first_index = tuple(int(i) for i in np.unravel_index(difference.first, source.shape))
        largest = f"{difference.max_abs_diff:.3g}" if difference.finite else "not finite"
        text += f"; largest difference {largest}; first at {list(first_index)}: "
        if difference.first_values is None:
            text += "the target ends there"
        else:
            expected, found = difference.first_values
            text += f"{expected:.9g} in the source, {found:.9g} in the target"
    if difference.damage:
        hint: str | None = f"damaged after it was written: {difference.damage}"
    else:
        hint = _find_hint(difference, twins, targets)
    return Finding(
        kind=Kind.VALUES,
        tensor=source.name,
        message=text,
        differing=difference.differing,
        elements=source.size,
        max_abs_diff=difference.max_abs_diff if difference.finite else None,
        first_index=first_index,
        hint=hint,
    )


def _find_hint(
    difference: Difference, twins: Twins, targets: Mapping[str, LazyTensor]
) -> str | None:
    source, target = difference.source, difference.target
    if _is_transposed(source, target):
        return "transposed"
    other = twins.find(target, source)
    if other:
        back = other in targets and _holds(targets[other], source)
        return f"swapped with {other}" if back else f"it holds the values of {other}"
    narrower = _find_rounding(source, target)
    return f"rounded to {narrower} on the way" if narrower else None


def _holds(target: LazyTensor, source: LazyTensor) -> bool:
    """Whether ``target`` has the bytes of ``source``; a damaged one has a finding of its own."""
    try:
        return same_bytes(target, source)
    except FormatError:
        return False


def _is_transposed(source: LazyTensor, target: LazyTensor) -> bool:
    import numpy as np

    shape = source.shape
    if len(shape) != 2 or shape[0] != shape[1] or source.nbytes > MAX_SQUARE:
        return False
    first = bits(b"".join(source.chunks()), source.dtype).reshape(shape)
    second = bits(b"".join(target.chunks()), source.dtype).reshape(shape)
    return bool(np.array_equal(first.T, second))


def _head(tensor: LazyTensor) -> bytes:
    return next(tensor.chunks(), b"")[:_HEAD]


def _find_rounding(source: LazyTensor, target: LazyTensor) -> str | None:
    """Return the narrower dtype through which every element of ``source`` gives ``target``."""
    candidates = dict(_ROUNDINGS.get(source.dtype, {}))
    for expected, found in zip_longest(source.chunks(), target.chunks(), fillvalue=b""):
        for name, rounded in list(candidates.items()):
            if rounded(expected) != found:
                del candidates[name]
        if not candidates:
            return None
    return next(iter(candidates), None)


def _through(wide: DType, narrow: DType) -> Callable[[bytes], bytes]:
    return lambda data: cast(cast(data, wide, narrow), narrow, wide)


def _cut_to_bfloat16(data: bytes) -> bytes:
    import numpy as np

    return (np.frombuffer(data, "<u4") & np.uint32(0xFFFF0000)).tobytes()


_ROUNDINGS: Final[dict[DType, dict[str, Callable[[bytes], bytes]]]] = {
    DType.FLOAT32: {
        "float16": _through(DType.FLOAT32, DType.FLOAT16),
        "bfloat16": _through(DType.FLOAT32, DType.BFLOAT16),
        "bfloat16 (cut off, not rounded)": _cut_to_bfloat16,
    },
    DType.FLOAT64: {
        "float32": _through(DType.FLOAT64, DType.FLOAT32),
        "float16": _through(DType.FLOAT64, DType.FLOAT16),
        "bfloat16": _through(DType.FLOAT64, DType.BFLOAT16),
    },
}
