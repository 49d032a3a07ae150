"""Tensors that become another floating-point type while they are read.

Nothing is cast before somebody asks for chunks, and no more than a chunk at a time. How one
element is rounded stands in :mod:`.floats`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from ..errors import Advice, CastError, UnsupportedError, UsageError
from ..quoting import quote
from .dtype import DType
from .floats import cast, decode, find_overflows
from .tensor import rechunk

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    import numpy.typing as npt

    from .tensor import LazyTensor

    Array = npt.NDArray[Any]


@dataclass(slots=True)
class CastLoss:
    """The largest errors that casts have introduced, filled in while the cast tensors are read.

    The absolute error of an element is ``|after - before|``; the relative error is that divided by
    ``|before|``, and 0 for a zero, which every type holds exactly. Elements that are NaN or
    infinite before or after count in neither. Both are None until a finite element was cast, and
    the name beside each is None while the error is 0. ``overflows`` are the numbers of finite
    elements that became infinite, by tensor. Reading a tensor again changes nothing. ``dtype`` is
    what they were cast to.
    """

    max_abs_error: float | None = None
    max_abs_error_in: str | None = None
    max_rel_error: float | None = None
    max_rel_error_in: str | None = None
    overflows: dict[str, int] = field(default_factory=dict)
    dtype: DType | None = None

    def add(self, name: str, before: Array, after: Array) -> None:
        """Take in elements of the tensor ``name`` as they were and as they are."""
        import numpy as np

        # In the wider of the two types the difference is exact: it is a multiple of the smaller
        # number's last place, and of fewer bits than that.
        with np.errstate(all="ignore"):
            errors = np.abs(after - before)
        sizes = np.abs(before)
        if not errors.size or not np.isfinite(errors.max()):
            finite = np.isfinite(errors)
            errors, sizes = errors[finite], sizes[finite]
        if not errors.size:
            return
        largest = float(errors.max())
        if self.max_abs_error is None or largest > self.max_abs_error:
            self.max_abs_error, self.max_abs_error_in = largest, name if largest else None
        relative = 0.0
        if largest:
            # The smallest number above zero in place of zero, where the error is zero as well.
            ratios = errors / np.maximum(sizes, np.finfo(errors.dtype).smallest_subnormal)
            worst = int(ratios.argmax())
            relative = float(errors[worst]) / float(sizes[worst])
        if self.max_rel_error is None or relative > self.max_rel_error:
            self.max_rel_error, self.max_rel_error_in = relative, name if relative else None

    def as_json(self) -> dict[str, object]:
        """Return the loss as it stands in a report."""
        return {
            "max_abs_error": self.max_abs_error,
            "max_abs_error_in": self.max_abs_error_in,
            "max_rel_error": self.max_rel_error,
            "max_rel_error_in": self.max_rel_error_in,
            "overflows": sum(self.overflows.values()),
        }


def cast_tensors(
    tensors: Mapping[str, LazyTensor],
    dtype: DType,
    *,
    where: str,
    allow_overflow: bool = False,
    loss: CastLoss | None = None,
) -> dict[str, LazyTensor]:
    """Return the tensors, each of type ``dtype`` and rounded as it is read.

    Tensors that are of that type already stay as they are. A finite number that becomes infinite
    is an error while its tensor is read, unless ``allow_overflow``; one whose bytes fail their
    checksum raises that instead. ``loss`` collects the errors of rounding; ``where`` is the file
    that the tensors are of.

    Raises:
        UsageError: ``dtype`` is no floating-point type.
        UnsupportedError: a tensor is of no floating-point type.
        CastError: (from chunks and array) a finite number becomes infinite.
    """
    import numpy as np  # noqa: F401 - here, and not amid the first chunk

    if not dtype.is_floating:
        raise UsageError(f"weights cannot be cast to {dtype}, only to floating-point types")
    if loss is not None:
        loss.dtype = dtype
    cast_one = partial(
        _cast_tensor, dtype=dtype, allow_overflow=allow_overflow, loss=loss, where=where
    )
    return {
        name: tensor if tensor.dtype is dtype else cast_one(tensor)
        for name, tensor in tensors.items()
    }


def _cast_tensor(
    tensor: LazyTensor, dtype: DType, allow_overflow: bool, loss: CastLoss | None, where: str
) -> LazyTensor:
    if not tensor.dtype.is_floating:
        raise UnsupportedError(
            f"{where}: {quote(tensor.name)} is {tensor.dtype}, which is never cast to {dtype}"
        )

    def read() -> Iterator[bytes]:
        return rechunk(_cast_chunks(tensor, dtype, allow_overflow, loss, where))

    return replace(tensor, dtype=dtype, nbytes=tensor.size * (dtype.itemsize or 0), read=read)


def _cast_chunks(
    tensor: LazyTensor, dtype: DType, allow_overflow: bool, loss: CastLoss | None, where: str
) -> Iterator[bytes]:
    """Yield the chunks of ``tensor``, each cast; the pieces are of other sizes than CHUNK."""
    size = tensor.dtype.itemsize or 1
    overflows = 0
    position = 0
    chunks = tensor.chunks()
    for chunk in chunks:
        after = cast(chunk, tensor.dtype, dtype)
        if loss is not None or not allow_overflow:
            found = find_overflows(chunk, tensor.dtype, after, dtype)
            overflows += found.size
            if found.size and not allow_overflow:
                # If the number is damage, the checksum at the end says so, and that matters more.
                for _ in chunks:
                    pass
                start = int(found[0]) * size
                element = chunk[start : start + size]
                raise _overflow_error(tensor, (position + start) // size, element, dtype, where)
        if loss is not None:
            loss.add(tensor.name, decode(chunk, tensor.dtype), decode(after, dtype))
        position += len(chunk)
        yield after
    if loss is not None and overflows:
        loss.overflows[tensor.name] = overflows


def _overflow_error(
    tensor: LazyTensor, index: int, element: bytes, dtype: DType, where: str
) -> CastError:
    import numpy as np

    place = [int(i) for i in np.unravel_index(index, tensor.shape)]
    value = float(decode(element, tensor.dtype)[0])
    fitting = ", ".join(other for other in DType if _fits(element, tensor.dtype, other))
    return CastError(
        f"{where}: {tensor.name} at {place} is {value!r} and would become infinite as {dtype}; "
        f"it fits {fitting}",
        Advice("{} takes infinity for it", "allow_overflow", True),
    )


def _fits(element: bytes, source: DType, target: DType) -> bool:
    if not target.is_floating:
        return False
    return not find_overflows(element, source, cast(element, source, target), target).size
