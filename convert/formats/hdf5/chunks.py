"""The elements of chunked datasets, read without the library and in C order.

All chunks that meet one step along the first axis with several steps in a chunk make a band. Bands
follow each other in C order, so one of them at a time is put together and cut into pieces.
"""

from __future__ import annotations

import math
from itertools import islice, product
from operator import add
from typing import TYPE_CHECKING

from ...errors import FormatError
from ...io.source import CHUNK
from ...tensors.dtype import numpy_dtype
from ...tensors.runs import trim
from ...tensors.tensor import rechunk
from .filters import check_size, undo
from .layout import NOWHERE, split_axis

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...io.source import SourceFile
    from .layout import Chunked, Dataset


def read_chunks(file: SourceFile, dataset: Dataset, chunks: Chunked, place: str) -> Iterator[bytes]:
    """Yield the elements of ``dataset`` in pieces of CHUNK bytes; ``place`` names it in errors.

    Raises:
        ChecksumError: a chunk is damaged.
        FormatError: a chunk was never written, or gives more or fewer bytes than it should.
        UnreadableError: the disk or the network fails.
    """
    return rechunk(_cut(_Chunks(file, dataset, chunks, place)))


def read_some_chunks(
    file: SourceFile, dataset: Dataset, chunks: Chunked, place: str, offset: int, size: int
) -> Iterator[bytes]:
    """Yield ``size`` bytes of the elements from ``offset`` on, out of the bands that they are in.

    Raises as `read_chunks`.
    """
    opened = _Chunks(file, dataset, chunks, place)
    axis = split_axis(opened.box)
    dim, step = opened.shape[axis], opened.box[axis]
    row = math.prod(opened.shape[axis + 1 :]) * opened.dtype.itemsize
    # The rows of one place of the axes before make bands that start anew at the next.
    outer, inner = divmod(offset // row, dim)
    first = outer * -(-dim // step) + inner // step
    begin = (outer * dim + inner // step * step) * row
    yield from trim(_cut(opened, first), offset - begin, size)


class _Chunks:
    """The chunks of a dataset, by their number in C order."""

    def __init__(self, file: SourceFile, dataset: Dataset, chunks: Chunked, place: str) -> None:
        self._file = file
        self._place = place
        self._table = chunks
        self.shape = dataset.shape
        self.box = chunks.box
        self.dtype = numpy_dtype(dataset.dtype)
        self._nominal = math.prod(chunks.box) * self.dtype.itemsize

    def read(self, number: int) -> bytes:
        """Return the elements of a chunk, all of its box."""
        table = self._table
        place = f"{self._place}, chunk at {self._corner(number)}"
        offset, size = table.offsets[number], table.sizes[number]
        if offset == NOWHERE:
            raise FormatError(f"{place}: was never written; the file is incomplete")
        left_out = table.masks[number]
        filters = tuple(each for bit, each in enumerate(table.filters) if not left_out >> bit & 1)
        check_size(size, self._nominal, filters, place)
        stored = self._file.read(offset, size, "a chunk")
        return undo(stored, self._nominal, filters, table.width, place)

    def _corner(self, number: int) -> list[int]:
        corner: list[int] = []
        for dim, size in zip(reversed(self.shape), reversed(self.box), strict=True):
            number, step = divmod(number, -(-dim // size))
            corner.insert(0, step * size)
        return corner


def _cut(chunks: _Chunks, first: int = 0) -> Iterator[bytes]:
    """Yield the bands from the ``first`` on, in pieces of which any may be shorter than CHUNK."""
    import numpy as np

    shape, box = chunks.shape, chunks.box
    axis = split_axis(box)
    rest = shape[axis + 1 :]
    row = math.prod(rest) * chunks.dtype.itemsize
    starts = [range(0, dim, size) for dim, size in zip(shape, box, strict=True)]
    number = first * math.prod(map(len, starts[axis + 1 :]))
    for *_, start in islice(product(*starts[: axis + 1]), first, None):
        rows = min(box[axis], shape[axis] - start)
        if rest == box[axis + 1 :]:
            band = memoryview(chunks.read(number))[: rows * row]
            number += 1
        else:
            whole = np.empty((rows, *rest), chunks.dtype)
            for corner in product(*starts[axis + 1 :]):
                elements = np.frombuffer(chunks.read(number), chunks.dtype).reshape(box[axis:])
                # A chunk at the edge reaches beyond it.
                part = whole[(slice(None), *map(slice, corner, map(add, corner, box[axis + 1 :])))]
                part[...] = elements[tuple(map(slice, part.shape))]
                number += 1
            band = whole.reshape(-1).view(np.uint8).data
        for at in range(0, len(band), CHUNK):
            yield bytes(band[at : at + CHUNK])
