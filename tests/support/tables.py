"""Table files of blocks, entries and bounds as a test chooses them, with all around them right."""

from __future__ import annotations

import struct

from support import bundles

MAGIC = bytes.fromhex("57 fb 80 8b 24 75 47 db")


def trailer(block: bytes, kind: int = 0) -> bytes:
    return bundles.trailer(block, kind)


def block(entries: bytes, *restarts: int) -> bytes:
    numbers = [*restarts, len(restarts)]
    return entries + b"".join(struct.pack("<I", number) for number in numbers)


def entry(shared: int, suffix: bytes, value: bytes = b"") -> bytes:
    return bytes([shared, len(suffix), len(value)]) + suffix + value


def assemble(
    data: bytes | list[bytes],
    *,
    kind: int = 0,
    bounds: list[bytes] | None = None,
    index: bytes | None = None,
    magic: bytes = MAGIC,
) -> bytes:
    """A table file of the given data blocks, with everything around them right."""
    blocks = [data] if isinstance(data, bytes) else data
    out, handles = b"", []
    for one in blocks:
        handles.append(bundles.varint(len(out)) + bundles.varint(len(one)))
        out += one + trailer(one, kind)
    meta = bundles.varint(len(out)) + b"\x08"
    out += bytes(4) + b"\1\0\0\0" + trailer(bytes(4) + b"\1\0\0\0")
    if index is None:
        keys = bounds or [bytes([0xF0 + number]) for number in range(len(blocks))]
        entries = [entry(0, key, handle) for key, handle in zip(keys, handles, strict=True)]
        starts = [sum(map(len, entries[:number])) for number in range(len(entries))]
        index = block(b"".join(entries), *starts)
    footer = meta + bundles.varint(len(out)) + bundles.varint(len(index))
    return out + index + trailer(index) + footer.ljust(40, b"\0") + magic
