"""Datasets: what the library says of one, checked before any element is read.

How elements are stored (HDF5 File Format Specification, IV.A.2.i, Data Layout Message):

- contiguous: one run of bytes in the file; compact: within the object's header, below 64 KiB;
- chunked: boxes of one size, each stored alone, those at the edges in full, and each passed through
  the filters of the dataset. A chunk that was never written has no place in the file.

This runs in the process that the library may bring down (:mod:`.listing`).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ...checkpoint.raw import Skipped
from ...errors import FormatError, UnsupportedError
from ...quoting import clip
from ...tensors.dtype import numpy_dtype
from ..limits import check_expansion, check_rank
from .element_types import describe_type, find_dtype
from .filters import FLETCHER32, MAX_RATIO, SHUFFLE, is_read, is_undone_here
from .layout import NOWHERE, Chunked, Compact, Contiguous, Dataset, columns, split_axis

if TYPE_CHECKING:
    from array import array
    from typing import Any, Final

    from ...tensors.dtype import DType
    from .layout import Storage

MAX_BAND: Final = 16 << 20
"""Bytes of the chunks that have to be at hand at once to read a dataset in order."""
MAX_CHUNKS: Final = 1 << 17
"""Chunks of a dataset; what h5py chooses by itself makes some thousands."""
MAX_ALL_CHUNKS: Final = 1 << 19
"""Chunks of all datasets of a file: four times what h5py by itself makes of the largest GPT-2."""
MAX_COMPACT: Final = 16 << 20
"""Bytes of all compact datasets of a file: four times those of the largest GPT-2."""
_REMEDY: Final = "h5repack -l CONTI makes the file contiguous"


class _NotReadError(Exception):
    """A dataset is none of those that are read; the text is the reason."""


class Describer:
    """Describes the datasets of one file, in which chunks and compact elements are counted."""

    def __init__(self, size: int, base: int) -> None:
        """Expect a file of ``size`` bytes; ``base`` is where it begins within the one on disk."""
        self._size = size
        self._base = base
        self._chunks = self._compact = self._inflated = self._deflated = 0

    def describe(self, dataset: Any, name: str, place: str) -> Dataset | Skipped:  # noqa: ANN401
        """Return what the library says of ``dataset``; ``place`` names it in errors.

        It is skipped if it is external, virtual, of another filter or another type of elements, or
        has no shape.

        Raises:
            FormatError: it cannot be true, for a file of this size.
            UnsupportedError: there are more chunks or compact elements than may be.
        """
        try:
            return self._describe(dataset, name, place)
        except _NotReadError as error:
            return Skipped(name, str(error))

    def _describe(self, dataset: Any, name: str, place: str) -> Dataset:  # noqa: ANN401
        from h5py import h5s

        stored = dataset.get_type()
        known = find_dtype(stored)
        if known is None:
            raise _NotReadError(f"elements of {describe_type(stored)}; NumPy's numbers are read")
        dtype, swap = known
        space = dataset.get_space()
        if space.get_simple_extent_type() == h5s.NULL:
            raise _NotReadError("an empty dataspace, which has no shape")
        shape = tuple(int(dim) for dim in space.get_simple_extent_dims())
        check_rank(len(shape), place)
        nbytes = math.prod(shape) * numpy_dtype(dtype).itemsize
        storage = self._find(dataset, shape, dtype, nbytes, place)
        # The library turns what it reads itself.
        swap = swap and not isinstance(storage, Compact)
        if isinstance(storage, Chunked) and not is_undone_here(storage.filters):
            swap = False
        return Dataset(name, shape, dtype, nbytes, storage, swap)

    def finish(self, where: str) -> None:
        """Refuse the file, which is ``where``, if all that is deflated in it cannot be weights.

        Raises:
            UnsupportedError: it is too small for them.
        """
        # Chunks may share their bytes, and need not be as small as they seem.
        check_expansion(self._inflated, min(self._deflated, self._size), where)

    def _find(
        self,
        dataset: Any,  # noqa: ANN401
        shape: tuple[int, ...],
        dtype: DType,
        nbytes: int,
        place: str,
    ) -> Storage:
        from h5py import h5d

        plist = dataset.get_create_plist()
        kind = plist.get_layout()
        if plist.get_external_count():
            raise _NotReadError("its elements lie in another file, which is not opened")
        if kind == h5d.CHUNKED:
            return self._find_chunks(dataset, plist, shape, dtype, place)
        if kind not in (h5d.CONTIGUOUS, h5d.COMPACT):
            raise _NotReadError("a virtual dataset, put together from others")
        if not nbytes:
            return Compact(b"")
        stored = dataset.get_storage_size()
        offset = dataset.get_offset() if kind == h5d.CONTIGUOUS else 0
        if offset is None or not stored:
            raise FormatError(f"{place}: was never written; the file is incomplete")
        if stored != nbytes:
            raise FormatError(
                f"{place}: shape {clip(str(list(shape)))} of {dtype} takes {nbytes:,} bytes, but "
                f"{stored:,} are stored"
            )
        if kind == h5d.COMPACT:
            return self._read_compact(dataset, shape, dtype, nbytes, place)
        if offset + nbytes > self._size:
            raise FormatError(
                f"{place}: truncated: needs bytes {offset:,} to {offset + nbytes:,}, but the file "
                f"has {self._size:,}"
            )
        return Contiguous(self._base + offset)

    def _read_compact(
        self,
        dataset: Any,  # noqa: ANN401
        shape: tuple[int, ...],
        dtype: DType,
        nbytes: int,
        place: str,
    ) -> Compact:
        import numpy as np
        from h5py import h5s

        self._compact += nbytes
        if self._compact > MAX_COMPACT:
            raise UnsupportedError(f"{place}: more than {MAX_COMPACT:,} bytes of compact datasets")
        elements = np.empty(shape, numpy_dtype(dtype))
        dataset.read(h5s.ALL, h5s.ALL, elements)
        return Compact(elements.tobytes())

    def _find_chunks(
        self,
        dataset: Any,  # noqa: ANN401
        plist: Any,  # noqa: ANN401
        shape: tuple[int, ...],
        dtype: DType,
        place: str,
    ) -> Chunked:
        filters, width = _filters(plist, place)
        packed = not {SHUFFLE, FLETCHER32}.issuperset(filters)
        box = tuple(int(dim) for dim in plist.get_chunk())
        if not box or len(box) != len(shape) or 0 in box:
            raise FormatError(f"{place}: chunks {list(box)} for the shape {clip(str(list(shape)))}")
        itemsize = numpy_dtype(dtype).itemsize
        counts = [-(-dim // size) for dim, size in zip(shape, box, strict=True)]
        count = math.prod(counts)
        padded = count * math.prod(box) * itemsize
        if padded > self._size * (MAX_RATIO if packed else 1):
            raise FormatError(
                f"{place}: {count:,} chunks of {list(box)} take {padded:,} bytes, more "
                f"than a file of {self._size:,} can hold; it is incomplete"
            )
        band = itemsize * _elements_at_once(counts, box)
        self._chunks += count
        cut = f"{place}: {count:,} chunks of {list(box)}"
        if band > MAX_BAND:
            raise UnsupportedError(
                f"{cut} cannot be read in order within {MAX_BAND:,} bytes; {_REMEDY}"
            )
        if count > MAX_CHUNKS:
            raise UnsupportedError(f"{cut}, where at most {MAX_CHUNKS:,} are read; {_REMEDY}")
        if self._chunks > MAX_ALL_CHUNKS:
            raise UnsupportedError(
                f"{cut}, and more than {MAX_ALL_CHUNKS:,} of all datasets together; {_REMEDY}"
            )
        offsets, sizes, masks = _look_up(dataset, counts, box, self._base, place)
        if packed:
            self._inflated += math.prod(shape) * itemsize
            self._deflated += sum(sizes)
        return Chunked(box, filters, width, band, offsets, sizes, masks)


def _elements_at_once(counts: list[int], box: tuple[int, ...]) -> int:
    """Return the elements, in C order, of all chunks that meet one step along the split axis."""
    axis = split_axis(box)
    after = zip(counts[axis + 1 :], box[axis + 1 :], strict=True)
    return box[axis] * math.prod(count * size for count, size in after)


def _filters(plist: Any, place: str) -> tuple[tuple[int, ...], int]:  # noqa: ANN401
    """Return the numbers of the filters and what shuffle takes for the size of an element."""
    settings = [plist.get_filter(number) for number in range(plist.get_nfilters())]
    filters = tuple(int(number) for number, *_ in settings)
    foreign = next((number for number in filters if not is_read(number)), None)
    if foreign is not None:
        raise _NotReadError(
            f"filter {foreign}; gzip, lzf, scale-offset, shuffle and fletcher32 are read: "
            "h5repack -f GZIP=1 makes such a file"
        )
    if len(set(filters)) < len(filters):
        raise UnsupportedError(f"{place}: one filter is applied twice")
    widths = [values[:1] for number, _, values, *_ in settings if number == SHUFFLE]
    width = int(widths[0][0]) if widths and widths[0] else 0
    if widths and not width:
        raise FormatError(f"{place}: shuffled in elements of no size")
    return filters, width


def _look_up(
    dataset: Any,  # noqa: ANN401
    counts: list[int],
    box: tuple[int, ...],
    base: int,
    place: str,
) -> tuple[array[int], array[int], array[int]]:
    """Return the offsets, sizes and masks of the chunks, in C order.

    Raises:
        FormatError: two chunks are at one place, or there are more than can be.
    """
    count = math.prod(counts)
    offsets, sizes, masks = table = columns(count)
    strides = [math.prod(counts[axis + 1 :]) for axis in range(len(counts))]
    axes = tuple(zip(box, counts, strides, strict=True))
    visited = 0
    fault = ""

    # True ends the iteration, which no exception can.
    def add(chunk: Any) -> bool | None:  # noqa: ANN401
        nonlocal visited, fault
        visited += 1
        if visited > MAX_CHUNKS:
            fault = f"{place}: more than {MAX_CHUNKS:,} chunks, of {count:,} that there can be"
            return True
        index = 0
        for at, (size, most, stride) in zip(chunk.chunk_offset, axes, strict=True):
            step = at // size
            if step >= most:
                return None  # left over from a larger shape
            index += step * stride
        if chunk.byte_offset is None or chunk.byte_offset == NOWHERE or not chunk.size:
            return None
        if offsets[index] != NOWHERE:
            fault = f"{place}: two chunks at {list(chunk.chunk_offset)}"
            return True
        offsets[index] = base + chunk.byte_offset
        sizes[index] = chunk.size
        masks[index] = chunk.filter_mask
        return None

    if count:
        dataset.chunk_iter(add)
    if fault:
        raise FormatError(fault)
    return table
