"""Hugging Face models: safetensors files and the ``config.json`` beside them.

A folder, one of its files of weights, or the index of its shards. A file that states its own
configuration, as those that this tool writes do, needs nothing beside it, and what lies there need
not have anything to do with it.

Limits: PEFT adapters are listed and not converted.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ...checkpoint.raw import FileInfo, RawConfig
from ...errors import UnsupportedError
from ...io.source import read_small
from ..foreign import ADAPTER
from ..safetensors.cross_check import confirm
from ..safetensors.reader import open_safetensors, recognises_file
from .folder import ADAPTER_MODEL, CONFIG, find_weights, holds_weights

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Final

    from ...checkpoint.raw import RawCheckpoint

MAX_CONFIG_BYTES: Final = 1 << 20


def recognises(path: Path) -> bool:
    """Whether ``path`` is a safetensors file, its index, or a folder with one of them."""
    return holds_weights(path) if path.is_dir() else path.is_file() and recognises_file(path)


def open_model(path: Path, step: int | None = None) -> RawCheckpoint:
    """Open a file, the index of a sharded model, or the folder of either; read headers, no data.

    ``step`` has no meaning here.

    Raises:
        SourceNotFoundError, UnreadableError: a file cannot be opened.
        FormatError: a header or the index is malformed, or the file is something else.
        UnsupportedError: it has a dtype that is not handled.
        UsageError: several files of a folder could be meant.
    """
    path = find_weights(path) if path.is_dir() else path
    raw = open_safetensors(path)
    if path.name == ADAPTER_MODEL:
        raw = replace(raw, faults=(UnsupportedError(f"{path}: {ADAPTER}"), *raw.faults))
    if raw.config is not None:
        return raw
    beside = path.with_name(CONFIG)
    if beside.exists():
        config = RawConfig(str(beside), read_small(beside, MAX_CONFIG_BYTES))
        files = (*raw.files, FileInfo(str(beside), len(config.text)))
        raw = replace(raw, config=config, files=files)
    return replace(raw, folder=path.parent)


def open_written(path: Path, step: int | None = None) -> RawCheckpoint:
    """Open a file or folder that this tool has just written; the library confirms what is in it.

    Raises:
        FormatError: the library refuses it or reads it differently; and as open_model.
    """
    raw = open_model(path, step)
    try:
        confirm(find_weights(path) if path.is_dir() else path)
    except BaseException:
        raw.close()
        raise
    return raw
