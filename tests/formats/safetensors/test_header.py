"""Headers of safetensors files: none is believed that the official library refuses."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file
from support.safetensors_files import (
    DATA,
    ONE,
    Header,
    encode,
    entry,
    library_refuses,
    open_whole,
    read,
)

import gpt2_convert

if TYPE_CHECKING:
    from pathlib import Path


MALFORMED: dict[str, bytes] = {
    "no length": b"1234567",
    "a length and nothing": encode("", b""),
    "a length beyond the file": encode(ONE, length=1000),
    "a length of 100,000,001": encode(ONE, length=100_000_001),
    "a length of 2^63": encode(ONE, length=1 << 63),
    "a header that is cut": encode(ONE, length=40),
    "an array": encode("[]", b""),
    "a byte order mark": encode("\ufeff" + ONE),
    "not UTF-8": encode(ONE.encode().replace(b'"a"', b'"\xe9"')),
    "zeros after the object": encode(ONE + "\0\0"),
    "a control character in a name": encode(ONE.replace('"a"', '"a\n"')),
    "half a surrogate pair": encode(ONE.replace('"a"', r'"\ud800"')),
    "NaN": encode(ONE.replace("[1]", "[NaN]")),
    "nested too deeply": encode('{"a":' + "[" * 100_000 + "]" * 100_000 + "}"),
    "metadata that is no object": encode('{"__metadata__":[],' + ONE[1:]),
    "metadata that is no text": encode('{"__metadata__":{"a":1},' + ONE[1:]),
    "metadata twice": encode('{"__metadata__":{},"__metadata__":{},' + ONE[1:]),
    "metadata that is a tensor": encode(ONE.replace('"a"', '"__metadata__"')),
    "an entry that is null": encode('{"a":null}', b""),
    "no dtype": encode('{"a":{"shape":[1],"data_offsets":[0,4]}}'),
    "no shape": encode('{"a":{"dtype":"F32","data_offsets":[0,4]}}'),
    "no offsets": encode('{"a":{"dtype":"F32","shape":[1]}}'),
    "a field twice": encode(ONE.replace('"dtype"', '"dtype":"F32","dtype"')),
    "an unknown dtype": encode(ONE.replace("F32", "C128")),
    "a dtype that is a number": encode(ONE.replace('"F32"', "32")),
    "a dtype in small letters": encode(ONE.replace("F32", "f32")),
    "a shape that is a number": encode(ONE.replace("[1]", "1")),
    "a dimension of 1.0": encode(ONE.replace("[1]", "[1.0]")),
    "a dimension of true": encode(ONE.replace("[1]", "[true]")),
    "a dimension of -1": encode(ONE.replace("[1]", "[-1]")),
    'a dimension of "1"': encode(ONE.replace("[1]", '["1"]')),
    "a dimension of 2^64": encode(ONE.replace("[1]", "[18446744073709551616]")),
    "a dimension of a million digits": encode(ONE.replace("[1]", f"[{'9' * 1_000_000}]")),
    "more elements than can exist": encode(ONE.replace("[1]", "[4294967296,4294967296]")),
    "too many, times zero": encode({"a": entry(0, 0, [1 << 40, 1 << 40, 0])}, b""),
    "bytes that overflow": encode({"a": entry(0, 0, [1 << 62], "F64")}, b""),
    "an offset of -0": encode(ONE.replace("[0,4]", "[-0,4]")),
    "one offset": encode(ONE.replace("[0,4]", "[4]")),
    "three offsets": encode(ONE.replace("[0,4]", "[0,4,8]")),
    "an end before its begin": encode({"a": entry(4, 0, [1], "F32")}),
    "a size that is not its shape's": encode(ONE.replace("[1]", "[2]")),
    "an overlap": encode({"a": entry(0, 3), "b": entry(2, 4)}),
    "one range for two tensors": encode({"a": entry(0, 4), "b": entry(0, 4)}),
    "an empty tensor inside another": encode({"a": entry(0, 4), "b": entry(2, 2)}),
    "a hole": encode({"a": entry(0, 1), "b": entry(2, 4)}),
    "a hole at the start": encode({"a": entry(2, 4)}),
    "bytes after the last tensor": encode(ONE, DATA + b"\0"),
    "bytes and no tensors": encode("{}", DATA),
    "a truncated file": encode(ONE, DATA[:3]),
    "no data at all": encode(ONE, b""),
}


@pytest.mark.parametrize("what", MALFORMED)
def test_what_the_library_refuses_is_refused(what: str, tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(MALFORMED[what])
    assert library_refuses(path)
    with pytest.raises(gpt2_convert.FormatError) as caught:
        open_whole(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    assert len(message) < 500


AMBIGUOUS: dict[str, bytes] = {
    "a name twice": encode(ONE[:-1] + "," + ONE[1:]),
    "a key of the metadata twice": encode('{"__metadata__":{"a":"1","a":"2"},' + ONE[1:]),
    "a field that is not in the format": encode(ONE.replace('"dtype"', '"strides":[1],"dtype"')),
    "an entry that is an array": encode('{"a":["F32",[1],[0,4]]}'),
    "space before the object": encode(" " + ONE),
}


@pytest.mark.parametrize("what", AMBIGUOUS)
def test_what_only_the_library_accepts_is_refused(what: str, tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(AMBIGUOUS[what])
    assert not library_refuses(path)
    with pytest.raises(gpt2_convert.FormatError):
        open_whole(path)


@pytest.mark.parametrize("dtype", ["F4", "F6_E2M3", "F6_E3M2"])
def test_a_dtype_that_is_not_handled_is_refused_by_name(dtype: str, tmp_path: Path) -> None:
    nbytes = int(dtype[1])
    path = tmp_path / "x.safetensors"
    path.write_bytes(encode({"a": entry(0, nbytes, [8], dtype)}, bytes(nbytes)))
    assert not library_refuses(path)
    with pytest.raises(gpt2_convert.UnsupportedError, match=f"'a': dtype {dtype}"):
        open_whole(path)


def test_more_axes_than_numpy_has_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(encode({"a": entry(0, 4, [4] + [1] * 31)}))
    open_whole(path)
    path.write_bytes(encode({"a": entry(0, 4, [4] + [1] * 100)}))
    with pytest.raises(gpt2_convert.UnsupportedError, match="'a': 101 axes, where at most 32"):
        open_whole(path)


def test_a_header_too_long_to_hold_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(encode(ONE, length=50_000_000))
    with path.open("r+b") as file:
        file.truncate(60_000_000)
    with pytest.raises(gpt2_convert.FormatError, match="50,000,000 bytes announced"):
        open_whole(path)


def test_a_truncated_file_is_listed_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(encode({"a": entry(0, 2), "b": entry(2, 4), "c": entry(4, 9)}, b"123"))
    report = gpt2_convert.inspect(path)
    assert [tensor.name for tensor in report.tensors] == ["a", "b", "c"]
    assert report.faults == (
        f"{path}: truncated: 'b' needs bytes 2 to 4 of the data, but there are 3; fetch it again",
    )


HEADERS = st.recursive(
    st.sampled_from(["F32", "U8", 0, 1, 2, 4, 8, -1, 1.0, 1 << 63, 1 << 64, True, None, "", "a"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["dtype", "shape", "data_offsets", "__metadata__", "x"]), inner
        )
    ),
    max_leaves=6,
)


NEARLY_ENTRIES = st.fixed_dictionaries(
    {
        "dtype": st.sampled_from(["F32", "U8", "BOOL", "F16", "X"]) | HEADERS,
        "shape": st.lists(st.integers(-1, 4), max_size=3) | HEADERS,
        "data_offsets": st.lists(st.integers(0, 16), min_size=2, max_size=2) | HEADERS,
    }
)


def assert_refused_or_as_the_library_reads(path: Path) -> None:
    try:
        found = read(path)
    except gpt2_convert.Gpt2ConvertError:
        return
    assert found == {name: array.tobytes() for name, array in load_file(path).items()}


@settings(max_examples=150)
@given(
    header=st.dictionaries(st.sampled_from(["a", "b", "__metadata__"]), NEARLY_ENTRIES | HEADERS),
    damage=st.none() | st.tuples(st.integers(0), st.integers(0, 255)),
    size=st.integers(0, 32),
)
def test_no_header_is_believed_that_the_library_refuses(
    header: Header,
    damage: tuple[int, int] | None,
    size: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    content = bytearray(encode(header, bytes(range(size))))
    if damage is not None:
        content[damage[0] % len(content)] = damage[1]
    path = tmp_path_factory.getbasetemp() / "property.safetensors"
    path.write_bytes(content)
    assert_refused_or_as_the_library_reads(path)


@settings(max_examples=150)
@given(
    shapes=st.lists(st.lists(st.integers(0, 3), max_size=3), max_size=5),
    damage=st.tuples(st.integers(0), st.integers(0, 255)),
)
def test_one_changed_byte_of_a_header_is_never_believed_alone(
    shapes: list[list[int]], damage: tuple[int, int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged.safetensors"
    save_file({f"t{at}": np.ones(shape, "f4") for at, shape in enumerate(shapes)}, path)
    content = bytearray(path.read_bytes())
    header_end = 8 + struct.unpack("<Q", content[:8])[0]
    content[damage[0] % header_end] = damage[1]
    path.write_bytes(content)
    assert_refused_or_as_the_library_reads(path)
