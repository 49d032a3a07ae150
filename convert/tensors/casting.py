"""Tensors that become another floating-point type while they are read.

Nothing is cast before somebody asks for chunks, and no more than a chunk at a time. How one
element is rounded stands in :mod:`.floats`.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from ..errors import Advice, CastError, UnsupportedError, UsageError
from ..io.source import CHUNK
from ..quoting import quote
from .dtype import DType
from .floats import cast, decode, find_overflows, is_exact
from .loss import TensorLoss
from .read_ahead import run_ahead
from .runs import Seekable, read_run
from .tensor import rechunk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any, Final

    import numpy.typing as npt

    from .loss import CastLoss
    from .tensor import LazyTensor

    Array = npt.NDArray[Any]

_ALONE: Final = 4 * CHUNK
"""Bytes up to which a tensor is not worth a thread that reads while it is cast."""


def cast_tensors(
    tensors: Mapping[str, LazyTensor],
    dtype: DType,
    *,
    where: str,
    allow_overflow: bool = False,
    loss: CastLoss | None = None,
    one_by_one: bool = False,
) -> dict[str, LazyTensor]:
    """Return the tensors, each of type ``dtype`` and rounded as it is read.

    Tensors that are of that type already stay as they are. A finite number that becomes infinite
    is an error while its tensor is read, unless ``allow_overflow``; one whose bytes fail their
    checksum raises that instead. ``loss`` collects the errors of rounding; ``where`` is the file
    that the tensors are of. Where they are to be read ``one_by_one``, each is read by a thread of
    its own while it is cast.

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
        _cast_tensor,
        dtype=dtype,
        allow_overflow=allow_overflow,
        loss=loss,
        where=where,
        one_by_one=one_by_one,
    )
    return {
        name: tensor if tensor.dtype is dtype else cast_one(tensor)
        for name, tensor in tensors.items()
    }


def _cast_tensor(
    tensor: LazyTensor,
    dtype: DType,
    allow_overflow: bool,
    loss: CastLoss | None,
    where: str,
    *,
    one_by_one: bool,
) -> LazyTensor:
    if not tensor.dtype.is_floating:
        raise UnsupportedError(
            f"{where}: {quote(tensor.name)} is {tensor.dtype}, which is never cast to {dtype}"
        )

    def read_whole() -> Iterator[bytes]:
        chunks = tensor.chunks()
        if one_by_one and tensor.nbytes > _ALONE:
            chunks = run_ahead(chunks)
        return rechunk(_cast_chunks(tensor, chunks, dtype, allow_overflow, loss, where))

    def read_at(offset: int, size: int) -> Iterator[bytes]:
        before, after = tensor.dtype.itemsize or 1, dtype.itemsize or 1
        start = offset // after * before
        run = read_run(tensor.read, start, size // after * before)
        return rechunk(_cast_chunks(tensor, run, dtype, allow_overflow, None, where, start))

    # The errors of rounding are those of whole tensors, and rows add nothing to them.
    read: Callable[[], Iterator[bytes]] = read_whole
    if isinstance(tensor.read, Seekable):
        read = Seekable(read_whole, read_at, tensor.read.direct)
    return replace(tensor, dtype=dtype, nbytes=tensor.size * (dtype.itemsize or 0), read=read)


def _cast_chunks(
    tensor: LazyTensor,
    chunks: Iterator[bytes],
    dtype: DType,
    allow_overflow: bool,
    loss: CastLoss | None,
    where: str,
    position: int = 0,
) -> Iterator[memoryview]:
    """Yield chunks of ``tensor``, each cast; the pieces are of other sizes than CHUNK.

    ``position`` is where the first of them begins.
    """
    size = tensor.dtype.itemsize or 1
    lost = TensorLoss()
    exact = is_exact(tensor.dtype, dtype)
    for chunk in chunks:
        # Of an exact cast there is nothing to find out but that a finite element was there.
        watched = loss is not None and not (exact and lost.max_abs_error is not None)
        after, plain = cast(chunk, tensor.dtype, dtype, lost.add if watched else None)
        if not (plain or exact) and (loss is not None or not allow_overflow):
            found = find_overflows(chunk, tensor.dtype, after, dtype)
            lost.overflows += found.size
            if found.size and not allow_overflow:
                # If the number is damage, the checksum at the end says so, and that matters more.
                for _ in chunks:
                    pass
                start = int(found[0]) * size
                element = chunk[start : start + size]
                raise _overflow_error(tensor, (position + start) // size, element, dtype, where)
        position += len(chunk)
        yield after.view("<u1").data
    if loss is not None:
        loss.tensors[tensor.name] = lost


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
    after, plain = cast(element, source, target)
    return plain or not find_overflows(element, source, after, target).size
