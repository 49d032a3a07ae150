"""HDF5 files: a tree of groups whose leaves, the datasets, are the tensors.

A tensor's name is its dataset's path without the leading slash, in the order of creation where the
file tracks it and by name elsewhere. The layout of this tool is ``blocks/0/attn/c_attn/w``, ``wte``
and ``ln_f/g`` (:mod:`.writer`); root attributes state the model's configuration
(:mod:`..provenance`), as strings of fixed length or, rewritten by h5py, of variable length.

The official library, through h5py, says what is in a file and where, in a child process
(:mod:`.listing`), since some files bring it down. The elements are then read with pread, as those
of other containers are, from a descriptor that was checked to be a regular file. Contiguous,
compact and chunked datasets are read, shuffled, deflated or with Fletcher-32 checksums:
:mod:`.datasets`, :mod:`.chunks`, :mod:`.filters`. What other filters of the library's own have made
(lzf, scale-offset), it undoes itself, in a child process again. Refused are groups that are linked
twice (which may be a cycle). Skipped, and refused where they are weights: soft and external links,
external and virtual datasets, all other filters, and elements that are no numbers.

Format: The HDF Group, HDF5 File Format Specification 3.0.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from ...checkpoint.raw import FileInfo, RawCheckpoint, Skipped, describe_skipped
from ...errors import FormatError
from ...io.source import SourceFile
from ...quoting import quote
from ...tensors.byte_order import read_swapped
from ...tensors.runs import Seekable
from ...tensors.tensor import LazyTensor, rechunk
from ..foreign import explain_file
from ..provenance import read_attributes
from .chunks import read_chunks, read_some_chunks
from .cross_check import read_confined, read_through_library
from .file import HDF5File
from .filters import is_undone_here
from .layout import Chunked, Compact, Contiguous
from .listing import list_file
from .signature import NAME, find_signature

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from ...checkpoint.raw import OpenFile, RawConfig
    from ...tensors.runs import Bytes
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
    base, listed = _list(source)
    return _build(source, source, listed, partial(_read_chunks, source, base))


def open_written(path: Path, step: int | None = None) -> RawCheckpoint:
    """Open what this tool has just written, as `open_hdf5` does, with the library to read chunks.

    ``step`` has no meaning here.

    Raises:
        FormatError: the library refuses the file.
        UnreadableError: it cannot be read.
    """
    source = SourceFile(path)
    base, listed = _list(source)
    file = HDF5File(source, base)
    return _build(source, file, listed, partial(read_through_library, file))


@dataclass(frozen=True, slots=True)
class _Listed:
    """What is in a file, what of it is not read, and what it states of the model."""

    datasets: list[Dataset]
    skipped: tuple[Skipped, ...]
    stated: RawConfig | None


def _list(source: SourceFile) -> tuple[int, _Listed]:
    """Return where in ``source`` HDF5 begins, and what is in it.

    It is closed if that fails.
    """
    try:
        base = find_signature(source)
        if base is None:
            raise explain_file(source) or FormatError(
                f"{source.path}: nowhere in it is the signature of HDF5"
            )
        datasets, skipped, attributes = list_file(source, base)
    except BaseException:
        source.close()
        raise
    stated = read_attributes(attributes, str(source.path))
    return base, _Listed(datasets, tuple(skipped), stated)


def _build(
    source: SourceFile,
    file: OpenFile,
    listed: _Listed,
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
                read=_find_way(source, dataset, read_chunked),
                source_name=dataset.name,
            )
            for dataset in listed.datasets
        ),
        files=(FileInfo(str(source.path), source.size),),
        open_files=(file,),
        configs=(listed.stated,) if listed.stated else (),
        notes=describe_skipped(listed.skipped),
        skipped=listed.skipped,
    )


def _read_chunks(
    source: SourceFile, base: int, dataset: Dataset, chunks: Chunked, place: str
) -> Iterator[bytes]:
    """Yield the elements of a chunked dataset; the library undoes what is not undone here."""
    if is_undone_here(chunks.filters):
        return read_chunks(source, dataset, chunks, place)
    return read_confined(source, base, dataset, chunks, place)


def _find_way(
    source: SourceFile, dataset: Dataset, read_chunked: ReadChunks
) -> Callable[[], Iterator[bytes]]:
    """Return how a dataset is read, as little-endian numbers in pieces of CHUNK bytes.

    A run of them can be read alone where it lies as it is, or in chunks that are undone here.
    """
    read: Callable[[], Iterator[bytes]] = partial(_read_stored, source, dataset, read_chunked)
    match dataset.storage:
        case Contiguous(start):
            fill = partial(_fill, source, dataset, start)
            read = Seekable(read, partial(_read_run, source, dataset, start), fill=fill)
        case Chunked() as chunks if is_undone_here(chunks.filters):
            place = f"{source.path}: {_label(dataset)}"
            run = partial(read_some_chunks, source, dataset, chunks, place)
            read = Seekable(read, run, direct=False)
    return read_swapped(read, dataset.dtype) if dataset.swap else read


def _label(dataset: Dataset) -> str:
    path = dataset.name.encode("utf-8", "surrogateescape")
    return quote(path.decode("utf-8", "backslashreplace"))


def _read_run(
    source: SourceFile, dataset: Dataset, start: int, offset: int, size: int
) -> Iterator[bytes]:
    return source.chunks(start + offset, size, _label(dataset))


def _fill(source: SourceFile, dataset: Dataset, start: int, array: Bytes) -> Iterator[Bytes]:
    return source.fill(array, start, _label(dataset))


def _read_stored(source: SourceFile, dataset: Dataset, read_chunked: ReadChunks) -> Iterator[bytes]:
    what = _label(dataset)
    match dataset.storage:
        case Contiguous(offset):
            yield from source.chunks(offset, dataset.nbytes, what)
        case Compact(data):
            source.read(0, 0, what)  # which nobody may who has closed it
            yield from rechunk([data])
        case Chunked() as chunks:
            yield from read_chunked(dataset, chunks, f"{source.path}: {what}")
