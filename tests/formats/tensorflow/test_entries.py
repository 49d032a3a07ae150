"""The header and the entries of a bundle's index; protobuf's own library is the oracle."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import bundles
from support.bundles import proto_bytes, proto_int

from gpt2_convert import DType, FormatError, Gpt2ConvertError, UnsupportedError
from gpt2_convert.formats.tensorflow.entries import Entry, Extent, parse_entry, parse_header

if TYPE_CHECKING:
    from types import ModuleType

MOST = (1 << 63) - 1

DTYPES = {
    "DT_FLOAT": ("float32", 4), "DT_DOUBLE": ("float64", 8), "DT_INT32": ("int32", 4),
    "DT_UINT8": ("uint8", 1), "DT_INT16": ("int16", 2), "DT_INT8": ("int8", 1),
    "DT_COMPLEX64": ("complex64", 8), "DT_INT64": ("int64", 8), "DT_BOOL": ("bool", 1),
    "DT_BFLOAT16": ("bfloat16", 2), "DT_UINT16": ("uint16", 2), "DT_COMPLEX128": ("complex128", 16),
    "DT_HALF": ("float16", 2), "DT_UINT32": ("uint32", 4), "DT_UINT64": ("uint64", 8),
    "DT_QINT8": ("qint8", 1), "DT_QINT16": ("qint16", 2), "DT_QINT32": ("qint32", 4),
    "DT_QUINT8": ("quint8", 1), "DT_QUINT16": ("quint16", 2),
    "DT_FLOAT8_E4M3FN": ("float8_e4m3fn", 1), "DT_FLOAT8_E5M2": ("float8_e5m2", 1),
    "DT_STRING": ("string", None), "DT_RESOURCE": ("resource", None),
    "DT_VARIANT": ("variant", None),
}  # fmt: skip
"""TensorFlow's names, ours, and bytes an element."""


def entry(**fields: object) -> bytes:
    """An entry of [2, 3] float32, with some fields different."""
    values: dict[str, object] = {"dtype": 1, "shape": (2, 3), "size": 24, "crc32c": b"\x04\3\2\1"}
    return bundles.Entry(**(values | fields)).encode()  # type: ignore[arg-type]


def parse(message: bytes, num_shards: int = 1) -> Entry:
    return parse_entry(message, num_shards, "x.index: 'w'")


def refusal(message: bytes, kind: type[Gpt2ConvertError], num_shards: int = 1) -> str:
    with pytest.raises(Gpt2ConvertError) as caught:
        parse(message, num_shards)
    assert type(caught.value) is kind
    text = str(caught.value)
    assert text.startswith("x.index: 'w': ")
    assert "\n" not in text
    return text


def header_refusal(message: bytes, kind: type[Gpt2ConvertError]) -> str:
    with pytest.raises(Gpt2ConvertError) as caught:
        parse_header(message, "x.index")
    assert type(caught.value) is kind
    text = str(caught.value)
    assert text.startswith("x.index: ")
    assert "\n" not in text
    return text


# The header.


def test_the_header_that_tensorflow_writes_is_one_shard() -> None:
    assert parse_header(bytes.fromhex("08 01 1a 02 08 01"), "x").num_shards == 1


@pytest.mark.parametrize("shards", [1, 2, 127, 128, 99_999])
def test_the_number_of_shards_is_read(shards: int) -> None:
    assert parse_header(bundles.header(shards), "x").num_shards == shards


@pytest.mark.parametrize("shards", [0, -1, 100_000, 1 << 31, MOST, -(1 << 63)])
def test_no_shards_and_more_than_file_names_can_count_are_refused(shards: int) -> None:
    assert f"found {shards:,}" in header_refusal(bundles.header(shards), FormatError)


def test_an_empty_header_has_no_shards() -> None:
    assert "found 0" in header_refusal(b"", FormatError)


def test_both_orders_of_bytes_are_known() -> None:
    assert parse_header(bundles.header(endianness=1), "x").big_endian
    assert not parse_header(bundles.header(), "x").big_endian


@pytest.mark.parametrize("endianness", [2, -1, 1 << 40])
def test_an_unknown_endianness_is_refused(endianness: int) -> None:
    message = header_refusal(bundles.header(endianness=endianness), FormatError)
    assert f"endianness 0 or 1 expected, found {endianness}" in message


@pytest.mark.parametrize(
    "version",
    [
        b"",  # none of its fields
        proto_int(1, 1),
        proto_int(1, 1) + proto_int(2, 1),  # readers of version 1 and up
        proto_int(1, 99),  # a newer writer that still lets us read
        proto_int(3, 2) + proto_int(3, 7),  # other readers have a bug, not this one
        proto_bytes(3, b"\x02\x80\x01"),
        proto_bytes(3, b""),
    ],
)
def test_versions_that_allow_this_reader_are_read(version: bytes) -> None:
    assert parse_header(bundles.header(version=version), "x").num_shards == 1


@pytest.mark.parametrize(
    ("version", "says"),
    [
        (proto_int(1, 2) + proto_int(2, 2), "version 2 and up"),
        (proto_int(2, 1 << 40), "version 1099511627776 and up"),
        (proto_int(3, 1), "except [1]"),
        (proto_int(3, 5) + proto_int(3, 1), "except [5, 1]"),
        (proto_bytes(3, b"\x05\x01"), "except [5, 1]"),
        (proto_bytes(3, b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x01"), "except [-1, 1]"),
        (proto_bytes(3, b"\x01") + proto_int(3, 4), "except [1, 4]"),
    ],
)
def test_versions_that_forbid_this_reader_are_refused(version: bytes, says: str) -> None:
    message = header_refusal(bundles.header(version=version), UnsupportedError)
    assert says in message
    assert "this one is 1" in message


def test_thousands_of_forbidden_versions_are_refused_unread() -> None:
    allowed = proto_bytes(3, b"\x05" * 999) + proto_int(3, 4)
    assert parse_header(bundles.header(version=allowed), "x").num_shards == 1
    broken = b"\x80"  # which the parser would stumble over
    for version in (allowed + proto_int(3, 4), proto_bytes(3, b"\x05" * 1_001 + broken)):
        message = header_refusal(bundles.header(version=version), FormatError)
        assert "refuses more than 1,000 versions of readers" in message


def test_unknown_fields_of_the_header_are_skipped() -> None:
    extra = proto_int(9, 5) + proto_bytes(10, b"x") + b"\x5d\0\0\0\0" + b"\x61" + bytes(8)
    assert parse_header(extra + bundles.header(3, version=extra) + extra, "x").num_shards == 3


@pytest.mark.parametrize(
    "message",
    [
        "0a 00", "0d 00 00 00 00", "12 01 01", "18 01", "1a 02 12 00", "1a 05 1d 01 00 00 00",
        "1a 01 08", "1a 03 1a 01 80", "08",
    ],
)  # fmt: skip
def test_a_header_of_wrong_wire_types_is_refused(message: str) -> None:
    header_refusal(bytes.fromhex("08 01" + message), FormatError)


# Entries.


def test_the_entry_that_tensorflow_wrote_is_read() -> None:
    # A scalar float32, 3.0, at the start of the only shard.
    message = bytes.fromhex("08 01 12 00 28 04 35 ef d6 82 c3")
    assert parse(message) == Entry(
        dtype=DType.FLOAT32, shape=(), shard_id=0, offset=0, size=4, crc32c=0xC382D6EF,
        slices=(),
    )  # fmt: skip


def test_every_field_is_read() -> None:
    message = entry(dtype=9, shape=(300, 70_000), size=8 * 21_000_000, offset=1 << 40, shard_id=7)
    assert parse(message, 8) == Entry(
        dtype=DType.INT64, shape=(300, 70_000), shard_id=7, offset=1 << 40, size=168_000_000,
        crc32c=0x01020304, slices=(),
    )  # fmt: skip


@pytest.mark.parametrize("reference", [0, 100])
@pytest.mark.parametrize("name", DTYPES)
def test_every_dtype_has_tensorflows_number_and_size(
    tf: ModuleType, name: str, reference: int
) -> None:
    from tensorflow.core.framework import types_pb2

    expected, itemsize = DTYPES[name]
    number = types_pb2.DataType.Value(name)
    assert number + 100 == types_pb2.DataType.Value(f"{name}_REF")
    found = parse(entry(dtype=number + reference, size=6 * (itemsize or 4)))
    assert found.dtype.value == expected
    assert found.dtype.itemsize == itemsize
    if itemsize:
        assert tf.dtypes.as_dtype(number).size == itemsize
        refusal(entry(dtype=number + reference, size=6 * itemsize + 1), FormatError)


@pytest.mark.parametrize("number", [0, 26, 32, 77, 99, 100, 126, 132, 201, -1, 1 << 40])
def test_an_unknown_dtype_is_refused_by_its_number(number: int) -> None:
    assert f"number {number} " in refusal(entry(dtype=number), UnsupportedError)


def test_an_entry_without_any_field_is_refused() -> None:
    refusal(b"", UnsupportedError)


@pytest.mark.parametrize(
    ("shape", "elements"),
    [((), 1), ((1,), 1), ((0,), 0), ((4, 0, 5), 0), ((1, 1, 1), 1), ((1,) * 32, 1), ((7, 1), 7)],
)
def test_any_rank_up_to_numpys_is_read(shape: tuple[int, ...], elements: int) -> None:
    assert parse(entry(shape=shape, size=4 * elements)).shape == shape


def test_more_axes_than_numpy_has_are_refused() -> None:
    for axes in (33, 254):
        refused = refusal(entry(shape=(1,) * axes, size=4), UnsupportedError)
        assert "more than 32 axes" in refused
    # In two shape messages as in one: protobuf joins them.
    more = proto_bytes(2, bundles.shape_proto((1,) * 20))
    assert "more than 32 axes" in refusal(entry(size=4, extra=more + more), UnsupportedError)


def test_no_axis_is_read_after_the_one_that_is_too_many() -> None:
    axis = proto_bytes(2, proto_int(1, 1))
    broken = b"\x0b"  # which the parser would stumble over
    refusal(broken, FormatError)
    for extra in (proto_bytes(2, 33 * axis + broken), 33 * proto_bytes(2, axis) + broken):
        message = refusal(entry(shape=(), extra=extra), UnsupportedError)
        assert "more than 32 axes" in message


@pytest.mark.parametrize("dim", [-1, -(1 << 63)])
def test_a_negative_axis_is_refused(dim: int) -> None:
    message = refusal(entry(shape=(2, dim), size=4), FormatError)
    assert f"axis 1 has the size {dim:,}" in message


def test_two_negative_axes_do_not_make_a_positive_size() -> None:
    refusal(entry(shape=(-2, -3), size=24), FormatError)


@pytest.mark.parametrize("shape", [(1 << 62, 2), (MOST, MOST), (1 << 32, 1 << 32), (MOST,) * 32])
def test_more_elements_than_an_int64_counts_are_refused(shape: tuple[int, ...]) -> None:
    for size in (0, 4, MOST):
        assert "more elements" in refusal(entry(shape=shape, size=size), FormatError)
    # A string tensor's size does not follow from its shape, but it has to be counted as well.
    assert "more elements" in refusal(entry(dtype=7, shape=shape, size=4), FormatError)


def test_the_largest_number_of_elements_is_compared_with_the_size() -> None:
    message = refusal(entry(shape=(MOST,), size=24), FormatError)
    assert f"takes {4 * MOST:,} bytes, but 24 are stored" in message
    assert parse(entry(dtype=7, shape=(MOST,), size=24)).shape == (MOST,)


@pytest.mark.parametrize("size", [0, 23, 25, 6, 48, MOST])
def test_a_size_that_does_not_follow_from_the_shape_is_refused(size: int) -> None:
    message = refusal(entry(size=size), FormatError)
    assert f"[2, 3] of float32 takes 24 bytes, but {size:,} are stored" in message


@pytest.mark.parametrize(
    ("offset", "size"), [(-1, 24), (-(1 << 63), 24), (0, -24), (0, -(1 << 63)), (-1, -1)]
)
def test_negative_places_are_refused(offset: int, size: int) -> None:
    assert f"{size:,} bytes at byte {offset:,}" in refusal(
        entry(offset=offset, size=size), FormatError
    )


def test_the_largest_offset_is_a_number_like_any_other() -> None:
    assert parse(entry(offset=MOST)).offset == MOST


@pytest.mark.parametrize(("shard", "shards"), [(1, 1), (3, 3), (-1, 3), (1 << 40, 3)])
def test_a_shard_that_the_header_does_not_have_is_refused(shard: int, shards: int) -> None:
    message = refusal(entry(shard_id=shard), FormatError, shards)
    assert f"shard {shard} of a bundle with {shards}" in message


def test_an_unknown_rank_is_refused_and_a_known_one_is_not() -> None:
    unknown = proto_bytes(2, proto_int(3, 1))
    assert "unknown rank" in refusal(entry(extra=unknown), FormatError)
    known = proto_bytes(2, b"\x18\x00")
    assert parse(entry(extra=known)).shape == (2, 3)


def test_slices_make_it_a_partitioned_tensor_without_bytes_of_its_own() -> None:
    first = proto_bytes(1, proto_int(2, 1)) + proto_bytes(1, b"")
    second = proto_bytes(1, proto_int(1, 1) + proto_int(2, 1)) + proto_bytes(1, b"")
    extra = proto_bytes(7, first) + proto_bytes(7, second)
    found = parse(entry(size=0, crc32c=b"", extra=extra))
    assert found.shape == (2, 3)
    whole = Extent(0, None)
    assert found.slices == ((Extent(0, 1), whole), (Extent(1, 1), whole))


def extent(start: int, length: int) -> bytes:
    """An extent of which every field is there, also where it is 0."""
    return proto_bytes(1, b"\x08" + bundles.varint(start) + b"\x10" + bundles.varint(length))


@pytest.mark.parametrize(
    ("start", "length"),
    [(0, 0), (0, -1), (0, 3), (1, 2), (2, 1), (-1, 1), (-1, 3), (MOST, 1), (1, MOST), (0, MOST)],
)
def test_an_extent_that_its_axis_does_not_have_is_refused(start: int, length: int) -> None:
    message = entry(size=0, extra=proto_bytes(7, extent(start, length) + proto_bytes(1, b"")))
    says = f"a slice of {length:,} from {start:,} of an axis of 2"
    assert says in refusal(message, FormatError)


def test_the_whole_of_an_axis_starts_at_its_start() -> None:
    whole = proto_bytes(1, b"")
    start = proto_bytes(1, proto_int(1, 1))
    message = refusal(entry(size=0, extra=proto_bytes(7, start + whole)), FormatError)
    assert "a slice of the rest from 1 of an axis of 2" in message


@pytest.mark.parametrize("axes", [0, 1, 3, 300])
def test_a_slice_has_the_axes_of_its_tensor(axes: int) -> None:
    extra = proto_bytes(7, axes * proto_bytes(1, b""))
    found = "more axes" if axes > 2 else f"{axes} axes"
    assert f"a slice of {found}" in refusal(entry(size=0, extra=extra), FormatError)


def test_more_axes_than_tensorflow_cuts_are_refused() -> None:
    for axes in (8, 9):
        extra = proto_bytes(7, axes * proto_bytes(1, b""))
        message = entry(shape=(1,) * axes, size=0, extra=extra)
        if axes == 8:
            assert len(parse(message).slices[0]) == 8
        else:
            assert "9 axes, where TensorFlow has at most 8" in refusal(message, UnsupportedError)


def test_no_more_slices_are_looked_at_than_an_index_can_have() -> None:
    extra = 16_000 * proto_bytes(7, b"")
    message = entry(shape=(), size=0, extra=extra)
    assert len(parse(message).slices) == 16_000
    assert "more than 16,000 slices" in refusal(message + proto_bytes(7, b""), UnsupportedError)


def test_unknown_fields_and_names_of_axes_are_skipped() -> None:
    extra = proto_int(99, 5) + proto_bytes(100, b"x") + b"\xad\x06\0\0\0\0" + b"\xb1\x06" + bytes(8)
    named = proto_bytes(2, proto_bytes(2, proto_int(1, 6) + proto_bytes(2, b"width") + extra))
    unknown = proto_bytes(2, extra)
    message = extra + proto_int(1, 1) + named + unknown + proto_int(5, 24) + extra
    assert parse(message).shape == (6,)


def test_of_a_repeated_number_the_last_counts() -> None:
    assert parse(entry(dtype=2, offset=5, extra=proto_int(1, 1) + proto_int(4, 9))).offset == 9


@pytest.mark.parametrize(
    "message",
    [
        "0a 00", "0d 00 00 00 00", "10 01", "1a 00", "22 00", "29" + "00" * 8, "30 01",
        "31" + "00" * 8, "38 01", "3a 02 08 01", "3a 04 0a 02 0a 00",
        "3a 04 0a 02 12 00", "12 02 10 01", "12 02 1a 00", "12 04 12 02 0a 00", "12 01 12", "0b",
    ],
)  # fmt: skip
def test_an_entry_of_wrong_wire_types_is_refused(message: str) -> None:
    assert parse(entry())
    refusal(entry(extra=bytes.fromhex(message)), FormatError)


# Against protobuf's own library.

INT64 = st.integers(-(1 << 63), MOST) | st.integers(0, 30)
FIELDS = st.lists(
    st.one_of(
        st.builds(proto_int, st.sampled_from([1, 3, 4, 5, 8]), INT64),
        st.builds(proto_bytes, st.just(2), st.builds(proto_int, st.just(3), st.integers(0, 1))),
        st.builds(
            lambda dims: proto_bytes(2, bundles.shape_proto(dims)),
            st.lists(st.integers(0, 5), max_size=3),
        ),
        st.builds(lambda value: b"\x35" + value, st.binary(min_size=4, max_size=4)),
        st.builds(proto_bytes, st.sampled_from([7, 9]), st.just(b"")),
    ),
    max_size=6,
)


@settings(derandomize=True, deadline=None, max_examples=400)
@given(fields=FIELDS, size=st.booleans())
def test_whatever_is_accepted_protobuf_reads_alike(
    tf: ModuleType, fields: list[bytes], size: bool
) -> None:
    from tensorflow.core.protobuf import tensor_bundle_pb2

    message = b"".join(fields)
    oracle = tensor_bundle_pb2.BundleEntryProto.FromString(message)
    if size:  # let the size agree with what precedes, so that some are accepted
        dims = [dim.size for dim in oracle.shape.dim]
        message += proto_int(1, 1) + proto_int(3, 1) + proto_int(4, 3)
        message += proto_int(5, 4 * int(np.prod(dims)) if dims else 4) or b"\x28\0"
        oracle = tensor_bundle_pb2.BundleEntryProto.FromString(message)
    try:
        found = parse(message, 4)
    except Gpt2ConvertError as error:
        text = str(error)
        axes = {len(each.extent) for each in oracle.slices} - {len(oracle.shape.dim)}
        assert not size or oracle.shape.unknown_rank or axes
    else:
        text = ""
        assert found.shape == tuple(dim.size for dim in oracle.shape.dim)
        assert tf.dtypes.as_dtype(oracle.dtype).base_dtype.name == found.dtype.value
        assert (found.shard_id, found.offset, found.size, found.crc32c) == (
            oracle.shard_id, oracle.offset, oracle.size, oracle.crc32c,
        )  # fmt: skip
        assert len(found.slices) == len(oracle.slices)
    assert "\n" not in text


@settings(derandomize=True, deadline=None, max_examples=500)
@given(message=st.binary(max_size=60))
def test_no_bytes_raise_anything_but_our_errors(message: bytes) -> None:
    for parsing in (
        lambda: parse_header(message, "x"),
        lambda: parse_entry(message, 2, "x"),
        lambda: parse_entry(entry(extra=proto_bytes(2, message)), 2, "x"),
    ):
        try:
            parsing()
        except Gpt2ConvertError as error:
            text = str(error)
        else:
            text = ""
        assert "\n" not in text
