"""Protocol Buffers on the wire, byte by byte; protobuf's own papers say how."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpt2_convert import FormatError
from gpt2_convert.formats.tensorflow.wire import (
    Field,
    encode_fixed32,
    encode_integer,
    encode_message,
    encode_varint,
    read_fields,
    read_varint,
    signed,
)


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b"\0", 0), (b"\x01", 1), (b"\x7f", 127), (b"\x80\x01", 128), (b"\x96\x01", 150),
        (b"\xff\xff\xff\xff\x0f", 0xFFFFFFFF), (b"\xff" * 9 + b"\x01", (1 << 64) - 1),
        (b"\x80" * 9 + b"\x01", 1 << 63), (b"\x81\x00", 1),
    ],
)  # fmt: skip
def test_varints_are_seven_bits_a_byte_lowest_first(data: bytes, value: int) -> None:
    assert read_varint(data + b"rest", 0, "x") == (value, len(data))
    assert read_varint(b"before" + data, 6, "x") == (value, 6 + len(data))


@pytest.mark.parametrize(
    ("value", "data"),
    [
        (0, b"\0"), (1, b"\x01"), (127, b"\x7f"), (128, b"\x80\x01"), (150, b"\x96\x01"),
        (0xFFFFFFFF, b"\xff\xff\xff\xff\x0f"), ((1 << 64) - 1, b"\xff" * 9 + b"\x01"),
    ],
)  # fmt: skip
def test_a_varint_is_written_as_short_as_it_can_be(value: int, data: bytes) -> None:
    assert encode_varint(value) == data


def test_fields_are_written_unless_they_are_zero() -> None:
    assert encode_integer(1, 150) == bytes.fromhex("08 96 01")
    assert encode_message(2, b"testing") == bytes.fromhex("12 07 74 65 73 74 69 6e 67")
    assert encode_fixed32(6, 0x80000001) == bytes.fromhex("35 01 00 00 80")
    assert encode_integer(16, 1) == bytes.fromhex("80 01 01")
    assert encode_integer(1, 0) == encode_fixed32(6, 0) == b""
    assert encode_message(2, b"") == bytes.fromhex("12 00")


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "runs past the end at byte 0"),
        (b"\x80", "runs past the end at byte 1"),
        (b"\xff" * 9, "runs past the end at byte 9"),
        (b"\x80" * 9 + b"\x02", "longer than 64 bits"),
        (b"\x80" * 10 + b"\x01", "longer than 64 bits"),
        (b"\xff" * 100, "longer than 64 bits"),
    ],
)
def test_varints_that_end_too_late_or_never_are_refused(data: bytes, says: str) -> None:
    with pytest.raises(FormatError, match=says):
        read_varint(data, 0, "x")


def test_signed_numbers_are_twos_complement() -> None:
    numbers = {0: 0, 1: 1, (1 << 63) - 1: (1 << 63) - 1, 1 << 63: -(1 << 63), (1 << 64) - 1: -1}
    assert {value: signed(value) for value in numbers} == numbers


def test_fields_of_every_wire_type_are_read_in_order() -> None:
    message = bytes.fromhex(
        "08 96 01"  # 1, varint
        "12 07 74 65 73 74 69 6e 67"  # 2, bytes: "testing"
        "1d 01 00 00 80"  # 3, fixed32
        "21 01 00 00 00 00 00 00 80"  # 4, fixed64
        "08 01"  # 1 again
        "f8 ff ff ff 0f 00"  # 536,870,911, the largest number a field can have
    )
    fields = list(read_fields(message, "x"))
    assert [(field.number, field.wire_type) for field in fields] == [
        (1, 0), (2, 2), (3, 5), (4, 1), (1, 0), (536_870_911, 0),
    ]  # fmt: skip
    assert fields[0].integer() == 150
    assert fields[1].message() == b"testing"
    assert fields[2].fixed32() == 0x80000001
    assert fields[4].integer() == 1


@pytest.mark.parametrize(
    ("message", "says"),
    [
        ("08", "a varint runs past the end"),
        ("80", "a varint runs past the end"),
        ("12 05 61 62 63 64", "field 2 of 5 bytes runs past the end at 6"),
        ("12 ff ff ff ff ff ff ff ff ff 01", "bytes runs past the end"),
        ("1d 00 00 00", "field 3 of 4 bytes runs past the end at 4"),
        ("21 00 00 00 00 00 00 00", "field 4 of 8 bytes runs past the end at 8"),
        ("0b", "field 1 has the unknown wire type 3"),
        ("0c", "field 1 has the unknown wire type 4"),
        ("0e 00", "field 1 has the unknown wire type 6"),
        ("0f 00", "field 1 has the unknown wire type 7"),
        ("00 00", "field number 0 is out of range"),
        ("80 80 80 80 10 00", "field number 536,870,912 is out of range"),
    ],
)
def test_a_broken_message_is_refused(message: str, says: str) -> None:
    with pytest.raises(FormatError, match=f"^somewhere: .*{says}"):
        list(read_fields(bytes.fromhex(message), "somewhere"))


@pytest.mark.parametrize(
    ("message", "right"),
    [
        ("08 01", "varint"),
        ("11" + "00" * 8, "fixed64"),
        ("1a 00", "bytes"),
        ("25" + "00" * 4, "fixed32"),
    ],
)
def test_a_value_of_another_wire_type_is_refused(message: str, right: str) -> None:
    (field,) = read_fields(bytes.fromhex(message), "somewhere")
    readings = {"varint": field.integer, "fixed32": field.fixed32, "bytes": field.message}
    for expected, reading in readings.items():
        if expected == right:
            reading()
        else:
            with pytest.raises(FormatError, match=f"{expected} expected, found {right}"):
                reading()


@settings(derandomize=True, deadline=None, max_examples=200)
@given(start=st.integers(-(1 << 63), (1 << 63) - 1), length=st.integers(-(1 << 63), (1 << 63) - 1))
def test_the_numbers_that_protobuf_writes_are_read(tf: object, start: int, length: int) -> None:
    from tensorflow.core.framework.tensor_slice_pb2 import TensorSliceProto

    # An extent has int64 fields: 1, start, and 2, length, which is there also where it is 0.
    message = TensorSliceProto.Extent(start=start, length=length).SerializeToString()
    found = {field.number: field.integer() for field in read_fields(message, "x")}
    assert found == ({1: start, 2: length} if start else {2: length})


@settings(derandomize=True, deadline=None, max_examples=200)
@given(data=st.binary(max_size=40))
def test_no_bytes_raise_anything_but_our_errors(data: bytes) -> None:
    message = "x: "
    fields: list[Field] = []
    try:
        fields = list(read_fields(data, "x"))
    except FormatError as error:
        message = str(error)
    assert message.startswith("x: ")
    assert "\n" not in message
    assert all(field.message() in data for field in fields if field.wire_type == 2)
