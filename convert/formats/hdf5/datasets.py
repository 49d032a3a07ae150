"""Datasets: what a header says, checked before any element is read, and the elements in pieces.

How elements are stored (HDF5 File Format Specification, IV.A.2.i, Data Layout Message):

- contiguous: one run of bytes in the file; compact: within the object's header, below 64 KiB;
- chunked: boxes of one size, each stored alone, those at the edges in full, and each passed through
  the filters of the dataset. A chunk that was never written has no place in the file.

The library trusts what it finds in a chunk: it inflates without limit, and takes as many bytes as
a chunk should have from whatever came out. So every chunk is first inflated here, within the size
that it must have, before the library reads the dataset.
"""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

from ...errors import ChecksumError, FormatError, UnsupportedError
from ...io.source import CHUNK
from ...tensors.dtype import DType, numpy_dtype
from .file import translate_errors

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, Final

    from .file import HDF5File

MAX_CACHE: Final = 16 << 20
"""Bytes of the chunks that have to be at hand at once to read a dataset in order."""
MAX_CHUNKS: Final = 1 << 17
"""Chunks of a dataset; what h5py chooses by itself makes some thousands."""
_MAX_RATIO: Final = 1032
"""What deflate can gain at most: 258 bytes from two bits."""
_FLETCHER32: Final = 4
"""Bytes that this filter adds to a chunk."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Shape and dtype of a dataset, and the shape of its chunks where it is chunked.

    ``filters`` are the numbers of the filters in the order in which a writer applies them;
    ``cache`` is the size in bytes of the chunks that reading in order needs at once.
    """

    shape: tuple[int, ...]
    dtype: DType
    nbytes: int
    chunk: tuple[int, ...] = ()
    filters: tuple[int, ...] = ()
    cache: int = 0


def describe(dataset: Any, place: str, file_size: int) -> Layout:  # noqa: ANN401
    """Return how ``dataset`` is stored, from its header alone.

    Raises:
        FormatError: the header cannot be true, for a file of ``file_size`` bytes.
        UnsupportedError: external, virtual, of another filter or another type of elements.
    """
    from h5py import h5d, h5s

    dtype = _dtype(dataset.get_type(), place)
    space = dataset.get_space()
    if space.get_simple_extent_type() == h5s.NULL:
        raise UnsupportedError(f"{place}: an empty dataspace, which has no shape")
    shape = tuple(int(dim) for dim in space.get_simple_extent_dims())
    itemsize = numpy_dtype(dtype).itemsize
    nbytes = math.prod(shape) * itemsize
    plist = dataset.get_create_plist()
    kind = plist.get_layout()
    if plist.get_external_count():
        raise UnsupportedError(f"{place}: its elements lie in another file, which is not opened")
    if kind == h5d.CHUNKED:
        return _describe_chunks(plist, Layout(shape, dtype, nbytes), place, file_size)
    if kind not in (h5d.CONTIGUOUS, h5d.COMPACT):
        raise UnsupportedError(f"{place}: a virtual dataset, put together from others")
    layout = Layout(shape, dtype, nbytes)
    if not nbytes:
        return layout
    stored = dataset.get_storage_size()
    offset = dataset.get_offset() if kind == h5d.CONTIGUOUS else 0
    if offset is None or not stored:
        raise FormatError(f"{place}: was never written; the file is incomplete")
    if stored != nbytes:
        raise FormatError(
            f"{place}: shape {list(shape)} of {dtype} takes {nbytes:,} bytes, but {stored:,} "
            "are stored"
        )
    if offset + nbytes > file_size:
        raise FormatError(
            f"{place}: truncated: needs bytes {offset:,} to {offset + nbytes:,}, but the file "
            f"has {file_size:,}"
        )
    return layout


def _dtype(stored: Any, place: str) -> DType:  # noqa: ANN401
    from h5py import h5t

    for dtype in DType:
        # HDF5 has no bool and no complex numbers; NumPy's are known by h5py's enumeration of FALSE
        # and TRUE and by its compound of r and i.
        if dtype.in_numpy:
            known = h5t.py_create(numpy_dtype(dtype), logical=True)
            if stored.equal(known):
                return dtype
    kinds = {
        h5t.INTEGER: "integer", h5t.FLOAT: "float", h5t.STRING: "string", h5t.TIME: "time",
        h5t.BITFIELD: "bitfield", h5t.OPAQUE: "opaque", h5t.COMPOUND: "compound",
        h5t.REFERENCE: "reference", h5t.ENUM: "enum", h5t.VLEN: "variable-length",
        h5t.ARRAY: "array",
    }  # fmt: skip
    kind = stored.get_class()
    numeric = kind in (h5t.INTEGER, h5t.FLOAT)
    order = "big-endian " if numeric and stored.get_order() == h5t.ORDER_BE else ""
    raise UnsupportedError(
        f"{place}: elements of {stored.get_size()} bytes and type "
        f"{order}{kinds.get(kind, 'unknown')}; little-endian NumPy numbers are read"
    )


def _describe_chunks(plist: Any, layout: Layout, place: str, file_size: int) -> Layout:  # noqa: ANN401
    from h5py import h5z

    known = {h5z.FILTER_DEFLATE, h5z.FILTER_SHUFFLE, h5z.FILTER_FLETCHER32}
    filters = tuple(plist.get_filter(number)[0] for number in range(plist.get_nfilters()))
    if not known.issuperset(filters):
        foreign = next(number for number in filters if number not in known)
        raise UnsupportedError(
            f"{place}: filter {foreign}; gzip, shuffle and fletcher32 are read: "
            "h5repack -f GZIP=1 makes such a file"
        )
    if len(set(filters)) < len(filters):
        raise UnsupportedError(f"{place}: one filter is applied twice")
    chunk = tuple(int(dim) for dim in plist.get_chunk())
    if len(chunk) != len(layout.shape) or 0 in chunk:
        raise FormatError(f"{place}: chunks {list(chunk)} for the shape {list(layout.shape)}")
    itemsize = numpy_dtype(layout.dtype).itemsize
    counts = [-(-dim // size) for dim, size in zip(layout.shape, chunk, strict=True)]
    padded = math.prod(counts) * math.prod(chunk) * itemsize
    if padded > file_size * (_MAX_RATIO if h5z.FILTER_DEFLATE in filters else 1):
        raise FormatError(
            f"{place}: {math.prod(counts):,} chunks of {list(chunk)} take {padded:,} bytes, more "
            f"than a file of {file_size:,} can hold; it is incomplete"
        )
    # In C order, all chunks that meet one step along the first axis that they divide.
    axis = next((axis for axis, size in enumerate(chunk) if size > 1), 0)
    cache = chunk[axis] * math.prod(
        count * size for count, size in zip(counts[axis + 1 :], chunk[axis + 1 :], strict=True)
    )
    if cache * itemsize > MAX_CACHE or math.prod(counts) > MAX_CHUNKS:
        raise UnsupportedError(
            f"{place}: {math.prod(counts):,} chunks of {list(chunk)} cannot be read in order "
            f"within {MAX_CACHE:,} bytes; h5repack -l CONTI makes the file contiguous"
        )
    return Layout(layout.shape, layout.dtype, layout.nbytes, chunk, filters, cache * itemsize)


def find_chunks(file: HDF5File, path: bytes, layout: Layout) -> None:
    """Look up every chunk of the dataset at ``path``, and read none.

    Raises:
        FormatError: the library cannot.
    """
    from h5py import h5d

    with translate_errors(file.place(path)):
        dataset = h5d.open(file.root(), path)
        for corner in _corners(layout):
            dataset.get_chunk_info_by_coord(corner)


def read(file: HDF5File, path: bytes, layout: Layout) -> Iterator[bytes]:
    """Yield the elements of the dataset at ``path`` in pieces of CHUNK bytes.

    Raises:
        ChecksumError: a chunk is damaged.
        FormatError, UnreadableError: the elements cannot be read.
    """
    import numpy as np
    from h5py import h5d, h5p, h5s

    place = file.place(path)
    with translate_errors(place):
        access = h5p.create(h5p.DATASET_ACCESS)
        if layout.chunk:
            # Chunks that were read to their end go first (1.0): they are not needed again.
            access.set_chunk_cache(_slots(layout), layout.cache, 1.0)
        dataset = h5d.open(file.root(), path, access)
        if layout.chunk:
            _check_chunks(file, dataset, layout, place)
    dtype = numpy_dtype(layout.dtype)
    total = layout.nbytes // dtype.itemsize
    step = CHUNK // dtype.itemsize
    piece = np.empty(min(step, total), dtype)
    for start in range(0, total, step):
        stop = min(start + step, total)
        filled = 0
        with translate_errors(place):
            file.check_open()
            space = dataset.get_space()
            for offset, shape in split(layout.shape, start, stop):
                part = piece[filled : filled + math.prod(shape)].reshape(shape)
                if shape:
                    space.select_hyperslab(offset, shape)
                dataset.read(h5s.create_simple(shape) if shape else h5s.ALL, space, part)
                filled += part.size
        yield piece[:filled].tobytes()


def split(
    shape: tuple[int, ...], start: int, stop: int
) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Cut the elements ``start`` to ``stop``, in C order, into boxes: (offset, shape) of each.

    At most one box in the middle and two an axis are needed.
    """
    if not shape:
        yield (), ()
        return
    strides = [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]
    while start < stop:
        axis = next(
            axis
            for axis, stride in enumerate(strides)
            if start % stride == 0 and stop - start >= stride
        )
        offset = tuple(start // stride % dim for stride, dim in zip(strides, shape, strict=True))
        count = min(shape[axis] - offset[axis], (stop - start) // strides[axis])
        yield offset, (*[1] * axis, count, *shape[axis + 1 :])
        start += count * strides[axis]


def _slots(layout: Layout) -> int:
    """Return the size of the cache's hash table: ample, so that chunks do not displace each other.

    Two chunks in one slot cost time, not correctness.
    """
    itemsize = numpy_dtype(layout.dtype).itemsize
    cached = layout.cache // (math.prod(layout.chunk) * itemsize)
    return 100 * cached + 1


def _corners(layout: Layout) -> Iterator[tuple[int, ...]]:
    """Yield the offset of every chunk; none where the dataset is not chunked."""
    if layout.chunk:
        sizes = zip(layout.shape, layout.chunk, strict=True)
        yield from product(*(range(0, dim, size) for dim, size in sizes))


def _check_chunks(file: HDF5File, dataset: Any, layout: Layout, place: str) -> None:  # noqa: ANN401
    """Check that each chunk is there and gives as many bytes as it should.

    Raises:
        ChecksumError: it cannot be inflated.
        FormatError: it was never written, or gives more or fewer bytes.
    """
    from h5py import h5z

    nominal = math.prod(layout.chunk) * numpy_dtype(layout.dtype).itemsize
    for corner in _corners(layout):
        info = dataset.get_chunk_info_by_coord(corner)
        here = f"{place}, chunk at {list(corner)}"
        if info.byte_offset is None or not info.size:
            raise FormatError(f"{here}: was never written; the file is incomplete")
        # Bit n of the mask says that the nth filter was left out.
        filters = [
            number for bit, number in enumerate(layout.filters) if not info.filter_mask >> bit & 1
        ]
        deflated = h5z.FILTER_DEFLATE in filters
        before = filters[: filters.index(h5z.FILTER_DEFLATE)] if deflated else filters
        expected = nominal + _FLETCHER32 * (h5z.FILTER_FLETCHER32 in before)
        found = info.size
        if deflated:
            # Deflate lengthens what it cannot shorten, by a few bytes in 16 KiB.
            if found > expected + expected // 100 + 64:
                raise FormatError(f"{here}: {found:,} bytes stored for {expected:,}")
            found = _inflate(dataset.read_direct_chunk(corner)[1], expected, here)
        if found != expected:
            count = "more" if deflated and found > expected else f"{found:,}"
            raise FormatError(f"{here}: {expected:,} bytes expected, found {count}")


def _inflate(stored: bytes, expected: int, here: str) -> int:
    """Return how many bytes ``stored`` inflates to, or one more than ``expected`` for any more."""
    inflater = zlib.decompressobj()
    try:
        found = len(inflater.decompress(stored, expected + 1))
    except zlib.error as error:
        raise ChecksumError(f"{here}: cannot be inflated: {error}") from None
    if found <= expected and not inflater.eof:
        raise ChecksumError(f"{here}: the compressed bytes end too early")
    return found
