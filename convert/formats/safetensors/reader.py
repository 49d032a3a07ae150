"""safetensors files: names, dtypes, shapes and raw bytes.

One file: :mod:`.header`. A model in several files: :mod:`.sharded`. What this tool's own files
state in their metadata: :mod:`..provenance`.

Files are read with pread and parsed here, since the library maps what it opens, hands out one range
under two names, and needs another package for bfloat16; :mod:`.cross_check` is where it has its
say.

Limits: dtypes narrower than a byte are refused. The tensors of a missing shard
are unknown, since an index has no shapes.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from ...checkpoint.raw import FileInfo, RawCheckpoint
from ...io.source import SourceFile
from ...quoting import quote
from ...tensors.runs import Seekable
from ...tensors.tensor import LazyTensor
from ..provenance import read_metadata
from .header import LENGTH_BYTES, MAX_FORMAT_HEADER_BYTES, announced_length, read_header
from .sharded import INDEX, Shard, open_shards, read_index

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from typing import Final

    from ...tensors.runs import Bytes
    from .header import Header

NAME: Final = "safetensors"
SUFFIX: Final = ".safetensors"


def recognises_file(path: Path) -> bool:
    """Whether the file ``path`` is a safetensors file, or the index of several."""
    if path.name.endswith(INDEX):
        return True
    file = SourceFile(path)
    try:
        length = announced_length(file.read(0, min(file.size, LENGTH_BYTES + 1), "the magic"))
    finally:
        file.close()
    return length is not None and (length <= MAX_FORMAT_HEADER_BYTES or path.name.endswith(SUFFIX))


def open_safetensors(path: Path) -> RawCheckpoint:
    """Open a file, or the index of a sharded model; read headers, no data.

    Raises:
        SourceNotFoundError, UnreadableError: a file cannot be opened.
        FormatError: a header or the index is malformed, or the file is something else.
        UnsupportedError: it has a dtype that is not handled.
    """
    if path.name.endswith(INDEX):
        shards, faults = open_shards(path, read_index(path))
        files = [FileInfo(str(path), path.stat().st_size)]
        metadata: Mapping[str, str] = {}
    else:
        file = SourceFile(path)
        header = read_header(file)
        shards, faults = [Shard(path, file, header)], [header.fault] if header.fault else []
        files = []
        metadata = header.metadata
    files += [
        FileInfo(str(shard.path), shard.file.size if shard.file else None) for shard in shards
    ]
    stated = read_metadata(metadata, str(path))
    return RawCheckpoint(
        format=NAME,
        where=str(path),
        tensors=tuple(
            tensor
            for shard in shards
            if shard.file and shard.header
            for tensor in _list_tensors(shard.file, shard.header)
        ),
        files=tuple(files),
        open_files=tuple(shard.file for shard in shards if shard.file),
        configs=(stated,) if stated else (),
        faults=tuple(faults),
    )


def _list_tensors(file: SourceFile, header: Header) -> Iterator[LazyTensor]:
    for entry in header.entries:
        nbytes = entry.end - entry.begin
        yield LazyTensor(
            name=entry.name,
            shape=entry.shape,
            dtype=entry.dtype,
            nbytes=nbytes,
            read=_find_way(file, header.data_start + entry.begin, nbytes, quote(entry.name)),
            source_name=entry.name,
        )


def _find_way(file: SourceFile, start: int, nbytes: int, label: str) -> Seekable:
    def read_at(offset: int, size: int) -> Iterator[bytes]:
        return file.chunks(start + offset, size, label)

    def fill(array: Bytes) -> Iterator[Bytes]:
        return file.fill(array, start, label)

    return Seekable(partial(read_at, 0, nbytes), read_at, fill=fill)
