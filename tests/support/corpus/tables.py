"""The index of a bundle as a table: footer, blocks and their restarts, keys, compression.

Most of these tables have right checksums. Among the cases are lengths that wrap around and restart
offsets that lead elsewhere, at which TensorFlow's own reader does not look.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import cramjam
from support import bundles
from support.bundles import Block, trailer, varint

from .case import CUTS, Case, cut_at, flip_at
from .tensorflow import WTE, bundle, case, changed_index, records, write_files

if TYPE_CHECKING:
    from collections.abc import Callable

    from .case import Write

MOST = (1 << 64) - 1


def assemble(
    block: bytes,
    kind: int = 0,
    *,
    index: Callable[[bytes], bytes] | None = None,
    footer: Callable[[bytes, bytes], bytes] | None = None,
) -> bytes:
    """Return a table of one data block, byte by byte, its checksums right.

    ``index`` makes the index block of the data block's handle, ``footer`` the two handles of the
    metaindex's and the index's.
    """
    out = block + trailer(block, kind)
    handle = varint(0) + varint(len(block))
    bounds = Block(interval=1)
    bounds.add(b"\xff", handle)
    meta, bound = Block().encode(), bounds.encode() if index is None else index(handle)
    handles = [varint(len(out)) + varint(len(meta))]
    out += meta + trailer(meta, 0)
    handles.append(varint(len(out)) + varint(len(bound)))
    out += bound + trailer(bound, 0)
    first, second = handles
    ends = first + second if footer is None else footer(first, second)
    return out + ends.ljust(40, b"\0") + struct.pack("<Q", bundles.MAGIC)


def good_block() -> bytes:
    block = Block()
    for key, value in bundle().records():
        block.add(key, value)
    return block.encode()


def table(block: bytes, kind: int = 0, **parts: object) -> Write:
    return lambda folder: write_files(folder, assemble(block, kind, **parts))  # type: ignore[arg-type]


def restarts(*numbers: int) -> bytes:
    """Return the good block with other restart offsets, the last number being their count."""
    end = good_block()
    count = int.from_bytes(end[-4:], "little")
    return end[: -4 * (count + 1)] + struct.pack(f"<{len(numbers)}I", *numbers)


def raw_block(*entries: tuple[int, int, int, bytes]) -> bytes:
    """Return a block of entries whose three lengths are as given, with one restart."""
    body = b"".join(
        varint(shared) + varint(suffix) + varint(value) + data
        for shared, suffix, value, data in entries
    )
    return body + struct.pack("<II", 0, 1)


HEADER = (0, 0, 6, bundles.header())
"""The entry of the header, which the good ones have too."""


def snappy(stream: bytes) -> Write:
    return table(stream, 1)


def index_block(value: Callable[[bytes], bytes]) -> Write:
    def encode(handle: bytes) -> bytes:
        bounds = Block(interval=1)
        bounds.add(b"\xff", value(handle))
        return bounds.encode()

    return table(good_block(), index=encode)


def two_handles(handle: bytes) -> bytes:
    bounds = Block(interval=1)
    bounds.add(b"\xfe", handle)
    bounds.add(b"\xff", handle)
    return bounds.encode()


def footer(make: Callable[[bytes, bytes], bytes]) -> Write:
    return table(good_block(), footer=make)


def long_shared_keys() -> bytes:
    """Return a block of 1 MB whose keys would be 1.5 GB: each shares 50,000 bytes with the last."""
    value = bundle().entries[WTE].encode()
    entries = [HEADER, (0, 50_000, len(value), b"k" * 50_000 + value)]
    entries += [
        (50_000, 2, len(value), number.to_bytes(2, "big") + value) for number in range(30_000)
    ]
    return raw_block(*entries)


def many_names() -> Write:
    name = b"model/%06d"
    value = bundle().entries["model/ln_f/b"].encode()
    all_ = [(name % number, value) for number in range(60_000)]
    return lambda folder: write_files(
        folder, bundles.encode_table([(b"", bundles.header()), *all_], snappy=True)
    )


def zeros_in_snappy() -> bytes:
    """Return a valid stream of 60 MB of zeros, which is no block."""
    return bytes(cramjam.snappy.compress_raw(bytes(60 << 20)))


def bound_by(key: bytes, handle: bytes) -> bytes:
    bounds = Block(interval=1)
    bounds.add(key, handle)
    return bounds.encode()


CASES: dict[str, Case] = {
    # The file as a whole.
    "empty index": case(changed_index(lambda _: b""), "an empty file"),
    "index of zeros": case(changed_index(lambda data: bytes(len(data))), "zeros only"),
    "index that is a page": case(changed_index(lambda _: b"<html>" * 20), "an HTML"),
    "footer alone": case(changed_index(lambda data: data[-48:]), "footer: a block of"),
    **{f"index cut at {cut:.0%}": case(changed_index(cut_at(cut)), "footer|magic") for cut in CUTS},
    "index without its last byte": case(changed_index(lambda data: data[:-1]), "magic"),
    "index with a byte more": case(changed_index(lambda data: data + b"\0"), "magic"),
    **{
        f"flipped bit in byte {place} of the index": case(changed_index(flip_at(place)), says)
        for place, says in {
            0: "data block at byte 0: crc32c",
            30: "data block",
            200: "data block",
            400: "data block",
            500: "index block",
            -60: "crc32c|block",
            -55: "index block: crc32c",
            -50: "index block: crc32c",
            -8: "magic",
            -1: "magic",
        }.items()
    },
    # Footer and index block.
    "handle whose size wraps": case(
        footer(lambda first, _: first + varint(0) + varint(MOST - 2)), "footer: a block of"
    ),
    "handle whose offset wraps": case(
        footer(lambda first, _: first + varint(MOST) + varint(10)), "footer: a block of"
    ),
    "metaindex beyond the file": case(
        footer(lambda _, second: varint(1 << 40) + varint(1) + second), "footer: a block of"
    ),
    "handle that never ends": case(footer(lambda *_: b"\xff" * 40), "footer: a varint"),
    "footer of zeros": case(footer(lambda *_: b""), "index block"),
    "index block of two gigabytes": case(
        footer(lambda first, _: first + varint(0) + varint(1 << 31)), "footer: a block of"
    ),
    "data block beyond the footer": case(
        index_block(lambda _: varint(0) + varint(1 << 20)), "index block: a block of"
    ),
    "data block whose size wraps": case(
        index_block(lambda _: varint(3) + varint(MOST - 6)), "index block: a block of"
    ),
    "handle with a tail": case(index_block(lambda handle: handle + b"\0"), "after a handle"),
    "handle cut short": case(index_block(lambda handle: handle[:1]), "index block: a varint"),
    "empty handle": case(index_block(lambda _: b""), "index block: a varint"),
    "data block that is the index block": case(
        index_block(lambda _: varint(2) + varint(40)), "data block at byte 2: crc32c"
    ),
    "one data block twice": case(
        table(good_block(), index=two_handles), "data block at byte 0: key b'' does not follow"
    ),
    "key beyond its block's bound": case(
        table(good_block(), index=lambda handle: bound_by(b"a", handle)), "lies beyond"
    ),
    "index block without restarts": case(
        table(good_block(), index=lambda _: b""), "index block: 0 bytes, too few"
    ),
    # Blocks.
    "empty data block": case(table(struct.pack("<II", 0, 1)), "data block at byte 0: it is empty"),
    "block of three bytes": case(table(b"\0\0\0"), "3 bytes, too few"),
    "restart count beyond the block": case(table(restarts(0, 1 << 31)), "restarts do not fit"),
    "restart count of all ones": case(table(restarts(0, 0xFFFFFFFF)), "restarts do not fit"),
    "no restarts": case(table(restarts(0)), "first restart"),
    "restart offset beyond the block": case(
        table(restarts(0, 0xFFFFFF00, 2)), "restart offset 4,294,967,040"
    ),
    "restart offset amid an entry": case(table(restarts(0, 3, 2)), "restart offset 3"),
    "first restart elsewhere": case(table(restarts(5, 1)), "first restart"),
    "restart offsets descend": case(table(restarts(0, 90, 40, 3)), "restart offset"),
    "key that shares more than there is": case(
        table(raw_block(HEADER, (1, 1, 0, b"a"))), "byte 9: 1 bytes shared with a key of 0"
    ),
    "lengths that wrap around": case(
        table(raw_block(HEADER, (0, MOST - 3, 8, b"abcd"))), "byte 9: an entry of"
    ),
    "value length that wraps around": case(
        table(raw_block(HEADER, (0, 4, MOST - 2, b"abcd"))), "byte 9: an entry of"
    ),
    "value that runs into the restarts": case(
        table(raw_block(HEADER, (0, 1, 9, b"abcd"))), "byte 9: an entry of"
    ),
    "length of eleven bytes": case(
        table(raw_block(HEADER)[:-8] + b"\x80" * 11 + struct.pack("<II", 0, 1)), "64 bits"
    ),
    "keys that share gigabytes": case(table(long_shared_keys()), "bytes of keys"),
    "keys that descend": case(
        records(lambda all_: [all_[0], *reversed(all_[1:])]), "does not follow"
    ),
    "one key twice": case(records(lambda all_: [*all_[:3], *all_[2:]]), "does not follow"),
    "two headers": case(records(lambda all_: [all_[0], *all_]), "does not follow"),
    "no header": case(records(lambda all_: all_[1:]), "no header"),
    "no records": case(table(b"", index=lambda _: struct.pack("<I", 0)), "no header"),
    "more names than a model has": case(many_names(), "more than 16,000 tensors"),
    # Compression.
    "unknown compression": case(table(good_block(), 2), "compression type 0"),
    "Snappy that is none": case(snappy(good_block()), "data block at byte 0"),
    "Snappy cut short": case(
        snappy(bytes(cramjam.snappy.compress_raw(good_block()))[:-9]), "broken Snappy"
    ),
    "Snappy that announces exabytes": case(snappy(varint(1 << 62) + b"\0a"), "decompresses to"),
    "Snappy that announces more than a block": case(
        snappy(varint((64 << 20) + 1) + b"\0a"), "decompresses to"
    ),
    "Snappy that is a bomb": case(snappy(zeros_in_snappy()), "data block at byte 0"),
    "Snappy that copies from before its start": case(snappy(b"\x08\0a\x01\x02\0a"), "Snappy"),
}
