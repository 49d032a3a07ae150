"""HDF5 files: a tree of groups whose leaves, the datasets, are the tensors.

A tensor's name is its dataset's path without the leading slash, in the order of creation where the
file tracks it and by name elsewhere. The layout of this tool is ``blocks/0/attn/c_attn/w``, ``wte``
and ``ln_f/g`` (:mod:`.writer`); root attributes state the model's configuration
(:mod:`..provenance`), as strings of fixed length or, rewritten by h5py, of variable length.

The official library, through h5py, says what is in a file and where, in a child process
(:mod:`.listing`), since some files bring it down. The elements are then read with pread, as those
of other containers are, from a descriptor that was checked to be a regular file. Contiguous,
compact and chunked datasets are read, shuffled, deflated or with Fletcher-32 checksums:
:mod:`.datasets`, :mod:`.chunks`, :mod:`.filters`. Refused: soft and external links, groups that are
linked twice (which may be a cycle), external and virtual datasets, all other filters, and elements
that are not little-endian numbers.

Format: The HDF Group, HDF5 File Format Specification 3.0.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from ...checkpoint.raw import FileInfo, RawCheckpoint
from ...errors import FormatError
from ...io.source import SourceFile
from ...quoting import quote
from ...tensors.tensor import LazyTensor, rechunk
from ..foreign import explain_file
from ..provenance import read_attributes
from .chunks import read_chunks
from .cross_check import read_through_library
from .file import HDF5File
from .layout import Chunked, Compact, Contiguous
from .listing import list_file
from .signature import NAME, find_signature

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from ...checkpoint.raw import OpenFile, RawConfig
    from .layout import Dataset

    ReadChunks = Callable[[Dataset, Chunked, str], Iterator[bytes]]


def open_hdf5(path: Path, step: int | None = None) -> RawCheckpoint:
    """Open a file and list its datasets, without reading elements.

    ``step`` has no meaning here.

    Raises:
        SourceNotFoundError, UnreadableError: the file cannot be opened, or no process started.
        FormatError: the library or a check of ours finds it malformed.
        UnsupportedError: it uses what the module's docstring says is refused.
    """
    source = SourceFile(path)
    _, datasets, stated = _list(source)
    return _build(source, source, datasets, stated, partial(read_chunks, source))


def open_written(path: Path, step: int | None = None) -> RawCheckpoint:
    """Open what this tool has just written, as `open_hdf5` does, with the library to read chunks.

    ``step`` has no meaning here.

    Raises:
        FormatError: the library refuses the file.
        UnreadableError: it cannot be read.
    """
    source = SourceFile(path)
    base, datasets, stated = _list(source)
    file = HDF5File(source, base)
    return _build(source, file, datasets, stated, partial(read_through_library, file))


def _list(source: SourceFile) -> tuple[int, list[Dataset], RawConfig | None]:
    """Return where in ``source`` HDF5 begins, what is in it and what it states of the model.

    It is closed if that fails.
    """
    try:
        base = find_signature(source)
        if base is None:
            raise explain_file(source) or FormatError(
                f"{source.path}: nowhere in it is the signature of HDF5"
            )
        datasets, attributes = list_file(source, base)
    except BaseException:
        source.close()
        raise
    return base, datasets, read_attributes(attributes, str(source.path))


def _build(
    source: SourceFile,
    file: OpenFile,
    datasets: list[Dataset],
    stated: RawConfig | None,
    read_chunked: ReadChunks,
) -> RawCheckpoint:
    """Return the checkpoint of these datasets; ``file`` is closed with it."""
    return RawCheckpoint(
        format=NAME,
        where=str(source.path),
        tensors=tuple(
            LazyTensor(
                name=dataset.name,
                shape=dataset.shape,
                dtype=dataset.dtype,
                nbytes=dataset.nbytes,
                read=partial(_read, source, dataset, read_chunked),
                source_name=dataset.name,
            )
            for dataset in datasets
        ),
        files=(FileInfo(str(source.path), source.size),),
        open_files=(file,),
        configs=(stated,) if stated else (),
    )


def _read(source: SourceFile, dataset: Dataset, read_chunked: ReadChunks) -> Iterator[bytes]:
    """Yield the elements of a dataset in pieces of CHUNK bytes."""
    path = dataset.name.encode("utf-8", "surrogateescape")
    what = quote(path.decode("utf-8", "backslashreplace"))
    match dataset.storage:
        case Contiguous(offset):
            yield from source.chunks(offset, dataset.nbytes, what)
        case Compact(data):
            source.read(0, 0, what)  # which nobody may who has closed it
            yield from rechunk([data])
        case Chunked() as chunks:
            yield from read_chunked(dataset, chunks, f"{source.path}: {what}")
