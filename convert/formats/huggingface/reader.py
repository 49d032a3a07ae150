"""Hugging Face models: safetensors files and the ``config.json`` beside them.

A folder, one of its files of weights, or the index of its shards. A folder that has its weights in
PyTorch files alone is opened by their reader (:mod:`..pytorch`).

Limits: PEFT adapters are listed and not converted.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ...errors import UnsupportedError
from ..foreign import ADAPTER
from ..safetensors.reader import open_safetensors, recognises_file
from .folder import ADAPTERS, PYTORCH, find_weights, holds_weights

if TYPE_CHECKING:
    from pathlib import Path

    from ...checkpoint.raw import RawCheckpoint


def recognises(path: Path) -> bool:
    """Whether ``path`` is a safetensors file, its index, or a folder with a model's weights."""
    return holds_weights(path) if path.is_dir() else path.is_file() and recognises_file(path)


def open_model(path: Path, step: int | None = None) -> RawCheckpoint:
    """Open a file, the index of a sharded model, or the folder of either; read headers, no data.

    ``step`` has no meaning here.

    Raises:
        SourceNotFoundError, UnreadableError: a file cannot be opened.
        FormatError: a header or the index is malformed, or the file is something else.
        UnsupportedError: it has a dtype that is not handled, or is a PyTorch file that asks for
            what no weights need.
        UsageError: several files of a folder could be meant.
    """
    folder_named = path.is_dir()
    path = find_weights(path) if folder_named else path
    if path.name in PYTORCH:
        from ..pytorch.sharded import open_pytorch  # few models are in such files

        raw = open_pytorch(path)
    else:
        raw = open_safetensors(path)
    if path.name in ADAPTERS:
        raw = replace(raw, no_model=UnsupportedError(f"{path}: {ADAPTER}"))
    # What lies beside a file of this tool need not have anything to do with it.
    return replace(raw, folder=path.parent) if folder_named or not raw.configs else raw


def open_written(path: Path, step: int | None = None) -> RawCheckpoint:
    """Open a file or folder that this tool has just written; the library confirms what is in it.

    Raises:
        FormatError: the library refuses it or reads it differently; and as open_model.
    """
    from ..safetensors.cross_check import confirm  # only what was just written is confirmed

    raw = open_model(path, step)
    try:
        confirm(find_weights(path) if path.is_dir() else path)
    except BaseException:
        raw.close()
        raise
    return raw
