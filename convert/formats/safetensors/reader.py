"""safetensors, the container of Hugging Face's models, and of this tool's own.

One file: :mod:`.header`. A model in several files: :mod:`.sharded`. ``config.json`` beside them
states the sizes. The files that this tool writes state them in their metadata, under PROVENANCE, as
the JSON object ``{"hparams": {…}, "source_format": "…"}``; a model that was Hugging Face's has its
whole config.json there, as ``"config"``.

Files are read with pread and parsed here, since the library maps what it opens, hands out one range
under two names, and needs another package for bfloat16; :mod:`.witness` is where it has its say.

Limits: dtypes narrower than a byte and the 8-bit floats are refused, PEFT adapters listed but not
converted. The tensors of a missing shard are unknown, since an index has no shapes.
"""

from __future__ import annotations

import json
import os
from functools import partial
from typing import TYPE_CHECKING

from ...checkpoint.canonical import FileInfo, RawCheckpoint, RawConfig
from ...errors import SourceNotFoundError, UnsupportedError, UsageError
from ...io.source import SourceFile, read_small
from ...quoting import quote
from ...tensors.tensor import LazyTensor
from ..foreign import ADAPTER
from .cross_check import confirm
from .header import LENGTH_BYTES, MAX_FORMAT_HEADER_BYTES, announced_length, read_header
from .sharded import INDEX, Shard, open_shards, read_index

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Final

    from .header import Header

NAME: Final = "safetensors"
SUFFIX: Final = ".safetensors"
MODEL: Final = "model.safetensors"
CONFIG: Final = "config.json"
PROVENANCE: Final = "gpt2-convert"
"""The key of the metadata under which the files of this tool say where they come from."""
MAX_CONFIG_BYTES: Final = 1 << 20
_ADAPTER_FILE: Final = "adapter_model.safetensors"


def recognises(path: Path) -> bool:
    """Whether ``path`` is a safetensors file, its index, or a folder with one of them."""
    if path.is_dir():
        return any(name.endswith((SUFFIX, INDEX)) for name in os.listdir(path))
    if not path.is_file():
        return False
    if path.name.endswith(INDEX):
        return True
    file = SourceFile(path)
    try:
        length = announced_length(file.read(0, min(file.size, LENGTH_BYTES + 1), "the magic"))
    finally:
        file.close()
    return length is not None and (length <= MAX_FORMAT_HEADER_BYTES or path.name.endswith(SUFFIX))


def open_safetensors(path: Path, step: int | None = None) -> RawCheckpoint:
    """Open a file, the index of a sharded model, or the folder of either; read headers, no data.

    In a folder ``model.safetensors`` goes before ``model.safetensors.index.json``, as it does in
    transformers, and any other file is taken if it is the only one. ``step`` has no meaning here.

    Raises:
        SourceNotFoundError, UnreadableError: a file cannot be opened.
        FormatError: a header or the index is malformed, or the file is something else.
        UnsupportedError: it has a dtype that is not handled.
        UsageError: several files of a folder could be meant.
    """
    path = _find_in_folder(path) if path.is_dir() else path
    if path.name.endswith(INDEX):
        shards, faults = open_shards(path, read_index(path))
        files = [FileInfo(str(path), path.stat().st_size)]
        metadata = None
    else:
        file = SourceFile(path)
        header = read_header(file)
        shards, faults = [Shard(path, file, header)], [header.fault] if header.fault else []
        files = []
        metadata = header.metadata.get(PROVENANCE)
    files += [
        FileInfo(str(shard.path), shard.file.size if shard.file else None) for shard in shards
    ]
    if path.name == _ADAPTER_FILE:
        faults.insert(0, UnsupportedError(f"{path}: {ADAPTER}"))
    config = _read_provenance(metadata, path) if metadata else None
    config_path = path.with_name(CONFIG)
    if config is None and config_path.exists():
        config = RawConfig(str(config_path), read_small(config_path, MAX_CONFIG_BYTES))
        files.append(FileInfo(str(config_path), len(config.text)))
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
        config=config,
        faults=tuple(faults),
        # What lies beside a file of this tool need not have anything to do with it.
        folder=None if metadata else path.parent,
    )


def open_written(path: Path, step: int | None = None) -> RawCheckpoint:
    """Open a file or folder that this tool has just written; the library confirms what is in it.

    Raises:
        FormatError: the library refuses it or reads it differently; and as open_safetensors.
    """
    raw = open_safetensors(path, step)
    try:
        confirm(_find_in_folder(path) if path.is_dir() else path)
    except BaseException:
        raw.close()
        raise
    return raw


def _find_in_folder(folder: Path) -> Path:
    names = sorted(os.listdir(folder))
    for name in (MODEL, MODEL + INDEX.removeprefix(SUFFIX)):
        if name in names:
            return folder / name
    for suffix in (INDEX, SUFFIX):
        found = [name for name in names if name.endswith(suffix)]
        if len(found) == 1:
            return folder / found[0]
        if found:
            shown = ", ".join(found[:8]) + (", ..." if len(found) > 8 else "")
            raise UsageError(
                f"{folder}: {len(found)} files could be meant and none is {MODEL} or its index: "
                f"{shown}; name one"
            )
    raise SourceNotFoundError(f"{folder}: no {SUFFIX} file in this folder")


def _list_tensors(file: SourceFile, header: Header) -> Iterator[LazyTensor]:
    for entry in header.entries:
        nbytes = entry.end - entry.begin
        yield LazyTensor(
            name=entry.name,
            shape=entry.shape,
            dtype=entry.dtype,
            nbytes=nbytes,
            read=partial(file.chunks, header.data_start + entry.begin, nbytes, quote(entry.name)),
            source_name=entry.name,
        )


def _read_provenance(text: str, path: Path) -> RawConfig:
    """Return what the metadata states of the model.

    What is not as this tool writes it is left to whoever wants to know.
    """
    where = f"{path}: metadata"
    try:
        provenance = json.loads(text)
        stated = json.dumps(provenance.get("config", provenance["hparams"]))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return RawConfig(where, text.encode())
    return RawConfig(where, stated.encode())
