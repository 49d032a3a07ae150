"""The elements of a tensor in C order, streamed from the parts that tile it.

The rows of a part follow each other in it as they do in the tensor: so any run of rows of the
tensor takes, of every part that has some of them, the bytes that come next in it. A part is read
once, from its first byte to its last, and what is held is one run of the tensor and one part's
share of it, however many parts there are. Where a row alone is too long for that, its own axes are
walked in the same way.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...errors import ChecksumError, UnsupportedError
from ...io.source import CHUNK
from ...quoting import quote
from ...tensors.byte_order import swap_bytes
from ...tensors.tensor import rechunk

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Final

    from ...tensors.runs import Bytes
    from .index import Variable
    from .shards import Cursor, Shards
    from .slices import Part

RUN: Final = 2 << 20
"""Bytes of the tensor that are put together at a time: even of 768 columns that are a slice each,
hundreds of elements a read."""
_SMALL_READ: Final = 512
"""Bytes of a read, on the average, below which it is the number of reads that takes the time."""
_READS_A_PART: Final = 4
_FREE_READS: Final = 1000
"""Reads that may be as small as they are: of each part, and of all together."""


def read_numbers(
    variable: Variable, itemsize: int, shards: Shards, *, swap: bool
) -> Iterator[bytes]:
    """Yield the elements, and compare the crc32c of each part after the last ones.

    ``swap`` turns the bytes of each number around: the checksums are those of the bytes on disk.

    Raises:
        UnsupportedError: the parts are so narrow that to read them takes far longer than their size
            says.
    """
    _check_reads(variable, itemsize)
    cursors = [shards.open(part) for part in variable.parts]
    chunks = _read_parts(cursors, variable.shape, itemsize)
    if len(cursors) > 1:
        chunks = rechunk(chunks)
    return swap_bytes(chunks, variable.dtype) if swap else chunks


def are_stacked(variable: Variable) -> bool:
    """Whether each part has whole rows of the tensor, as the only one of most tensors has."""
    return all(part.entry.shape[1:] == variable.shape[1:] for part in variable.parts)


def read_run(
    variable: Variable, itemsize: int, shards: Shards, offset: int, size: int
) -> Iterator[bytes]:
    """Yield ``size`` bytes from ``offset`` on, as they are stored, of parts that are stacked.

    No checksum is compared.
    """
    row = math.prod(variable.shape[1:]) * itemsize
    for part in sorted(variable.parts, key=lambda part: part.starts):
        start = part.starts[0] * row if part.starts else 0
        low, high = max(offset, start), min(offset + size, start + part.entry.size)
        if low < high:
            yield from shards.read_run(part, low - start, high - low)


def fill_whole(part: Part, shards: Shards, array: Bytes) -> Iterator[Bytes]:
    """Put a part that is the whole tensor into an array, and compare its crc32c at the end."""
    cursor = shards.open(part)
    yield from cursor.fill(array)
    cursor.check()


def _check_reads(variable: Variable, itemsize: int) -> None:
    """Count the reads that the runs of the first axis take."""
    parts = variable.parts
    if len(parts) == 1 or not all(variable.shape):
        return
    step = max(1, RUN // (math.prod(variable.shape[1:]) * itemsize))
    reads = sum(
        -(-(part.starts[0] + part.entry.shape[0]) // step) - part.starts[0] // step
        for part in parts
    )
    nbytes = math.prod(variable.shape) * itemsize
    if reads > _FREE_READS + _READS_A_PART * len(parts) + nbytes // _SMALL_READ:
        raise UnsupportedError(
            f"{quote(variable.name)}: its {len(parts):,} slices are so narrow that {nbytes:,} "
            f"bytes take {reads:,} reads; save it in fewer slices"
        )


def _read_parts(
    cursors: Sequence[Cursor], shape: tuple[int, ...], itemsize: int
) -> Iterator[bytes]:
    if len(cursors) == 1:
        yield from cursors[0].chunks(cursors[0].part.entry.size)
    else:
        filled = [cursor for cursor in cursors if cursor.part.entry.size]
        if filled:
            yield from _walk(filled, 0, shape, itemsize)
    failure: ChecksumError | None = None
    for cursor in cursors:
        try:
            cursor.check()
        except ChecksumError as error:
            failure = failure or error
    if failure is not None:
        raise failure


@dataclass(frozen=True, slots=True)
class _Band:
    """What a part has of the rows ``start`` to ``stop`` of an axis: a box of each, at ``box``."""

    cursor: Cursor
    start: int
    stop: int
    box: tuple[slice, ...]
    lengths: tuple[int, ...]

    @property
    def size(self) -> int:
        """Elements in a row."""
        return math.prod(self.lengths)


def _band(cursor: Cursor, axis: int) -> _Band:
    starts, lengths = cursor.part.starts[axis:], cursor.part.entry.shape[axis:]
    first, *box = (slice(at, at + length) for at, length in zip(starts, lengths, strict=True))
    return _Band(cursor, first.start, first.stop, tuple(box), lengths[1:])


def _walk(
    cursors: Iterable[Cursor], axis: int, shape: tuple[int, ...], itemsize: int
) -> Iterator[bytes]:
    """Yield what the parts have from ``axis`` on, at one place of the axes before it."""
    import numpy as np

    row = math.prod(shape[axis + 1 :]) * itemsize
    step = min(max(1, RUN // row), shape[axis])
    # Of every dtype the bits are copied; which numbers they are does not matter.
    kind = "c16" if itemsize == 16 else f"u{itemsize}"
    buffer = np.empty((step, *shape[axis + 1 :]) if row <= RUN else 0, kind)
    waiting = sorted((_band(each, axis) for each in cursors), key=lambda band: -band.start)
    active: list[_Band] = []
    for first in range(0, shape[axis], step):
        last = min(first + step, shape[axis])
        active = [band for band in active if band.stop > first]
        while waiting and waiting[-1].start < last:
            active.append(waiting.pop())
        if len(active) == 1:
            yield from active[0].cursor.chunks((last - first) * row)
        elif row > RUN:
            yield from _walk((band.cursor for band in active), axis + 1, shape, itemsize)
        else:
            run = buffer[: last - first]
            for band in active:
                start, stop = max(band.start, first), min(band.stop, last)
                data = band.cursor.read((stop - start) * band.size * itemsize)
                box = np.frombuffer(data, kind).reshape(stop - start, *band.lengths)
                run[start - first : stop - first][:, *band.box] = box
            whole = run.reshape(-1).view(np.uint8)
            for at in range(0, len(whole), CHUNK):
                yield whole[at : at + CHUNK].tobytes()
