"""Lazy tensors: chunks of one size, arrays of the very bytes, and errors where those lack."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support import raws

from gpt2_convert.errors import ChecksumError, FormatError, UnsupportedError
from gpt2_convert.io.source import CHUNK
from gpt2_convert.tensors.dtype import DType
from gpt2_convert.tensors.runs import Seekable
from gpt2_convert.tensors.tensor import LazyTensor, rechunk, same_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import DTypeLike

    Array = np.ndarray[Any, Any]


def next_row(tensor: LazyTensor) -> object:
    return next(iter(tensor))


def tensor_of(
    *pieces: bytes, shape: tuple[int, ...] = (4,), dtype: DType = DType.INT16
) -> LazyTensor:
    return LazyTensor("x", shape, dtype, 8, partial(iter, pieces), "model/x")


@settings(derandomize=True, deadline=None)
@given(
    sizes=st.lists(st.integers(0, 30), max_size=12), fails=st.booleans(), small=st.integers(0, 9)
)
@example([8, 8, 8], True, 0)
@example([24, 1], True, 0)
@example([3, 8, 2], False, 9)
@example([1, 1, 4, 1, 1, 8], False, 3)
def test_pieces_of_any_sizes_are_cut_into_chunks(sizes: list[int], fails: bool, small: int) -> None:
    data = bytes(range(1, 1 + sum(sizes) % 200)) * 4
    pieces, start = [], 0
    for size in sizes:
        pieces.append(data[start : start + size])
        start += size

    def read() -> Iterator[bytes | memoryview]:
        for number, piece in enumerate(pieces):
            yield memoryview(piece) if number % 2 else piece
        if fails:
            raise ChecksumError("wrong")

    found: list[bytes] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gpt2_convert.tensors.tensor.CHUNK", 8)
        patch.setattr("gpt2_convert.tensors.tensor._SMALL", small)
        if fails:
            with pytest.raises(ChecksumError, match="wrong"):
                found.extend(rechunk(read()))
        else:
            found.extend(rechunk(read()))
    whole = b"".join(pieces)
    assert found == [whole[start : start + 8] for start in range(0, len(whole), 8)]
    assert all(type(chunk) is bytes for chunk in found)


@pytest.mark.parametrize(
    "dtype", ["float16", "float32", "float64", "int8", "uint64", "bool", "complex64"]
)
@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (1, 1), (5, 7), (2, 3, 4)])
def test_an_array_has_the_shape_the_dtype_and_every_bit(
    shape: tuple[int, ...], dtype: DTypeLike
) -> None:
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    array = np.frombuffer(np.random.default_rng(1).bytes(size), np.uint8) & 1
    array = array.view(dtype).reshape(shape)
    tensor = raws.lazy("x", array)
    found = tensor.array()
    np.testing.assert_array_equal(found, array, strict=True)
    assert found.tobytes() == array.tobytes()
    assert (tensor.size, tensor.nbytes) == (array.size, array.nbytes)


def test_an_array_of_many_chunks_is_put_together_in_order_and_is_the_callers_own() -> None:
    expected = np.arange(CHUNK // 2 + 5, dtype=np.int32)
    tensor = raws.lazy("x", expected)
    first = tensor.array()
    np.testing.assert_array_equal(first, expected, strict=True)
    first[:] = 0
    np.testing.assert_array_equal(tensor.array(), expected)


def test_elements_are_little_endian_on_every_machine() -> None:
    found = tensor_of(b"\x01\x02", b"\x00\x80\xff\xff\x05\x00").array()
    assert found.tolist() == [0x0201, -0x8000, -1, 5]
    assert found.dtype.isnative


@pytest.mark.parametrize(
    ("pieces", "found"), [((), "0"), ((b"1234567",), "7"), ((b"1234", b""), "4")]
)
def test_an_array_that_lacks_bytes_is_an_error(pieces: tuple[bytes, ...], found: str) -> None:
    with pytest.raises(FormatError) as caught:
        tensor_of(*pieces).array()
    assert str(caught.value) == f"x: {found} bytes where 8 were announced"


@pytest.mark.parametrize("dtype", ["bfloat16", "float8_e5m2", "qint8", "string", "resource"])
def test_what_numpy_has_not_is_refused_before_it_is_read(dtype: str) -> None:
    def read() -> Iterator[bytes]:
        raise AssertionError("read")

    tensor = LazyTensor("wte", (4,), DType(dtype), 8, read, "wte")
    with pytest.raises(UnsupportedError) as caught:
        tensor.array()
    advice = "; open it with dtype='float32'" if dtype == "bfloat16" else ""
    assert str(caught.value) == f"wte: NumPy has no {dtype} dtype{advice}"
    for use in (np.asarray, lambda tensor: tensor[1:], next_row):
        with pytest.raises(UnsupportedError, match=f"^wte: NumPy has no {dtype} dtype"):
            use(tensor)


def test_more_axes_than_numpy_has_are_refused_in_words() -> None:
    tensor = tensor_of(b"12345678", shape=(4, *[1] * 99))
    with pytest.raises(UnsupportedError, match=r"^x: NumPy has no array of 100 axes, the first"):
        tensor.array()


def test_a_source_that_cannot_be_read_is_refused_before_there_is_memory_for_all() -> None:
    def read() -> Iterator[bytes]:
        raise FormatError("x: truncated")

    tensor = LazyTensor("x", (1 << 50,), DType.FLOAT64, 1 << 53, read, "x")
    with pytest.raises(FormatError, match="truncated"):
        tensor.array()


@pytest.mark.parametrize("nbytes", [1 << 53, 1 << 70])
def test_what_there_is_no_memory_for_is_refused_if_the_file_does_not_have_it(nbytes: int) -> None:
    def truncated() -> Iterator[bytes]:
        raise FormatError("x: truncated")

    def never(*_: object) -> Iterator[Any]:
        raise AssertionError("read")

    for whole, error in ((truncated, FormatError), (lambda: iter([b"1"]), MemoryError)):
        read = Seekable(whole, never, fill=never)
        tensor = LazyTensor("x", (nbytes,), DType.UINT8, nbytes, read, "x")
        with pytest.raises((error, ValueError) if error is MemoryError else error):
            tensor.array()


def test_bytes_are_the_same_only_with_the_same_dtype_and_length() -> None:
    one = raws.lazy("x", np.arange(CHUNK, dtype=np.float32))
    assert same_bytes(one, raws.lazy("y", np.arange(CHUNK, dtype=np.float32)))
    assert same_bytes(one, replace(one, shape=(2, CHUNK // 2)))
    assert not same_bytes(one, replace(one, dtype=DType.INT32))
    assert not same_bytes(one, raws.lazy("x", np.arange(CHUNK - 1, dtype=np.float32)))
    for place in (0, CHUNK // 2, CHUNK - 1):
        other = np.arange(CHUNK, dtype=np.float32)
        other.view(np.uint32)[place] ^= 1
        assert not same_bytes(one, raws.lazy("x", other))
    ends_early = replace(one, read=lambda: iter([b"".join(one.chunks())[:CHUNK]]))
    assert not same_bytes(one, ends_early)


def test_tensors_that_differ_early_are_read_no_further() -> None:
    taken: list[int] = []

    def read() -> Iterator[bytes]:
        for number in range(10):
            taken.append(number)
            yield bytes(CHUNK)

    zeros = LazyTensor("x", (10 * CHUNK,), DType.UINT8, 10 * CHUNK, read, "x")
    assert not same_bytes(zeros, replace(zeros, read=lambda: iter([b"\1" * CHUNK] * 10)))
    assert taken == [0]


def test_equal_metadata_is_equal_whatever_reads_it() -> None:
    one = tensor_of(b"1")
    assert one == tensor_of(b"2")
    assert one != replace(one, name="y")


def test_a_tensor_shows_itself_in_a_line_and_no_name_breaks_it() -> None:
    assert repr(tensor_of()) == "<LazyTensor 'x': int16 (4,)>"
    hostile = replace(tensor_of(), name="\x1b[31m\u202e<script>\n" + "x" * 10_000)
    assert repr(hostile).isprintable()
    assert len(repr(hostile)) < 300
    assert len(repr(replace(hostile, shape=(1,) * 1000))) < 500


# As NumPy takes it.


@pytest.mark.parametrize("dtype", ["float16", "float32", "int64", "bool", "complex64"])
def test_numpy_takes_it_for_an_array(dtype: DTypeLike) -> None:
    array = (np.arange(12).reshape(4, 3) % 5).astype(dtype)
    tensor = raws.lazy("x", array)
    for found in (np.asarray(tensor), np.array(tensor), np.array(tensor, copy=True)):
        np.testing.assert_array_equal(found, array, strict=True)
    np.testing.assert_array_equal(
        np.asarray(tensor, np.complex128), np.asarray(array, np.complex128), strict=True
    )
    np.testing.assert_array_equal(np.concatenate([tensor, tensor]), np.concatenate([array] * 2))
    np.testing.assert_array_equal(np.mean(tensor), np.mean(array), strict=True)
    np.testing.assert_array_equal(array + tensor, array + array, strict=True)
    assert (len(tensor), tensor.ndim, np.shape(tensor)) == (4, 2, (4, 3))


def test_a_view_of_the_file_is_not_to_be_had() -> None:
    with pytest.raises(ValueError, match="reading is a copy"):
        tensor_of(b"12345678").__array__(copy=False)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32"])
def test_bfloat16_becomes_what_is_asked_for(dtype: DTypeLike) -> None:
    numbers = np.array([1.5, -2.0, 3e38, np.inf] if dtype != "int32" else [7, -3, 0, 1024])
    expected = numbers.astype(ml_dtypes.bfloat16)
    tensor = LazyTensor(
        "x", (2, 2), DType.BFLOAT16, 8, lambda: iter([expected.tobytes()]), source_name="x"
    )
    found = np.asarray(tensor, dtype)
    np.testing.assert_array_equal(found, expected.astype(dtype).reshape(2, 2), strict=True)


def test_a_tensor_is_there_whatever_its_length() -> None:
    assert replace(tensor_of(), shape=())
    empty = raws.lazy("x", np.zeros((0, 3), np.float32))
    assert empty
    assert len(empty) == 0
    assert list(empty) == []
    with pytest.raises(TypeError, match=r"^'x': a scalar has no length$"):
        len(replace(empty, shape=()))


def test_rows_come_one_after_the_other_in_a_single_pass() -> None:
    array = np.random.default_rng(1).standard_normal((700, 1000)).astype(np.float32)
    passes: list[int] = []
    whole = raws.lazy("x", array)

    def read() -> Iterator[bytes]:
        passes.append(1)
        return whole.chunks()

    for found, expected in zip(replace(whole, read=read), array, strict=True):
        np.testing.assert_array_equal(found, expected, strict=True)
    assert passes == [1]
    assert list(raws.lazy("x", array[0, :5])) == list(array[0, :5])
    assert [row.shape for row in raws.lazy("x", np.zeros((2, 0)))] == [(0,), (0,)]
    with pytest.raises(FormatError, match=r"^x: 7 bytes where 8 were announced$"):
        list(tensor_of(b"1234567"))


def test_rows_that_the_bytes_end_before_are_an_error() -> None:
    with pytest.raises(FormatError, match=r"^x: 3 bytes where 4 were announced$"):
        tensor_of(b"1234567")[2:]


@pytest.mark.parametrize("key", [(0, 1), ..., None, "x", 1.0, [0, 1], True, np.array([0, 1])])
def test_what_is_no_row_is_refused_in_words(key: object) -> None:
    with pytest.raises(TypeError, match=r"^'x': a row's number or a slice of rows expected, found"):
        tensor_of(b"12345678")[key]  # type: ignore[call-overload]


def test_a_row_that_is_not_there_is_an_index_error() -> None:
    tensor = tensor_of(b"12345678")
    assert tensor[np.int8(-4)] == tensor[0] == 0x3231
    for row in (4, -5):
        with pytest.raises(IndexError, match=f"^'x': no row {row}: it has 4$"):
            tensor[row]
