"""The elements of a tensor in C order, streamed from the storage that it is a view of.

As a rule a tensor is its storage, or a run of it, and the bytes come as they lie. One that is
transposed, sliced or expanded is put together in blocks of BLOCK bytes. Each block is a box of the
tensor: what it reaches over in the storage is read at once where that is no more than WINDOW bytes
and not much more than is needed; else the axis of the longest stride is walked in pieces for which
it is. So what is held is a block and a window, however the axes lie.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from ...io.source import CHUNK
from ...tensors.dtype import DType
from ...tensors.runs import split
from ...tensors.tensor import rechunk

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, Final

    import numpy.typing as npt

    from ...tensors.runs import Bytes
    from .records import Record
    from .values import Tensor

    Array = npt.NDArray[Any]

BLOCK: Final = 8 << 20
"""Bytes that are put together at a time: of what is transposed, the whole storage is read as often
as there are blocks."""
WINDOW: Final = 1 << 20
"""Bytes that are read at once: few enough to stay in the cache while they are put in place."""
SMALL: Final = 64 << 10
"""Bytes that are read at once whatever share of them is needed: a call takes as long."""
WASTE: Final = 8
"""How many times what is needed may be read at once, beyond that."""
_COMPLEX: Final = (DType.COMPLEX64, DType.COMPLEX128)


def read_tensor(record: Record, tensor: Tensor, label: str, *, swap: bool) -> Iterator[bytes]:
    """Yield the elements of a tensor in chunks; ``label`` is its name in quotes.

    ``swap`` turns the bytes of each number around. A checksum is compared after the last chunk.

    Raises:
        ChecksumError: the storage is damaged.
        FormatError, UnreadableError: it cannot be read.
    """
    start, itemsize = _start(tensor), tensor.dtype.itemsize or 1
    nbytes = tensor.size * itemsize
    if not nbytes or is_run(tensor.shape, tensor.strides):
        chunks = record.chunks(start, nbytes, label)
    else:
        chunks = rechunk(_gather_checked(record, tensor, label))
    return _swapped(chunks, tensor.dtype, itemsize) if swap and itemsize > 1 else chunks


def fill_tensor(record: Record, tensor: Tensor, label: str, array: Bytes) -> Iterator[Bytes]:
    """Put the elements of a tensor that is a run into an array, as they are stored."""
    return record.fill(array, _start(tensor), label)


def read_tensor_at(
    record: Record, tensor: Tensor, label: str, offset: int, size: int, *, swap: bool
) -> Iterator[bytes]:
    """Yield ``size`` bytes of the elements from ``offset`` on; otherwise as `read_tensor`.

    No checksum is compared, and no more is read than these elements and, where they lie apart, what
    is between them.
    """
    itemsize = tensor.dtype.itemsize or 1
    runs = _read_boxes(record, tensor, label, offset // itemsize, (offset + size) // itemsize)
    return _swapped(runs, tensor.dtype, itemsize) if swap and itemsize > 1 else runs


def _read_boxes(
    record: Record, tensor: Tensor, label: str, start: int, stop: int
) -> Iterator[bytes]:
    """Yield the elements ``start`` to ``stop``, cut into boxes, each of which is a view, too."""
    for corner, shape in split(tensor.shape, start, stop):
        at = sum(step * stride for step, stride in zip(corner, tensor.strides, strict=True))
        part = replace(tensor, offset=tensor.offset + at, shape=shape)
        if is_run(part.shape, part.strides):
            nbytes = part.size * (part.dtype.itemsize or 1)
            yield from record.file.chunks(record.offset + _start(part), nbytes, label)
        else:
            yield from _gather(record, part, label)


def _start(tensor: Tensor) -> int:
    """Return the first byte of a view in its storage."""
    storage = tensor.storage
    return tensor.offset * (tensor.dtype.itemsize or 1) + storage.start * (
        storage.dtype.itemsize or 1
    )


def is_run(shape: tuple[int, ...], strides: tuple[int, ...]) -> bool:
    """Whether the elements of a tensor lie one after the other in C order."""
    expected = 1
    for dim, stride in zip(reversed(shape), reversed(strides), strict=True):
        if dim != 1 and stride != expected:
            return False
        expected *= dim
    return True


def _gather_checked(record: Record, tensor: Tensor, label: str) -> Iterator[bytes]:
    yield from _gather(record, tensor, label)
    record.check(label)


def _gather(record: Record, tensor: Tensor, label: str) -> Iterator[bytes]:
    import numpy as np

    start, itemsize = _start(tensor), tensor.dtype.itemsize or 1
    steps = tuple(stride * itemsize for stride in tensor.strides)
    # Of every dtype the bits are copied; which numbers they are does not matter.
    kind = np.dtype("c16" if itemsize == 16 else f"u{itemsize}")
    buffer = np.empty(min(BLOCK // itemsize, tensor.size), kind)
    for shape, below, at in _blocks(tensor.shape, steps, start, itemsize):
        flat = buffer[: math.prod(shape)]
        _fill(flat.reshape(shape), below, at, record, label)
        whole = flat.view(np.uint8)
        for position in range(0, len(whole), CHUNK):
            yield whole[position : position + CHUNK].tobytes()


def _blocks(
    shape: tuple[int, ...], steps: tuple[int, ...], at: int, itemsize: int
) -> Iterator[tuple[tuple[int, ...], tuple[int, ...], int]]:
    """Yield shape, steps and first byte of boxes that are the tensor, one after the other."""
    row = math.prod(shape[1:]) * itemsize
    if row > BLOCK:
        for index in range(shape[0]):
            yield from _blocks(shape[1:], steps[1:], at + index * steps[0], itemsize)
        return
    rows = max(1, BLOCK // row)
    for first in range(0, shape[0], rows):
        yield (min(rows, shape[0] - first), *shape[1:]), steps, at + first * steps[0]


def _fill(block: Array, steps: tuple[int, ...], at: int, record: Record, label: str) -> None:
    """Fill a box with the elements that lie ``steps`` bytes apart, the first of them ``at``."""
    import numpy as np

    reaches = [(dim - 1) * step for dim, step in zip(block.shape, steps, strict=True)]
    span = sum(reaches) + block.itemsize
    thin = span > max(SMALL, WASTE * block.nbytes)
    if span <= WINDOW and not thin:
        data = record.read(at, span, label)
        block[...] = np.ndarray(block.shape, block.dtype, data, strides=steps)
        return
    axis = max(range(block.ndim), key=lambda each: steps[each] if block.shape[each] > 1 else -1)
    most = SMALL if thin else WINDOW
    within = span - reaches[axis]
    length = max(1, (most - within) // steps[axis] + 1)
    parts = np.moveaxis(block, axis, 0)
    for first in range(0, block.shape[axis], length):
        part = np.moveaxis(parts[first : first + length], 0, axis)
        _fill(part, steps, at + first * steps[axis], record, label)


def _swapped(chunks: Iterator[bytes], dtype: DType, itemsize: int) -> Iterator[bytes]:
    # CHUNK is a multiple of every size, so no number is torn apart.
    import numpy as np

    size = itemsize // 2 if dtype in _COMPLEX else itemsize
    for chunk in chunks:
        yield np.frombuffer(chunk, f"u{size}").byteswap().tobytes()
