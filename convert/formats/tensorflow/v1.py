"""Checkpoints in the V1 format, which preceded bundles: found here, and read by TensorFlow alone.

One table file (:mod:`.table`) without ``.index`` holds names, shapes and values: under the empty
key a SavedTensorSlices message with field 1, ``meta``, under every other key one with field 2,
``data`` (TensorFlow's saved_tensor_slice.proto; its writer compresses nothing). A saver with shards
writes ``PREFIX-00000-of-00002`` and so on, and calls all of them ``PREFIX-?????-of-00002``, as does
this module.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from ...errors import Gpt2ConvertError
from ...io.source import SourceFile
from ..folders import list_names
from .table import is_table, list_blocks
from .wire import read_varint

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Final

_SHARD: Final = re.compile(r"(.+)-(?:[0-9]{5}|\?{5})-of-([0-9]{5})", re.DOTALL)
_META: Final = 0x0A
"""The tag of SavedTensorSlices.meta; a bundle's header has no field of this number and type."""
_MAX_INDEX: Final = 1 << 20
"""Bytes of the index block, of 60 for each data block: those of gigabytes. Any file of a folder may
have to be looked at."""
_MAX_SHARDS: Final = 1000
"""File names have room for more, and no saver has ever written a hundredth of that."""


def whole_name(path: Path) -> Path:
    """Return the name of the checkpoint that ``path`` is a shard of, or else ``path``."""
    match = _SHARD.fullmatch(path.name)
    return path.with_name(f"{match[1]}-?????-of-{match[2]}") if match else path


def list_files(prefix: Path) -> list[Path]:
    """Return the files of the V1 checkpoint with that name."""
    match = _SHARD.fullmatch(prefix.name)
    if match is None:
        return [prefix]
    count = min(int(match[2]), _MAX_SHARDS)
    return [prefix.with_name(f"{match[1]}-{shard:05d}-of-{match[2]}") for shard in range(count)]


def list_lookalikes(prefix: Path) -> list[Path]:
    """Return what TensorFlow would take for a shard of the V1 checkpoint, and is none.

    It reads whatever has five characters, or five bytes, where the name has ``?????``.
    """
    match = _SHARD.fullmatch(prefix.name)
    if match is None:
        return []
    start, end = f"{match[1]}-", f"-of-{match[2]}"
    shards = set(list_files(prefix))
    lookalikes = []
    for name in list_names(prefix.parent):
        path = prefix.with_name(name)
        if name.startswith(start) and name.endswith(end) and path not in shards:
            middle = name[len(start) : -len(end)]
            if 5 in (len(middle), len(os.fsencode(middle))):
                lookalikes.append(path)
    return lookalikes


def is_v1(prefix: Path) -> bool:
    """Whether a V1 checkpoint has that name, by the magic and the first entry of its first file."""
    try:
        files = list_files(prefix)
        # Opening a device may do something to it.
        return any(os.path.isfile(path) and _has_meta(path) for path in files[:1])
    except Gpt2ConvertError:
        return False


def _has_meta(path: Path) -> bool:
    file = SourceFile(path)
    try:
        if not is_table(file):
            return False
        where = str(path)
        for _, (offset, size) in list_blocks(file, _MAX_INDEX):
            # shared, non_shared, value length, then the value: a first entry with an empty key.
            head = file.read(offset, min(size, 16), "the first entry")
            _, position = read_varint(head, 2, where)
            return head[:2] == b"\0\0" and head[position : position + 1] == bytes([_META])
        return False
    finally:
        file.close()
