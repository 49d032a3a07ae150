"""TensorFlow checkpoints in the V2 format, "TensorBundle", read without TensorFlow.

A bundle is ``PREFIX.index`` (a :mod:`.table`, whose values :mod:`.entries` parses and
:mod:`.index` puts together) and the shards ``PREFIX.data-XXXXX-of-YYYYY``: raw row-major bytes,
packed, with each tensor's crc32c in its entry, so that the few kilobytes of the index authenticate
all data. Partitioned tensors lie there in :mod:`.slices`, :mod:`.strings` in a layout of their
own. OpenAI's GPT-2 has one shard and ``hparams.json`` beside it. Source: TensorFlow's
tensor_bundle.cc and .proto.

Limits: resources, variants and partitioned strings are listed but not read; V1 checkpoints
(:mod:`.v1`) are declined, so that TensorFlow reads them where it is installed.
"""

from __future__ import annotations

import math
import os
from functools import partial
from typing import TYPE_CHECKING

from ...checkpoint.raw import FileInfo, RawCheckpoint
from ...errors import FormatError, UnsupportedError
from ...io.source import SourceFile
from ...quoting import quote
from ...tensors.byte_order import fill_swapped, swap_run
from ...tensors.dtype import DType
from ...tensors.runs import Seekable
from ...tensors.tensor import LazyTensor
from ..engines import DeclinedError
from ..folders import list_names
from ..limits import MAX_LOOKUPS
from .assembly import are_stacked, fill_whole, read_numbers, read_run
from .index import read_index
from .locate import (
    CHECKPOINT,
    find_prefix,
    index_path,
    is_named_as_bundle,
    list_checkpoint_file,
    prefix_of_index,
    prefix_of_shard,
    saved_variables,
)
from .shards import Shards
from .strings import read_strings
from .table import check_blocks, is_table
from .v1 import is_v1

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import Final

    from .index import Index, Variable

NAME: Final = "tensorflow"


def recognises(path: Path) -> bool:
    """Whether ``path`` means a TensorFlow checkpoint, by its siblings and its last bytes."""
    if path.is_dir():
        names = list_names(path)
        # A folder of that name is where trainers of many frameworks keep their runs.
        named = CHECKPOINT in names and not (path / CHECKPOINT).is_dir()
        return (
            named
            or any(is_named_as_bundle(name) for name in names)
            or saved_variables(path) is not None
            or any(is_v1(path / name) for name in names[:MAX_LOOKUPS])
        )
    # What has a name too long for an index may be another container.
    if os.path.isfile(index_path(path)) or prefix_of_shard(path) or path.name == CHECKPOINT:
        return True
    if not path.is_file():
        return prefix_of_index(path) is not None or is_v1(path)
    file = SourceFile(path)
    try:
        return is_table(file)
    finally:
        file.close()


def open_bundle(path: Path, step: int | None = None) -> RawCheckpoint:
    """Open the bundle that ``path`` means; :func:`.locate.find_prefix` says which.

    Reads the index and the sizes of the shards, no data.

    Raises:
        SourceNotFoundError, UsageError, UnreadableError: there is no such bundle.
        FormatError, ChecksumError: the index is corrupt.
        UnsupportedError: the bundle is legal but not handled; DeclinedError where an engine may.
    """
    prefix = find_prefix(path, step)
    if not index_path(prefix).is_file():
        _decline_v1(prefix)
    file = SourceFile(index_path(prefix))
    try:
        index = read_index(file)
    finally:
        file.close()
    shards = Shards(prefix, index.num_shards)
    files = [FileInfo(str(file.path), file.size)]
    for place, shard in zip(shards.paths, shards.files, strict=True):
        files.append(FileInfo(str(place), shard.size if shard else None))
    parts = [part for variable in index.variables for part in variable.parts]
    shards.check_room(parts)
    faults = shards.faults + shards.find_truncations(parts)
    return RawCheckpoint(
        format=NAME,
        where=str(prefix),
        tensors=tuple(_load(variable, index, shards, prefix) for variable in index.variables),
        files=(*files, *list_checkpoint_file(prefix)),
        open_files=tuple(shard for shard in shards.files if shard),
        faults=tuple(faults),
        folder=prefix.parent,
    )


def _decline_v1(prefix: Path) -> None:
    if is_v1(prefix):
        raise DeclinedError(f"{prefix}: a TensorFlow checkpoint in the V1 format (no .index)")
    if not prefix.is_file():
        return
    file = SourceFile(prefix)
    try:
        check_blocks(file)
    finally:
        file.close()
    raise FormatError(f"{prefix}: an index by its contents; its name must end in .index")


def _load(variable: Variable, index: Index, shards: Shards, prefix: Path) -> LazyTensor:
    itemsize = variable.dtype.itemsize
    return LazyTensor(
        name=variable.name,
        shape=variable.shape,
        dtype=variable.dtype,
        nbytes=variable.stored if itemsize is None else math.prod(variable.shape) * itemsize,
        read=_find_way(variable, index, shards, prefix),
        source_name=variable.name,
    )


def _find_way(
    variable: Variable, index: Index, shards: Shards, prefix: Path
) -> Callable[[], Iterator[bytes]]:
    """Return how a tensor is read: from anywhere on, unless its parts are narrower than it is."""
    read = partial(_read_tensor, variable, index, shards, prefix)
    itemsize = variable.dtype.itemsize
    if itemsize is None or not are_stacked(variable):
        return read
    run = partial(read_run, variable, itemsize, shards)
    fill = partial(fill_whole, variable.parts[0], shards) if len(variable.parts) == 1 else None
    if index.big_endian:
        run = partial(swap_run, run, variable.dtype)
        fill = fill and partial(fill_swapped, fill, variable.dtype)
    return Seekable(read, run, fill=fill)


def _read_tensor(variable: Variable, index: Index, shards: Shards, prefix: Path) -> Iterator[bytes]:
    """Yield the bytes of a tensor and compare their crc32c after the last ones."""
    itemsize = variable.dtype.itemsize
    first, *others = variable.parts
    if itemsize is not None:
        yield from read_numbers(variable, itemsize, shards, swap=index.big_endian)
    elif variable.dtype is DType.STRING and not others:
        count = math.prod(variable.shape)
        yield from read_strings(shards.open(first), count, "big" if index.big_endian else "little")
    else:
        kind = f"{variable.dtype} elements" if not others else f"slices of {variable.dtype}s"
        raise UnsupportedError(
            f"{prefix}: {quote(variable.name)} holds {kind}, which this version lists but does not "
            "read"
        )
