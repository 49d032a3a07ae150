"""Chunked datasets read by the library itself: what this tool has just written, for its proof.

So are those of other programs whose filters are not undone here, lzf and scale-offset for example:
in a child process, since the library trusts what it finds in a chunk.

The library lists whatever is written, as it lists every file (:mod:`.listing`): which datasets
there are, of which types and shapes, and where their elements lie. But chunks are more than bytes
at a place. Where :mod:`.writer` has compressed, the library is the one to undo it, so that no
mistake of the writer is undone by one of the reader's filters. It does so in this process, since
the file is our own.
"""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

from ...errors import FormatError
from ...io.source import CHUNK
from ...tensors.dtype import numpy_dtype
from ...tensors.runs import split
from .confined import confine
from .file import HDF5File, translate_errors
from .layout import NOWHERE
from .library import load_h5py, take_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...io.source import SourceFile
    from .layout import Chunked, Dataset


def read_confined(
    source: SourceFile, base: int, dataset: Dataset, chunks: Chunked, place: str
) -> Iterator[bytes]:
    """Yield the elements of ``dataset`` as below, out of a child process that reads them.

    Raises:
        FormatError: the library cannot read them, or crashes, or takes too much for that.
        UnreadableError: the disk fails, or there can be no process for the library.
    """
    source.read(0, 0, place)  # which nobody may who has closed it
    if NOWHERE in chunks.offsets:
        # The library would make the elements up.
        raise FormatError(f"{place}: a chunk was never written; the file is incomplete")
    load_h5py()
    work = partial(_read_all, source, base, dataset, chunks, place)
    yield from confine(work, str(source.path), (source.fd,))


def _read_all(
    source: SourceFile, base: int, dataset: Dataset, chunks: Chunked, place: str
) -> Iterator[bytes]:
    take_settings()
    yield from read_through_library(HDF5File(source, base), dataset, chunks, place)


def read_through_library(
    file: HDF5File, dataset: Dataset, chunks: Chunked, place: str
) -> Iterator[bytes]:
    """Yield the elements of ``dataset`` in pieces of CHUNK bytes; ``place`` names it in errors.

    Raises:
        FormatError, UnreadableError: the library cannot read them.
    """
    import numpy as np
    from h5py import h5d, h5p, h5s

    dtype = numpy_dtype(dataset.dtype)
    path = dataset.name.encode("utf-8", "surrogateescape")
    with translate_errors(place):
        access = h5p.create(h5p.DATASET_ACCESS)
        # Room for the chunks that reading in order needs at once, in a hash table so ample that
        # they do not displace each other; what was read to its end goes first (1.0).
        held = chunks.band // (math.prod(chunks.box) * dtype.itemsize)
        access.set_chunk_cache(100 * held + 1, chunks.band, 1.0)
        stored = h5d.open(file.root(), path, access)
    total = math.prod(dataset.shape)
    step = CHUNK // dtype.itemsize
    piece = np.empty(min(step, total), dtype)
    for start in range(0, total, step):
        filled = 0
        with translate_errors(place):
            file.check_open()
            space = stored.get_space()
            for offset, shape in split(dataset.shape, start, min(start + step, total)):
                part = piece[filled : filled + math.prod(shape)].reshape(shape)
                space.select_hyperslab(offset, shape)
                stored.read(h5s.create_simple(shape), space, part)
                filled += part.size
        yield piece[:filled].tobytes()
