"""A known mistake that explains all of a difference: transposed, swapped, rounded.

To look for one, tensors are read again. That holds at most a few chunks, or two square matrices of
MAX_SQUARE bytes.
"""

from __future__ import annotations

import hashlib
from itertools import zip_longest
from typing import TYPE_CHECKING

from ..errors import FormatError
from ..reports.findings import Finding, Kind
from ..tensors.dtype import DType
from ..tensors.floats import bits, cast
from ..tensors.tensor import same_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, Final

    import numpy.typing as npt

    from ..tensors.tensor import LazyTensor
    from .difference import Difference

    Array = npt.NDArray[Any]
    _Kind = tuple[tuple[int, ...], DType]

MAX_SQUARE: Final = 16 << 20
"""Bytes of a matrix up to which it is compared with its transpose: 2048 x 2048 of float32."""

_HEAD: Final = 4096
"""Bytes at the start of a tensor by which another one is recognised before all are compared."""


class Twins:
    """Source tensors by what they begin with, to recognise one under another's name.

    Where several begin alike, as those that start with zeros do, their digests tell them apart:
    each tensor is read twice at most, however many there are.
    """

    __slots__ = ("_digested", "_heads", "_sources")

    def __init__(self, sources: Mapping[str, LazyTensor]) -> None:
        self._sources = sources
        self._heads: dict[_Kind, dict[bytes, list[str]]] = {}
        self._digested: dict[tuple[_Kind, bytes], dict[bytes, list[str]]] = {}

    def find(self, target: LazyTensor, own: LazyTensor) -> str | None:
        """Return the name of a source tensor other than ``own`` that ``target`` equals."""
        kind = own.shape, own.dtype
        if kind not in self._heads:
            heads: dict[bytes, list[str]] = {}
            for name, tensor in self._sources.items():
                if (tensor.shape, tensor.dtype) == kind:
                    heads.setdefault(_head(tensor), []).append(name)
            self._heads[kind] = heads
        head = _head(target)
        names = self._heads[kind].get(head, [])
        if len(names) > 1:
            if (kind, head) not in self._digested:
                digested: dict[bytes, list[str]] = {}
                for name in names:
                    digested.setdefault(_digest(self._sources[name]), []).append(name)
                self._digested[kind, head] = digested
            names = self._digested[kind, head].get(_digest(target), [])
        # Of equal ones the first two are enough: one of them is not its own.
        for name in names[:2]:
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
        map=difference.take_map(),
    )


def _find_hint(
    difference: Difference, twins: Twins, targets: Mapping[str, LazyTensor]
) -> str | None:
    source, target = difference.source, difference.target
    if _is_transposed(source, target):
        return "transposed"
    # One number equals another by chance, as the steps of two trainers do.
    other = twins.find(target, source) if source.size > 1 else None
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
    if source.dtype is DType.COMPLEX128:  # no integer is as wide
        return False
    first = bits(b"".join(source.chunks()), source.dtype).reshape(shape)
    second = bits(b"".join(target.chunks()), source.dtype).reshape(shape)
    return bool(np.array_equal(first.T, second))


def _head(tensor: LazyTensor) -> bytes:
    return next(tensor.chunks(), b"")[:_HEAD]


def _digest(tensor: LazyTensor) -> bytes:
    running = hashlib.sha256()
    for chunk in tensor.chunks():
        running.update(chunk)
    return running.digest()


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
    return lambda data: cast(cast(data, wide, narrow)[0], narrow, wide)[0].tobytes()


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
