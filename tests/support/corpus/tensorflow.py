"""TensorFlow bundles: headers and entries that lie, shards and slices that do not fit them.

Among the cases are the ends of TensorFlow's own reader: shapes that are allocated before they are
checked, shards that do not exist, slices that are smaller than they say.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from support import bundles
from support.bundles import Bundle, Entry, masked_crc, proto_bytes, proto_int

from .case import CUTS, SIZES, Case, cut_at, flip_at

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .case import Write

FAMILY = "TensorFlow"
INDEX = "m.index"
SHARD = "m.data-00000-of-00001"
WTE = "model/wte"
Records = list[tuple[bytes, bytes]]


def bundle() -> Bundle:
    whole = Bundle()
    for name, array in bundles.gpt2_arrays(SIZES).items():
        whole.add(name, array)
    return whole


def write_files(folder: Path, index: bytes, shard: bytes | None = None) -> None:
    (folder / INDEX).write_bytes(index)
    (folder / SHARD).write_bytes(bytes(bundle().shards[0]) if shard is None else shard)


def good_index() -> bytes:
    return bundles.encode_table(bundle().records())


def changed_index(change: Callable[[bytes], bytes]) -> Write:
    return lambda folder: write_files(folder, change(good_index()))


def changed_shard(change: Callable[[bytes], bytes]) -> Write:
    return lambda folder: write_files(folder, good_index(), change(bytes(bundle().shards[0])))


def records(change: Callable[[Records], Records]) -> Write:
    """Write a table of other records, whose checksums are right."""
    return lambda folder: write_files(folder, bundles.encode_table(change(bundle().records())))


def header(value: bytes) -> Write:
    return records(lambda all_: [(b"", value), *all_[1:]])


def entry(**fields: object) -> Write:
    """Write a table in which the entry of wte has other fields."""

    def write(folder: Path) -> None:
        whole = bundle()
        whole.entries[WTE] = replace(whole.entries[WTE], **fields)  # type: ignore[arg-type]
        whole.write(folder / "m")

    return write


def raw_entry(change: Callable[[bytes], bytes]) -> Write:
    def change_all(all_: Records) -> Records:
        return [(key, change(value) if key == WTE.encode() else value) for key, value in all_]

    return records(change_all)


def two_shards(*, second: bool) -> Write:
    def write(folder: Path) -> None:
        whole = bundle()
        whole.header = bundles.header(2)
        whole.write(folder / "m")
        (folder / SHARD).rename(folder / "m.data-00000-of-00002")
        if second:
            (folder / "m.data-00001-of-00002").mkdir()

    return write


# Slices. Their keys: 00, the name, 00 01, 01 and the rank, then start and length of each axis.


def number(value: int) -> bytes:
    return bytes([0x80 ^ value & 0xFF])


def slice_key(name: str, *extents: tuple[int, int]) -> bytes:
    axes = b"".join(number(start) + number(length) for start, length in extents)
    return b"\0" + name.encode() + b"\0\1\1" + bytes([len(extents)]) + axes


def slice_proto(*extents: tuple[int, int]) -> bytes:
    parts = (
        proto_int(1, start) + (proto_int(2, length) if length >= 0 else b"")
        for start, length in extents
    )
    return proto_bytes(7, b"".join(proto_bytes(1, part) for part in parts))


FULL = (0, -1)


def sliced(
    *stored: tuple[int, int],
    announced: tuple[tuple[int, int], ...] = (),
    key: Callable[[bytes], bytes] = bytes,
    rows: int | None = None,
) -> Write:
    """Write wte, of 11 rows of 4, in slices of rows: (start, length) of each.

    ``announced`` are those that its own entry lists, if not the same; ``rows`` is how many each
    slice's entry stores, if not its length.
    """

    def write(folder: Path) -> None:
        whole = bundle()
        data = bundles.gpt2_arrays(SIZES)[WTE].tobytes()
        shape = whole.entries.pop(WTE).shape
        all_ = whole.records()
        for start, length in stored:
            part = data[16 * start : 16 * (start + (length if rows is None else rows))]
            where = len(whole.shards[0])
            whole.shards[0] += part
            own = Entry(1, (len(part) // 16, 4), len(part), masked_crc(part), where)
            all_.append((key(slice_key(WTE, (start, length), FULL)), own.encode()))
        extents = announced or stored
        listed = b"".join(slice_proto(extent, FULL) for extent in extents)
        all_.append((WTE.encode(), Entry(1, shape, 0, b"", extra=listed).encode()))
        write_files(folder, bundles.encode_table(sorted(all_)), bytes(whole.shards[0]))

    return write


def case(write: Write, says: str, file: str = INDEX) -> Case:
    return Case(FAMILY, write, "m", file, says)


CASES: dict[str, Case] = {
    # The header.
    "header cut short": case(header(b"\x08"), "header: a varint"),
    "header that is text": case(header(b"not a message"), "header: "),
    "header of a group": case(header(b"\x0b"), "header: field 1 has the unknown wire type"),
    "no shards": case(header(bundles.header(0)), "header: 1 to 99,999 shards"),
    "minus one shard": case(header(bundles.header(-1)), "header: 1 to 99,999 shards"),
    "a milliard shards": case(header(bundles.header(10**9)), "header: 1 to 99,999 shards"),
    "99,999 shards": case(header(bundles.header(99_999)), "missing", "m.data-00000-of-99999"),
    "unknown endianness": case(header(bundles.header(1, 7)), "endianness"),
    "too new a version": case(
        header(bundles.header(version=b"\x08\x05\x10\x05")), "readers of version 5"
    ),
    "a version that must not read it": case(
        header(bundles.header(version=b"\x08\x01\x18\x01")), "written for readers"
    ),
    "shard that is a folder": case(two_shards(second=True), "regular", "m.data-00001-of-00002"),
    "shard that is not there": case(two_shards(second=False), "missing", "m.data-00001-of-00002"),
    # Entries.
    "unknown dtype": case(entry(dtype=99), f"'{WTE}': TensorFlow's dtype number 99"),
    "negative dtype": case(entry(dtype=-1), f"'{WTE}': TensorFlow's dtype"),
    "no dtype": case(entry(dtype=0), f"'{WTE}': TensorFlow's dtype"),
    "shape of exabytes": case(entry(shape=(1 << 31, 1 << 31)), f"'{WTE}': shape"),
    "shape that wraps to its size": case(
        entry(shape=((1 << 62) + 11, 4)), f"'{WTE}': shape .* more elements"
    ),
    "shape beyond 64 bits": case(entry(shape=(1 << 40, 1 << 40)), "more elements"),
    "negative axis": case(entry(shape=(-11, -4)), f"'{WTE}': axis 0"),
    "255 axes": case(entry(shape=(1,) * 255), f"'{WTE}': more than 32 axes"),
    "unknown rank": case(
        raw_entry(lambda value: value + proto_bytes(2, b"\x18\x01")), "unknown rank"
    ),
    "size smaller than the shape": case(entry(size=172), f"'{WTE}': shape .* 172 are stored"),
    "size larger than the shape": case(entry(size=1 << 40), f"'{WTE}': shape"),
    "negative size": case(entry(size=-176), f"'{WTE}': -176 bytes"),
    "negative offset": case(entry(offset=-1), f"'{WTE}': 176 bytes at byte -1"),
    "offset at the end of int64": case(entry(offset=(1 << 63) - 1), f"'{WTE}' needs", SHARD),
    "offset behind the shard": case(entry(offset=10_000), f"'{WTE}' needs bytes", SHARD),
    "offset of another tensor": case(entry(offset=0), f"'{WTE}': crc32c", SHARD),
    "shard beyond the last": case(entry(shard_id=1), f"'{WTE}': shard 1 of"),
    "negative shard": case(entry(shard_id=-1), f"'{WTE}': shard -1 of"),
    "wrong checksum": case(entry(crc32c=b"\1\2\3\4"), f"'{WTE}': crc32c 0x04030201", SHARD),
    "no checksum": case(entry(crc32c=b""), f"'{WTE}': crc32c 0x00000000", SHARD),
    "checksum of another type": case(
        raw_entry(lambda value: value[:-5] + b"\x30\1"), f"'{WTE}': field 6"
    ),
    "entry cut short": case(raw_entry(lambda value: value[:-1]), f"'{WTE}': field 6"),
    "entry with field number 0": case(raw_entry(lambda value: value + b"\0\0"), "field number 0"),
    "entry that is empty": case(raw_entry(lambda _: b""), f"'{WTE}': "),
    "shape that is a number": case(raw_entry(lambda value: value + b"\x10\1"), f"'{WTE}': field 2"),
    "weights that are strings": case(entry(dtype=7), WTE, "m"),
    "weights that are resources": case(entry(dtype=20), WTE, "m"),
    "weights that are integers": case(entry(dtype=3), f"'{WTE}' is int32", "m"),
    # Shards.
    "no shard": case(lambda folder: (folder / INDEX).write_bytes(good_index()), "missing", SHARD),
    "empty shard": case(changed_shard(lambda _: b""), "an empty file", SHARD),
    **{
        f"shard cut at {cut:.0%}": case(
            changed_shard(cut_at(cut)),
            "truncated: 'model/.*needs bytes",
            SHARD,
        )
        for cut in CUTS
    },
    "shard without its last byte": case(
        changed_shard(lambda data: data[:-1]), f"truncated: '{WTE}'", SHARD
    ),
    "shard of zeros": case(changed_shard(lambda data: bytes(len(data))), "crc32c", SHARD),
    **{
        f"flipped bit in byte {place} of the shard": case(
            changed_shard(flip_at(place)),
            f"'{name}': crc32c",
            SHARD,
        )
        for place, name in {
            0: "model/h0/attn/c_attn/b",
            -1: WTE,
            600: "model/h0/mlp/c_fc/w",
        }.items()
    },
    # Slices.
    "slice that is not there": case(
        sliced((0, 5), announced=((0, 5), (5, 6))), f"'{WTE}': slice at .5, 0. of .6, 4.", "m"
    ),
    "slices with a hole": case(
        sliced((0, 5), (6, 5)), f"'{WTE}': its slices have 40 elements", "m"
    ),
    "slices that overlap": case(
        sliced((0, 6), (5, 6)), f"'{WTE}': its slices have 48 elements", "m"
    ),
    "slice beyond the shape": case(sliced((0, 5), (5, 9)), f"'{WTE}': a slice of 9 from 5", "m"),
    "slice smaller than its spec": case(
        sliced((0, 5), (5, 6), rows=2), f"'{WTE}': slice at .0, 0. of .5, 4.", "m"
    ),
    "slice key cut short": case(sliced((0, 5), (5, 6), key=lambda key: key[:-2]), f"{WTE}", "m"),
    "slice key of another tensor": case(
        sliced((0, 5), (5, 6), key=lambda key: key.replace(b"wte", b"wtf")), f"'{WTE}", "m"
    ),
    "slices and none": case(
        sliced((0, 0), (0, 11), announced=((0, 0),)), f"'{WTE}': slice at .0, 0.", "m"
    ),
}
