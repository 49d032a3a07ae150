"""String tensors: the lengths of the elements, then their bytes.

Layout (TensorFlow's tensor_bundle.cc, WriteStringTensor)::

    lengths   varint64 an element
    checksum  fixed32, the masked crc32c of the lengths as numbers: a uint32 each, or a uint64 where
              one is above 2^32 - 1
    bytes     of all elements

The crc32c of the entry is taken over the lengths as numbers, the checksum as it lies there, and the
bytes. In a big-endian bundle the numbers and the checksum are big-endian.

Limits: a partitioned string tensor is not read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import google_crc32c

from ...errors import ChecksumError, FormatError
from ...tensors.tensor import rechunk
from .table import mask_crc

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Final, Literal

    from .shards import Cursor

_PIECE: Final = 1 << 16
"""Bytes of lengths that are looked at together."""
_CHECKSUM_SIZE: Final = 4


def read_strings(cursor: Cursor, count: int, order: Literal["little", "big"]) -> Iterator[bytes]:
    """Yield what is stored of ``count`` strings, lengths included, in chunks as of any tensor.

    Raises:
        FormatError: these are not the lengths of so many strings in so many bytes.
        ChecksumError: a checksum does not match; after the last chunk.
    """
    return rechunk(_read_pieces(cursor, count, order))


def _read_pieces(cursor: Cursor, count: int, order: Literal["little", "big"]) -> Iterator[bytes]:
    rest = cursor.part.entry.size
    if count + _CHECKSUM_SIZE > rest:
        raise FormatError(f"{cursor.place}: {count:,} strings do not fit into {rest:,} bytes")
    total = crc = value = shift = 0
    while count:
        # As many lengths take as many bytes or more, so none of what follows them is read here.
        piece = cursor.read(min(count, rest, _PIECE))
        rest -= len(piece)
        numbers = bytearray()
        for byte in piece:
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                numbers += value.to_bytes(8 if value >> 32 else 4, order)
                total += value
                count -= 1
                value = shift = 0
            elif shift > 56:
                raise FormatError(f"{cursor.place}: a string of more than 2^63 bytes")
        if not piece or total > rest:
            break
        crc = google_crc32c.extend(crc, bytes(numbers))
        yield piece
    if count or total + _CHECKSUM_SIZE != rest:
        raise FormatError(
            f"{cursor.place}: {rest:,} bytes follow the lengths of its strings, which need "
            f"{total + _CHECKSUM_SIZE:,}"
        )
    checksum = cursor.read(_CHECKSUM_SIZE)
    expected, found = int.from_bytes(checksum, order), mask_crc(crc)
    yield checksum
    crc = google_crc32c.extend(crc, checksum)
    for piece in cursor.chunks(total):
        crc = google_crc32c.extend(crc, piece)
        yield piece
    if expected != found:
        raise ChecksumError(
            f"{cursor.place}: crc32c {expected:#010x} of the lengths of its strings expected, "
            f"found {found:#010x}: the data is corrupt; fetch it again"
        )
    cursor.compare(crc)
