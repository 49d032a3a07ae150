"""A writer of TensorFlow bundles, from the layout alone: no TensorFlow, and none of our reader.

The demo makes its checkpoint with it, and the tests of damaged files build each field at will.
test_bundles.py shows that what it writes is byte for byte what TensorFlow writes.
"""

from __future__ import annotations

import json
import os
import struct
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING

import cramjam
import google_crc32c
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path
    from typing import Any

MAGIC = 0xDB4775248B80FB57
RESTART_INTERVAL = 16
BLOCK_SIZE = 256 << 10
DTYPE_NUMBERS = {
    "float32": 1, "float64": 2, "int32": 3, "uint8": 4, "int16": 5, "int8": 6, "complex64": 8,
    "int64": 9, "bool": 10, "uint16": 17, "complex128": 18, "float16": 19, "uint32": 22,
    "uint64": 23,
}  # fmt: skip
BFLOAT16 = 14
STRING = 7

OPENAI = {
    name: {"n_vocab": 50257, "n_ctx": 1024, "n_embd": width, "n_head": heads, "n_layer": layers}
    for name, width, heads, layers in (
        ("124M", 768, 12, 12),
        ("355M", 1024, 16, 24),
        ("774M", 1280, 20, 36),
        ("1558M", 1600, 25, 48),
    )
}
TINY = {"n_vocab": 61, "n_ctx": 16, "n_embd": 32, "n_head": 4, "n_layer": 3}
"""A GPT-2 of 160 KB in which no two sizes are equal, so that no axis passes for another."""


def masked_crc(data: bytes) -> bytes:
    crc = google_crc32c.value(data)
    return struct.pack("<I", (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF)


@cache
def crc_of_zeros(size: int) -> bytes:
    return masked_crc(bytes(size))


def varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def proto_int(number: int, value: int) -> bytes:
    """A varint field; zero is left out, as proto3 does."""
    return varint(number << 3) + varint(value) if value else b""


def proto_bytes(number: int, value: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(value)) + value


def header(num_shards: int = 1, endianness: int = 0, version: bytes = b"\x08\x01") -> bytes:
    return proto_int(1, num_shards) + proto_int(2, endianness) + proto_bytes(3, version)


def shape_proto(shape: Iterable[int]) -> bytes:
    return b"".join(proto_bytes(2, proto_int(1, dim)) for dim in shape)


@dataclass
class Entry:
    """A BundleEntryProto whose every field can be set wrong."""

    dtype: int
    shape: tuple[int, ...]
    size: int
    crc32c: bytes
    offset: int = 0
    shard_id: int = 0
    extra: bytes = b""

    def encode(self) -> bytes:
        return (
            proto_int(1, self.dtype)
            + proto_bytes(2, shape_proto(self.shape))
            + proto_int(3, self.shard_id)
            + proto_int(4, self.offset)
            + proto_int(5, self.size)
            + (varint(6 << 3 | 5) + self.crc32c if self.crc32c else b"")
            + self.extra
        )


def ordered_number(value: int) -> bytes:
    """A signed number in LevelDB's ordered code: n bytes for 7 n bits, n ones flipped in front."""
    size = 1
    while not -(1 << 7 * size - 1) <= value < 1 << 7 * size - 1:
        size += 1
    flips = int("1" * size + "0" * 7 * size, 2).to_bytes(size, "big")
    number = value.to_bytes(size, "big", signed=True)
    return bytes(byte ^ flip for byte, flip in zip(number, flips, strict=True))


Extents = tuple[tuple[int, int], ...]
"""Start and length an axis; a length of -1 is all of it."""


def slice_key(name: str, extents: Extents) -> bytes:
    key = bytearray(b"\0")
    for byte in name.encode():
        key.append(byte)
        if byte in (0, 0xFF):
            key.append(0xFF - byte)
    key += b"\0\1" + (bytes([1, len(extents)]) if extents else b"\0")
    for start, length in extents:
        key += ordered_number(start) + ordered_number(length)
    return bytes(key)


def slice_proto(extents: Extents) -> bytes:
    """A TensorSliceProto; a length, even of 0, is there unless it is that of all the axis."""
    return b"".join(
        proto_bytes(1, proto_int(1, start) + (b"" if length == -1 else b"\x10" + varint(length)))
        for start, length in extents
    )


class Block:
    """A block in the making: entries that share the start of the key before, and restarts."""

    def __init__(self, interval: int = RESTART_INTERVAL) -> None:
        self.interval = interval
        self.entries = bytearray()
        self.restarts = [0]
        self.count = 0
        self.last_key = b""

    def add(self, key: bytes, value: bytes) -> None:
        shared = 0
        if self.count % self.interval:
            while key[shared : shared + 1] == self.last_key[shared : shared + 1] != b"":
                shared += 1
        elif self.count:
            self.restarts.append(len(self.entries))
        self.entries += varint(shared) + varint(len(key) - shared) + varint(len(value))
        self.entries += key[shared:] + value
        self.count += 1
        self.last_key = key

    def __len__(self) -> int:
        return len(self.entries) + 4 * (len(self.restarts) + 1)

    def encode(self) -> bytes:
        numbers = [*self.restarts, len(self.restarts)]
        return bytes(self.entries) + b"".join(struct.pack("<I", number) for number in numbers)


def trailer(block: bytes, kind: int) -> bytes:
    return bytes([kind]) + masked_crc(block + bytes([kind]))


def encode_table(
    records: list[tuple[bytes, bytes]], *, snappy: bool = False, block_size: int = BLOCK_SIZE
) -> bytes:
    """A whole table file; a block is closed once its entries reach ``block_size`` bytes."""
    out = bytearray()

    def put(block: bytes) -> bytes:
        kind = 0
        if snappy:
            block, kind = bytes(cramjam.snappy.compress_raw(block)), 1
        handle = varint(len(out)) + varint(len(block))
        out.extend(block + trailer(block, kind))
        return handle

    index, block = Block(interval=1), Block()
    for (key, value), (following, _) in zip(records, [*records[1:], (None, b"")], strict=True):
        block.add(key, value)
        if len(block) >= block_size or following is None:
            index.add(separator(key, following), put(block.encode()))
            block = Block()
    footer = put(Block().encode()) + put(index.encode())
    return bytes(out) + footer.ljust(40, b"\0") + struct.pack("<Q", MAGIC)


def separator(key: bytes, following: bytes | None) -> bytes:
    """The shortest key that parts two blocks, as LevelDB's comparator chooses it."""
    if following is None:
        for at, byte in enumerate(key):
            if byte != 0xFF:
                return key[:at] + bytes([byte + 1])
        return key
    at = 0
    while at < min(len(key), len(following)) and key[at] == following[at]:
        at += 1
    if at < min(len(key), len(following)) and key[at] < 0xFF and key[at] + 1 < following[at]:
        return key[:at] + bytes([key[at] + 1])
    return key


def data_blocks(index: bytes) -> int:
    """Count the entries of the index block, which the second handle of the footer names."""
    numbers, value, shift = [], 0, 0
    for byte in index[-48:]:
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            numbers.append(value)
            value = shift = 0
    start, size = numbers[2:4]
    block = index[start : start + size]
    if index[start + size]:
        block = bytes(cramjam.snappy.decompress_raw(block))
    # In the index block every entry is a restart.
    return int.from_bytes(block[-4:], "little")


@dataclass
class Bundle:
    """A bundle in the making: entries by key, and the bytes of each shard."""

    entries: dict[str, Entry] = field(default_factory=dict)
    slices: dict[bytes, Entry] = field(default_factory=dict)
    shards: list[bytearray] = field(default_factory=lambda: [bytearray()])
    header: bytes | None = None

    def add(self, name: str, array: np.ndarray[Any, Any], shard_id: int = 0) -> None:
        self.entries[name] = self.store(array, shard_id)

    def store(self, array: np.ndarray[Any, Any], shard_id: int = 0) -> Entry:
        """Append the elements, as their bytes lie in memory, and return the entry."""
        data = np.ascontiguousarray(array).tobytes()
        entry = Entry(
            dtype=DTYPE_NUMBERS[array.dtype.name],
            shape=array.shape,
            size=len(data),
            crc32c=masked_crc(data),
            offset=len(self.shards[shard_id]),
            shard_id=shard_id,
        )
        self.shards[shard_id] += data
        return entry

    def add_slices(self, name: str, array: np.ndarray[Any, Any], slices: Iterable[Extents]) -> None:
        """Add a partitioned tensor; its slices go to the shards in turn."""
        slices = tuple(slices)
        for number, extents in enumerate(slices):
            box = tuple(
                slice(start, None if length == -1 else start + length) for start, length in extents
            )
            shard_id = number % len(self.shards)
            self.slices[slice_key(name, extents)] = self.store(array[box], shard_id)
        self.entries[name] = Entry(
            dtype=DTYPE_NUMBERS[array.dtype.name],
            shape=array.shape,
            size=0,
            crc32c=b"",
            extra=b"".join(proto_bytes(7, slice_proto(extents)) for extents in slices),
        )

    def records(self) -> list[tuple[bytes, bytes]]:
        values = {key: entry.encode() for key, entry in self.slices.items()}
        values |= {key.encode(): entry.encode() for key, entry in self.entries.items()}
        first = header(len(self.shards)) if self.header is None else self.header
        return [(b"", first), *sorted(values.items())]

    def write(self, prefix: Path, **table: Any) -> Path:  # noqa: ANN401
        prefix.parent.mkdir(parents=True, exist_ok=True)
        prefix.with_name(prefix.name + ".index").write_bytes(encode_table(self.records(), **table))
        for number, data in enumerate(self.shards):
            name = f"{prefix.name}.data-{number:05d}-of-{len(self.shards):05d}"
            prefix.with_name(name).write_bytes(data)
        return prefix


def gpt2_shapes(sizes: Mapping[str, int] = TINY) -> dict[str, tuple[int, ...]]:
    """Names and shapes as openai/gpt-2's src/model.py creates them."""
    width = sizes["n_embd"]
    shapes: dict[str, tuple[int, ...]] = {
        "model/wpe": (sizes["n_ctx"], width),
        "model/wte": (sizes["n_vocab"], width),
    }
    for layer in range(sizes["n_layer"]):
        scope = f"model/h{layer}"
        for norm in ("ln_1", "ln_2"):
            shapes |= {f"{scope}/{norm}/g": (width,), f"{scope}/{norm}/b": (width,)}
        for conv, nin, nout in (
            ("attn/c_attn", width, 3 * width),
            ("attn/c_proj", width, width),
            ("mlp/c_fc", width, 4 * width),
            ("mlp/c_proj", 4 * width, width),
        ):
            shapes |= {f"{scope}/{conv}/w": (1, nin, nout), f"{scope}/{conv}/b": (nout,)}
    shapes |= {"model/ln_f/g": (width,), "model/ln_f/b": (width,)}
    return dict(sorted(shapes.items()))


def gpt2_arrays(
    sizes: Mapping[str, int] = TINY, seed: int = 0, dtype: str = "float32"
) -> dict[str, np.ndarray[Any, Any]]:
    """Random weights under TensorFlow's names, in the order of a bundle."""
    random = np.random.default_rng(seed)
    return {
        name: random.standard_normal(shape, np.float32).astype(dtype)
        for name, shape in gpt2_shapes(sizes).items()
    }


def stream_gpt2(
    folder: Path,
    sizes: Mapping[str, int],
    make: Callable[[str, tuple[int, ...]], np.ndarray[Any, Any]],
) -> Path:
    """Write a model folder of any size, one tensor in memory at a time."""
    bundle = Bundle(shards=[bytearray()])
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "model.ckpt.data-00000-of-00001", "wb") as shard:
        for name, shape in gpt2_shapes(sizes).items():
            array = make(name, shape)
            start, size = shard.tell(), array.nbytes
            if array.any():
                data = array.tobytes()
                crc = masked_crc(data)
                shard.write(data)
            else:
                crc = crc_of_zeros(size)
                shard.seek(size, os.SEEK_CUR)  # a hole takes no room
            bundle.entries[name] = Entry(1, shape, size, crc, offset=start)
        shard.truncate()
    index = encode_table(bundle.records())
    (folder / "model.ckpt.index").write_bytes(index)
    (folder / "hparams.json").write_text(json.dumps(dict(sizes)))
    (folder / "checkpoint").write_text('model_checkpoint_path: "model.ckpt"\n')
    return folder


def write_gpt2(
    folder: Path,
    sizes: Mapping[str, int] = TINY,
    *,
    arrays: Mapping[str, np.ndarray[Any, Any]] | None = None,
    hparams: bool = True,
    name: str = "model.ckpt",
) -> Path:
    """Write a whole model folder as OpenAI lays it out, and return it."""
    bundle = Bundle()
    for tensor, array in (gpt2_arrays(sizes) if arrays is None else arrays).items():
        bundle.add(tensor, array)
    bundle.write(folder / name)
    if hparams:
        (folder / "hparams.json").write_text(json.dumps(dict(sizes)))
    (folder / "checkpoint").write_text(
        f'model_checkpoint_path: "{name}"\nall_model_checkpoint_paths: "{name}"\n'
    )
    return folder
