"""The table file, written: see :mod:`.table` for the layout.

The bytes are those of TensorFlow's TableBuilder with the options of a bundle's index: a block is
closed once its entries and restarts have BLOCK_SIZE bytes; of RESTART_INTERVAL keys the first is
spelled out, in the index block each; nothing is compressed. What parts two blocks in the index
block is the shortest key that can (TensorFlow's lib/io/table_builder.cc, block_builder.cc).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import google_crc32c

from .table import FOOTER_SIZE, MAGIC, mask_crc
from .wire import encode_varint

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Final

BLOCK_SIZE: Final = 256 << 10
RESTART_INTERVAL: Final = 16
_UNCOMPRESSED: Final = b"\0"


def build_table(records: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Return a whole table file; the (key, value) pairs come in ascending order of the keys."""
    table = bytearray()
    index, block = _Block(1), _Block(RESTART_INTERVAL)
    last_key = handle = b""
    for key, value in records:
        if handle:  # of the block before, whose bound depends on this key
            index.add(_part(last_key, key), handle)
            handle = b""
        block.add(key, value)
        last_key = key
        if block.size >= BLOCK_SIZE:
            handle = _append(table, block)
            block = _Block(RESTART_INTERVAL)
    if block.entries:
        handle = _append(table, block)
    if handle:
        index.add(_succeed(last_key), handle)
    metaindex = _append(table, _Block(RESTART_INTERVAL))
    footer = metaindex + _append(table, index)
    return bytes(table) + footer.ljust(FOOTER_SIZE - len(MAGIC), b"\0") + MAGIC


class _Block:
    """A block in the making."""

    __slots__ = ("_count", "_interval", "_key", "_restarts", "entries")

    def __init__(self, interval: int) -> None:
        self.entries = bytearray()
        self._interval = interval
        self._restarts = [0]
        self._count = 0
        self._key = b""

    @property
    def size(self) -> int:
        """The bytes that it takes in the file, without its trailer."""
        return len(self.entries) + 4 * (len(self._restarts) + 1)

    def add(self, key: bytes, value: bytes) -> None:
        """Add an entry, which shares the start of its key with the one before or is a restart."""
        shared = 0
        if self._count < self._interval:
            shared = _count_shared(self._key, key)
        else:
            self._restarts.append(len(self.entries))
            self._count = 0
        for length in (shared, len(key) - shared, len(value)):
            self.entries += encode_varint(length)
        self.entries += key[shared:] + value
        self._count += 1
        self._key = key

    def encode(self) -> bytes:
        """Return the contents."""
        numbers = (*self._restarts, len(self._restarts))
        return bytes(self.entries) + b"".join(number.to_bytes(4, "little") for number in numbers)


def _append(table: bytearray, block: _Block) -> bytes:
    """Add a block and its trailer to the table, and return its handle."""
    contents = block.encode()
    handle = encode_varint(len(table)) + encode_varint(len(contents))
    crc = mask_crc(google_crc32c.value(contents + _UNCOMPRESSED))
    table += contents + _UNCOMPRESSED + crc.to_bytes(4, "little")
    return handle


def _part(key: bytes, following: bytes) -> bytes:
    """Return the shortest key that is not less than ``key`` and less than ``following``."""
    at = _count_shared(key, following)
    if at < len(key) and key[at] + 1 < following[at]:
        return key[:at] + bytes([key[at] + 1])
    return key


def _count_shared(first: bytes, second: bytes) -> int:
    """Return the number of bytes with which both begin."""
    for at, (ours, theirs) in enumerate(zip(first, second, strict=False)):
        if ours != theirs:
            return at
    return min(len(first), len(second))


def _succeed(key: bytes) -> bytes:
    """Return the shortest key that is not less than ``key``."""
    for at, byte in enumerate(key):
        if byte < 0xFF:
            return key[:at] + bytes([byte + 1])
    return key
