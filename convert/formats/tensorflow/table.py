"""The table file: sorted keys and values in checksummed blocks. A bundle's ``.index`` is one.

Layout, all integers little-endian (LevelDB's table_format.md; TensorFlow's lib/io/format.cc,
block.cc and table_builder.cc)::

    [data block, trailer]*  [metaindex block, trailer]  [index block, trailer]  [footer]

    footer    48 bytes: metaindex handle, index handle, zeros up to byte 40, magic (fixed64)
    handle    varint64 offset, varint64 size (without the trailer)
    trailer   5 bytes: compression (0 none, 1 Snappy), fixed32 masked crc32c over block and type
    block     entries, restart offsets (fixed32 each), number of restarts (fixed32)
    entry     varint32 shared, varint32 non_shared, varint32 value_length, key suffix, value:
              the key is the first ``shared`` bytes of the one before it, then the suffix

An entry of the index block has a handle as its value and a key that is not less than the last key
of that data block. The metaindex block is empty in every known file and is not read.

Every number is checked before it is used, keys must ascend, and nothing larger than MAX_BLOCK is
ever decompressed or held. Shared prefixes could blow a small file up as well, so the keys together
have a limit, too: that of all names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cramjam
import google_crc32c

from ...errors import ChecksumError, FormatError
from ...quoting import quote
from ..foreign import explain_file
from ..limits import MAX_NAMES, check_count
from .wire import read_varint

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Final

    from ...io.source import SourceFile

MAGIC: Final = bytes.fromhex("57fb808b247547db")
FOOTER_SIZE: Final = 48
TRAILER_SIZE: Final = 5
MAX_BLOCK: Final = 16 << 20
"""Bytes: more than all keys and entries of an index together. Writers close a block at 256 KiB."""
MAX_KEYS: Final = MAX_NAMES
"""Bytes of all keys together."""
_MASK_DELTA: Final = 0xA282EAD8


def mask_crc(crc: int) -> int:
    """Return the form in which a crc32c is stored: rotated, and moved by a constant.

    A checksum of data that itself contains checksums would otherwise be weak (LevelDB crc32c.h).
    """
    return ((crc >> 15 | crc << 17) + _MASK_DELTA) & 0xFFFFFFFF


def read_table(file: SourceFile) -> Iterator[tuple[bytes, bytes]]:
    """Yield every (key, value) of a table file, in ascending order of the keys.

    Raises:
        FormatError: a rule of the layout is broken; the message has the place.
        ChecksumError: a block does not match its crc32c.
    """
    where = str(file.path)
    previous_key: bytes | None = None
    keys_size = 0
    for bound, handle in list_blocks(file):
        name = _name_block(handle)
        block = _read_block(file, handle, name)
        before = previous_key
        for key, entry in _entries(block, f"{where}: {name}", MAX_KEYS - keys_size):
            if previous_key is not None and key <= previous_key:
                raise FormatError(
                    f"{where}: {name}: key {quote(key)} does not follow {quote(previous_key)}"
                )
            keys_size += len(key)
            previous_key = key
            yield key, entry
        if previous_key is None or previous_key is before:
            raise FormatError(f"{where}: {name}: it is empty")
        if previous_key > bound:
            raise FormatError(
                f"{where}: {name}: key {quote(previous_key)} lies beyond the block's bound "
                f"{quote(bound)}"
            )


def is_table(file: SourceFile) -> bool:
    """Whether a file ends as tables do."""
    at = file.size - len(MAGIC)
    return at >= 0 and file.read(at, len(MAGIC), "the magic") == MAGIC


def list_blocks(
    file: SourceFile, most: int | None = None
) -> Iterator[tuple[bytes, tuple[int, int]]]:
    """Yield the bound and the handle, (offset, size) in bytes, of every data block of a table.

    Raises:
        FormatError, ChecksumError: the footer or the index block is broken, or that is larger than
            ``most`` bytes.
    """
    where = str(file.path)
    if file.size < FOOTER_SIZE:
        raise explain_file(file) or FormatError(
            f"{where}: {file.size:,} bytes are too few for a TensorFlow index, "
            f"whose footer alone has {FOOTER_SIZE}"
        )
    footer_start = file.size - FOOTER_SIZE
    footer = file.read(footer_start, FOOTER_SIZE, "the footer")
    if footer[40:] != MAGIC:
        raise explain_file(file) or FormatError(
            f"{where}: not a TensorFlow index: magic {MAGIC.hex()} expected at the end, "
            f"found {footer[40:].hex()}"
        )
    place = f"{where}: footer"
    _, position = _read_handle(footer, 0, place, footer_start)
    index_handle, _ = _read_handle(footer, position, place, footer_start)
    index = _read_block(file, index_handle, "index block", most)
    for bound, value in _entries(index, f"{where}: index block", MAX_KEYS):
        handle, end = _read_handle(value, 0, f"{where}: index block", footer_start)
        if end != len(value):
            raise FormatError(f"{where}: index block: {len(value) - end} bytes after a handle")
        yield bound, handle


def check_blocks(file: SourceFile) -> None:
    """Compare every data block of a table with its checksum, however large, and parse none.

    Raises:
        FormatError, ChecksumError: as :func:`read_table`, as far as that goes; or blocks share
            bytes, so that there may be more of them than the file has.
        UnsupportedError: there are more of them than a checkpoint has tensors.
    """
    end = 0
    for count, (_, (offset, size)) in enumerate(list_blocks(file), 1):
        check_count(count, str(file.path))
        name = _name_block((offset, size))
        if offset < end:
            raise FormatError(f"{file.path}: {name} lies within the one before, to byte {end:,}")
        end = offset + size + TRAILER_SIZE
        crc = 0
        for chunk in file.chunks(offset, size + 1, name):
            crc = google_crc32c.extend(crc, chunk)
        trailer = file.read(offset + size + 1, TRAILER_SIZE - 1, name)
        _compare_crc(crc, trailer, f"{file.path}: {name}")


def _name_block(handle: tuple[int, int]) -> str:
    return f"data block at byte {handle[0]:,}"


def _read_handle(data: bytes, position: int, place: str, limit: int) -> tuple[tuple[int, int], int]:
    offset, position = read_varint(data, position, place)
    size, position = read_varint(data, position, place)
    if offset + size + TRAILER_SIZE > limit:
        raise FormatError(
            f"{place}: a block of {size:,} bytes at byte {offset:,} does not fit "
            f"into the {limit:,} bytes before the footer"
        )
    return (offset, size), position


def _read_block(
    file: SourceFile, handle: tuple[int, int], name: str, most: int | None = None
) -> bytes:
    """Return the contents of a block, its checksum compared and its compression undone."""
    offset, size = handle
    place = f"{file.path}: {name}"
    most = MAX_BLOCK if most is None else most
    if size > most:
        raise FormatError(f"{place}: {size:,} bytes, where at most {most:,} make sense")
    stored = file.read(offset, size + TRAILER_SIZE, name)
    _compare_crc(google_crc32c.value(stored[:-4]), stored[-4:], place)
    kind, block = stored[size], stored[:size]
    if kind == 0:
        return block
    if kind == 1:
        return _decompress(block, place, most)
    raise FormatError(f"{place}: compression type 0 (none) or 1 (Snappy) expected, found {kind}")


def _compare_crc(crc: int, stored: bytes, place: str) -> None:
    expected, found = int.from_bytes(stored, "little"), mask_crc(crc)
    if found != expected:
        raise ChecksumError(
            f"{place}: crc32c {expected:#010x} expected, found {found:#010x}: "
            "the index is corrupt; fetch it again"
        )


def _decompress(block: bytes, place: str, most: int) -> bytes:
    # A Snappy stream starts with its decompressed length as a varint.
    size, _ = read_varint(block, 0, place)
    if size > most:
        raise FormatError(
            f"{place}: decompresses to {size:,} bytes, where at most {most:,} make sense"
        )
    try:
        return bytes(cramjam.snappy.decompress_raw(block))
    except cramjam.DecompressionError as error:
        raise FormatError(f"{place}: broken Snappy data: {error}") from None


def _entries(block: bytes, place: str, limit: int) -> Iterator[tuple[bytes, bytes]]:
    """Yield the (key, value) pairs of a block whose keys together have up to ``limit`` bytes."""
    if len(block) < 4:
        raise FormatError(f"{place}: {len(block)} bytes, too few for the number of restarts")
    restarts = int.from_bytes(block[-4:], "little")
    end = len(block) - 4 - 4 * restarts
    if end < 0:
        raise FormatError(f"{place}: {restarts:,} restarts do not fit into {len(block):,} bytes")

    def restart(number: int) -> int | None:
        at = end + 4 * number
        return int.from_bytes(block[at : at + 4], "little") if number < restarts else None

    if end and restart(0) != 0:
        raise FormatError(f"{place}: the first entry is not where the first restart is")
    key = b""
    position = seen = 0
    while position < end:
        start = position
        shared, position = read_varint(block, position, place)
        suffix_size, position = read_varint(block, position, place)
        value_size, position = read_varint(block, position, place)
        if start == restart(seen):
            seen += 1
            if shared:
                raise FormatError(f"{place}: byte {start:,}: a restart shares {shared:,} bytes")
        if shared > len(key):
            raise FormatError(
                f"{place}: byte {start:,}: {shared:,} bytes shared with a key of {len(key):,}"
            )
        if position + suffix_size + value_size > end:
            raise FormatError(
                f"{place}: byte {start:,}: an entry of {suffix_size:,} + {value_size:,} bytes "
                f"runs past the end of the entries at {end:,}"
            )
        limit -= shared + suffix_size
        if limit < 0:
            raise FormatError(f"{place}: more than {MAX_KEYS:,} bytes of keys")
        key = key[:shared] + block[position : position + suffix_size]
        position += suffix_size
        yield key, block[position : position + value_size]
        position += value_size
    if end and seen < restarts:
        raise FormatError(f"{place}: restart offset {restart(seen):,} is the start of no entry")
