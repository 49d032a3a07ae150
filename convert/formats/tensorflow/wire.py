"""The Protocol Buffers wire format, as much of it as checkpoints use.

A message is a run of fields: a varint tag (field number << 3 | wire type), then the value: a
varint (type 0), 8 bytes (1), a varint length and so many bytes (2), or 4 bytes (5). Types 3 and 4,
the deprecated groups, are refused. Fields in any order, unknown ones included, are legal; of a
repeated scalar the last one counts (protobuf.dev/programming-guides/encoding). Written are they in
the order of their numbers, and those that are zero not at all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...errors import FormatError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Final

VARINT: Final = 0
FIXED64: Final = 1
BYTES: Final = 2
FIXED32: Final = 5
_TYPE_NAMES: Final = {VARINT: "varint", FIXED64: "fixed64", BYTES: "bytes", FIXED32: "fixed32"}


def read_varint(data: bytes, position: int, place: str) -> tuple[int, int]:
    """Return the unsigned varint at ``position`` and the position after it.

    Seven bits a byte, lowest first; the high bit says that another byte follows; at most 10
    bytes and 64 bits.

    Raises:
        FormatError: it runs past the end or is too long.
    """
    value = 0
    for count in range(10):
        if position >= len(data):
            raise FormatError(f"{place}: a varint runs past the end at byte {len(data):,}")
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << (7 * count)
        if byte < 0x80:
            if value >= 1 << 64:
                break
            return value, position
    raise FormatError(f"{place}: a varint before byte {position:,} is longer than 64 bits")


def signed(value: int) -> int:
    """Return the int64 (or sign-extended int32) that a varint of 64 bits stands for."""
    return value - (1 << 64) if value >= 1 << 63 else value


def encode_varint(value: int) -> bytes:
    """Return a number that is not negative as a varint."""
    encoded = bytearray()
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def encode_integer(number: int, value: int) -> bytes:
    """Return the field of an integer or enum that is not negative: nothing where it is zero."""
    return _encode_tag(number, VARINT) + encode_varint(value) if value else b""


def encode_fixed32(number: int, value: int) -> bytes:
    """Return the field of a fixed32: nothing where it is zero."""
    return _encode_tag(number, FIXED32) + value.to_bytes(4, "little") if value else b""


def encode_message(number: int, message: bytes) -> bytes:
    """Return the field of a string, bytes or embedded message, which may be empty."""
    return _encode_tag(number, BYTES) + encode_varint(len(message)) + message


def _encode_tag(number: int, wire_type: int) -> bytes:
    return encode_varint(number << 3 | wire_type)


class Field:
    """One field of a message; its accessors check the wire type."""

    __slots__ = ("_place", "_value", "number", "wire_type")

    def __init__(self, number: int, wire_type: int, value: int | bytes, place: str) -> None:
        self.number = number
        self.wire_type = wire_type
        self._value = value
        self._place = place

    def integer(self) -> int:
        """Return an int32, int64, bool or enum."""
        return signed(self._checked(VARINT))

    def fixed32(self) -> int:
        """Return a fixed32."""
        return self._checked(FIXED32)

    def message(self) -> bytes:
        """Return the bytes of a string, bytes or embedded message."""
        if isinstance(self._value, bytes):
            return self._value
        raise self._wrong_type(BYTES)

    def _checked(self, wire_type: int) -> int:
        if self.wire_type == wire_type and isinstance(self._value, int):
            return self._value
        raise self._wrong_type(wire_type)

    def _wrong_type(self, expected: int) -> FormatError:
        return FormatError(
            f"{self._place}: field {self.number}: {_TYPE_NAMES[expected]} expected, "
            f"found {_TYPE_NAMES[self.wire_type]}"
        )


def read_fields(data: bytes, place: str) -> Iterator[Field]:
    """Yield the fields of a message; ``place`` says in an error what the message is.

    Raises:
        FormatError: the wire format is broken.
    """
    position, end = 0, len(data)
    while position < end:
        # Most varints are one byte, and an index has a million of them.
        tag = data[position]
        if tag < 0x80:
            position += 1
        else:
            tag, position = read_varint(data, position, place)
        number, wire_type = tag >> 3, tag & 7
        if not 0 < number < 1 << 29:
            raise FormatError(f"{place}: field number {number:,} is out of range")
        if wire_type == VARINT:
            value: int | bytes
            if position < end and data[position] < 0x80:
                value = data[position]
                position += 1
            else:
                value, position = read_varint(data, position, place)
        elif wire_type in (FIXED32, FIXED64, BYTES):
            size = 4 if wire_type == FIXED32 else 8
            if wire_type == BYTES:
                if position < end and data[position] < 0x80:
                    size = data[position]
                    position += 1
                else:
                    size, position = read_varint(data, position, place)
            if position + size > end:
                raise FormatError(
                    f"{place}: field {number} of {size:,} bytes runs past the end at {end:,}"
                )
            value = data[position : position + size]
            position += size
            if wire_type != BYTES:
                value = int.from_bytes(value, "little")
        else:
            raise FormatError(f"{place}: field {number} has the unknown wire type {wire_type}")
        yield Field(number, wire_type, value, place)
