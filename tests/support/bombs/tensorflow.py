"""Bundles: an index of kilobytes that names, describes or points to more than any model has."""

from __future__ import annotations

import json
import math
import os
import struct
from typing import TYPE_CHECKING

import cramjam
from support import bundles
from support.bundles import Entry, Extents, header, masked_crc, proto_bytes, trailer, varint
from support.tables import MAGIC, assemble

from .bomb import NO_MODEL, TOO_MANY, Bomb

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from .bomb import Write

EMPTY = Entry(1, (0,), 0, masked_crc(b"")).encode()
HEADER = header()
ONE = 4 << 20
Records = list[tuple[bytes, bytes]]


def share(records: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Return a block whose keys share with the one before whatever they can, with one restart."""
    entries, last = bytearray(), b""
    for key, value in records:
        shared = len(os.path.commonprefix([key, last]))  # noqa: RUF071 - keys are no paths
        entries += varint(shared) + varint(len(key) - shared) + varint(len(value))
        entries += key[shared:] + value
        last = key
    return bytes(entries) + struct.pack("<II", 0, 1)


def write(folder: Path, records: Records, data: bytes = b"", shards: int = 1) -> None:
    """Write a bundle whose index is one compressed block; without shards no data file."""
    block = bytes(cramjam.snappy.compress_raw(share(records)))
    (folder / "m.index").write_bytes(assemble(block, kind=1, bounds=[b"\xff" * 9]))
    if shards:
        (folder / f"m.data-00000-of-{shards:05d}").write_bytes(data)


def bundle(
    records: Callable[[], Records], data: bytes = b"", *, first: bytes = HEADER, shards: int = 1
) -> Write:
    return lambda folder: write(folder, [(b"", first), *records()], data, shards)


def names(count: int, name: bytes = b"w%05d", value: bytes = EMPTY) -> Callable[[], Records]:
    return lambda: [(name % number, value) for number in range(count)]


def one(value: bytes) -> Callable[[], Records]:
    return lambda: [(b"w", value)]


def cut(extents: list[Extents], shape: tuple[int, ...], part: tuple[int, ...]) -> Records:
    """Return the entries of a tensor of slices, all of one shape, whose elements are zeros."""
    size = 4 * math.prod(part)
    crc = masked_crc(bytes(size))
    parts = {
        bundles.slice_key("w", each): Entry(1, part, size, crc, offset=size * number).encode()
        for number, each in enumerate(extents)
    }
    named = b"".join(proto_bytes(7, bundles.slice_proto(each)) for each in extents)
    return [*sorted(parts.items()), (b"w", Entry(1, shape, 0, b"", extra=named).encode())]


def slices(count: int, rank: int) -> Records:
    """Return a tensor of as many slices of one number."""
    rest = (1,) * (rank - 1)
    extents = [((number, 1), *[(0, -1)] * (rank - 1)) for number in range(count)]
    return cut(extents, (count, *rest), (1, *rest))


def columns(rows: int, count: int) -> Records:
    """Return a matrix of which each column is a slice."""
    return cut([((0, -1), (number, 1)) for number in range(count)], (rows, count), (rows, 1))


def shared_model() -> Records:
    """Return the entries of a sound model of 200 layers, of which each has the same bytes."""
    sizes = {"n_vocab": 512, "n_ctx": 512, "n_embd": 512, "n_head": 1, "n_layer": 200}
    found = {}
    for name, shape in bundles.gpt2_shapes(sizes).items():
        size = 4 * math.prod(shape)
        found[name.encode()] = Entry(1, shape, size, bundles.crc_of_zeros(size)).encode()
    return sorted(found.items())


def write_model(folder: Path, n_layer: int, slots: str = "") -> None:
    """Write a sound model whose layers have one number a tensor, and slots of optimizers."""
    sizes = {"n_vocab": 2, "n_ctx": 2, "n_embd": 1, "n_head": 1, "n_layer": n_layer}
    made = bundles.Bundle()
    for name, array in bundles.gpt2_arrays(sizes).items():
        made.add(name, array)
    records = dict(made.records())
    tensors = [key for key in records if key]
    records |= {key + b"/" + slot.encode(): EMPTY for key in tensors for slot in slots.split()}
    write(folder, sorted(records.items()), bytes(made.shards[0]))
    (folder / "hparams.json").write_text(json.dumps(sizes))


def table(folder: Path, name: str, index: bytes, kind: int, before: bytes = b"") -> None:
    """Write a table whose index block is any bytes, with its checksum right."""
    ends = varint(0) + varint(0) + varint(len(before)) + varint(len(index))
    whole = before + index + trailer(index, kind) + ends.ljust(40, b"\0") + MAGIC
    (folder / name).write_bytes(whole)


def write_snappy_folder(folder: Path, count: int) -> None:
    """Write a table whose index block is 60 MB of zeros in 3 MB, under as many names."""
    table(folder, "t0", bytes(cramjam.snappy.compress_raw(bytes(60 << 20))), 1)
    for number in range(1, count):
        os.link(folder / "t0", folder / f"t{number}")


def write_nested_folders(folder: Path) -> None:
    (folder / "a").mkdir()
    write_snappy_folder(folder / "a", 100)
    for number in range(100):
        (folder / f"link{number:02d}").symlink_to("a")


def write_block_often(folder: Path) -> None:
    """Write a table without an index's name that names a block of 1 MB 20,000 times."""
    block = bytes(1 << 20)
    handle = varint(0) + varint(len(block))
    entries = (
        varint(0) + varint(4) + varint(len(handle)) + struct.pack(">I", number) + handle
        for number in range(20_000)
    )
    index = b"".join(entries) + struct.pack("<II", 0, 1)
    table(folder, "x", index, 0, block + trailer(block, 0))


def write_shards(folder: Path) -> None:
    """Write a data file under 2,000 names."""
    write(folder, [(b"", header(2_000)), (b"w", EMPTY)], bytes(64), 2_000)
    for number in range(1, 2_000):
        os.link(folder / "m.data-00000-of-02000", folder / f"m.data-{number:05d}-of-02000")


def write_pages(folder: Path) -> None:
    (folder / "checkpoint").write_text('model_checkpoint_path: "m"\n' * 38_000)
    write_model(folder, 1)


SLOTS = "Adam Adam_1 adam adam_1 adam_m adam_v m v AdamW AdamW_1 lamb_m lamb_v Adam_2 Adam_3"
LARGE = Entry(1, (ONE // 4,), ONE, masked_crc(bytes(ONE))).encode()
FIELDS = b"\x78\0" * 2_500_000
"""Unknown fields of two bytes: 5 MB of them in 240 KB."""
BOMBS = {
    "names of 60 MB": Bomb(
        bundle(names(1_200, b"k" * 50_000 + b"%05d")), "m", "more than 4,194,304 bytes of keys"
    ),
    "names of 60 MB to be escaped": Bomb(
        bundle(names(1_200, b"\1" * 50_000 + b"%05d")), "m", "more than 4,194,304 bytes of keys"
    ),
    "names of 4 MB to be escaped": Bomb(
        bundle(names(15_000, b"\1" * 95 + b"%05d")), "m", NO_MODEL, listed=True, stats=TOO_MANY
    ),
    "16,000 names": Bomb(bundle(names(15_990)), "m", NO_MODEL, listed=True, stats=TOO_MANY),
    "30,000 names": Bomb(bundle(names(30_000)), "m", "more than 16,000 tensors"),
    "16,000 models": Bomb(
        bundle(names(15_990, b"s%05d/model/wte")),
        "m",
        "holds 15,990 models",
        listed=True,
        stats=TOO_MANY,
    ),
    "254 axes each": Bomb(
        bundle(names(4_000, value=Entry(1, (0,) * 254, 0, b"").encode())), "m", "more than 32 axes"
    ),
    "32 axes each": Bomb(
        bundle(names(15_000, value=Entry(1, (0,) * 32, 0, b"").encode())),
        "m",
        "more than 64,000 axes|bytes of headers",
    ),
    "fields of an entry": Bomb(bundle(one(EMPTY + FIELDS)), "m", NO_MODEL, listed=True),
    "fields of an axis": Bomb(
        bundle(one(EMPTY + proto_bytes(2, proto_bytes(2, FIELDS)))),
        "m",
        NO_MODEL,
        listed=True,
    ),
    "fields of the header": Bomb(
        bundle(one(EMPTY), first=header() + FIELDS), "m", NO_MODEL, listed=True
    ),
    "versions of the header": Bomb(
        bundle(one(EMPTY), first=header(version=proto_bytes(3, b"\x05" * ONE))),
        "m",
        "refuses more than 1,000 versions",
    ),
    "15,000 slices": Bomb(
        bundle(lambda: slices(15_000, 1), bytes(4 * 15_000)), "m", NO_MODEL, listed=True
    ),
    "15,000 slices of eight axes": Bomb(
        bundle(lambda: slices(15_000, 8), bytes(4 * 15_000)), "m", "more than 64,000 axes"
    ),
    "15,000 columns": Bomb(
        bundle(lambda: columns(500, 15_000), bytes(30_000_000)),
        "m",
        NO_MODEL,
        listed=True,
        stats="so narrow",
    ),
    "2,000 tensors of the same 4 MB": Bomb(
        bundle(names(2_000, value=LARGE), bytes(ONE)),
        "m",
        "share bytes",
    ),
    "a model of the same 4 MB": Bomb(bundle(shared_model, bytes(ONE)), "m", "share bytes"),
    "2,000 names of a data file": Bomb(write_shards, "m", "the same file as"),
    "99,999 missing data files": Bomb(
        bundle(one(EMPTY), first=header(99_999), shards=0), "m", "-of-99999: missing"
    ),
    "60 MB of restarts": Bomb(
        lambda folder: (folder / "m.index").write_bytes(
            assemble(
                bytes(cramjam.snappy.compress_raw(bytes(60 << 20) + struct.pack("<I", 15 << 20))),
                kind=1,
                bounds=[b"\xff"],
            )
        ),
        "m.index",
        "decompresses to",
    ),
    "100 names of a table in Snappy": Bomb(
        lambda folder: write_snappy_folder(folder, 100), "", "holds 't0'; name that file"
    ),
    "5,000 names of it": Bomb(
        lambda folder: write_snappy_folder(folder, 5_000), "", "holds 't0'; name that file"
    ),
    "100 names of a folder of it": Bomb(write_nested_folders, "", "no checkpoint in this folder"),
    "a block 20,000 times": Bomb(write_block_often, "x", "lies within the one before"),
    "38,000 lines of a checkpoint file": Bomb(write_pages),
    "a model of 128 layers": Bomb(lambda folder: write_model(folder, 128), "m"),
    "a model of 512 layers": Bomb(
        lambda folder: write_model(folder, 512),
        "m",
        "more than 128 layers",
        listed=True,
        stats=TOO_MANY,
    ),
    "a model with slots": Bomb(lambda folder: write_model(folder, 88, SLOTS), "m"),
}
