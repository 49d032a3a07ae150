"""safetensors files built byte by byte, and what opening them gives."""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING, Any, TypeAlias

from safetensors import SafetensorError, safe_open

from gpt2_convert.api.source import refuse_faults
from gpt2_convert.formats.opening import open_raw
from gpt2_convert.formats.safetensors import reader as reader

if TYPE_CHECKING:
    from pathlib import Path


Header: TypeAlias = dict[str, Any]

ONE = '{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'


DATA = b"\x00\x00\x80\x3f"  # 1.0


def encode(header: str | bytes | Header, data: bytes = DATA, length: int | None = None) -> bytes:
    text = json.dumps(header) if isinstance(header, dict) else header
    text = text.encode() if isinstance(text, str) else text
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def entry(begin: int, end: int, shape: list[int] | None = None, dtype: str = "U8") -> Header:
    shape = [end - begin] if shape is None else shape
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def open_whole(path: Path) -> None:
    """Open as a conversion does: a fault is as good as an error."""
    with open_raw(path) as raw:
        refuse_faults(raw)


def library_refuses(path: Path) -> bool:
    try:
        with safe_open(path, "numpy"):
            return False
    except SafetensorError:
        return True


def read(path: Path) -> dict[str, bytes]:
    with open_raw(path) as raw:
        refuse_faults(raw)
        return {tensor.name: b"".join(tensor.chunks()) for tensor in raw.tensors}


def write_index(folder: Path, **weight_map: object) -> Path:
    path = folder / "model.safetensors.index.json"
    path.write_text(json.dumps({"metadata": {"total_size": 6}, "weight_map": weight_map}))
    return path


def write_shards(folder: Path) -> Path:
    """Fill a new folder with the tensors a and b in one shard and c in another."""
    folder.mkdir()
    (folder / "s1.safetensors").write_bytes(encode({"a": entry(0, 1), "b": entry(1, 4)}, b"abbb"))
    (folder / "s2.safetensors").write_bytes(encode({"c": entry(0, 2)}, b"cc"))
    write_index(folder, a="s1.safetensors", b="s1.safetensors", c="s2.safetensors")
    return folder
