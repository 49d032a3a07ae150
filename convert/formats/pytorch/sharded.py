"""A model in several PyTorch files, and the index that says which tensor is in which.

``pytorch_model.bin.index.json`` beside ``pytorch_model-00001-of-00002.bin`` and so on is what
transformers wrote before it turned to safetensors, whose index is the same:
:mod:`..safetensors.sharded`. Each shard is a file of its own, with a state dict of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...checkpoint.raw import FileInfo, RawCheckpoint
from ...errors import Gpt2ConvertError, SourceNotFoundError
from ..safetensors.sharded import compare_names, describe_missing, group_names, read_index
from .budget import Budget
from .reader import check_growth, open_file, open_part
from .signature import INDEX, NAME

if TYPE_CHECKING:
    from pathlib import Path

    from .reader import Part


def open_pytorch(path: Path, step: int | None = None) -> RawCheckpoint:
    """Open a file, or the index of a sharded model; pickles are read, no numbers.

    ``step`` has no meaning here.

    Raises:
        SourceNotFoundError, UnreadableError: a file cannot be opened.
        FormatError: a file or the index is damaged, or is something else.
        UnsupportedError: a pickle asks for what no weights need, or there is no state dict.
    """
    return _open_shards(path) if path.name.endswith(INDEX) else open_file(path)


def _open_shards(path: Path) -> RawCheckpoint:
    """Open a model that is in several files; what is wrong with one of them is a fault."""
    named = group_names(read_index(path))
    parts: list[Part] = []
    files = [FileInfo(str(path), path.stat().st_size)]
    faults: list[Gpt2ConvertError] = []
    budget = Budget(str(path))
    for name in sorted(named):
        shard = path.with_name(name)
        try:
            part = open_part(shard, budget)
        except SourceNotFoundError:
            faults.append(describe_missing(shard, len(named[name])))
            files.append(FileInfo(str(shard), None))
        except Gpt2ConvertError as error:
            if budget.exceeded:
                raise
            faults.append(error)
            files.append(FileInfo(str(shard), _size(shard)))
        else:
            stored = {tensor.name for tensor in part.tensors}
            faults += [part.fault] if part.fault else []
            faults += compare_names(path, shard, named[name], stored)
            files.append(FileInfo(str(shard), part.file.size))
            parts.append(part)
    check_growth(parts, path)
    return RawCheckpoint(
        format=NAME,
        where=str(path),
        tensors=tuple(tensor for part in parts for tensor in part.tensors),
        files=tuple(files),
        open_files=tuple(part.file for part in parts),
        configs=tuple(part.stated for part in parts if part.stated),
        faults=tuple(faults),
        folder=path.parent,
        notes=tuple(note for part in parts for note in part.notes),
    )


def _size(path: Path) -> int | None:
    """Return the size of what cannot be read as a shard; None if there is no telling."""
    try:
        return path.stat().st_size
    except OSError:
        return None
