"""Every view of a storage is what NumPy has there, however its axes lie, in bounded memory."""

from __future__ import annotations

import tracemalloc
import zlib
from typing import TYPE_CHECKING, Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpt2_convert.formats.pytorch import views
from gpt2_convert.formats.pytorch.records import Record
from gpt2_convert.formats.pytorch.values import Storage, Tensor
from gpt2_convert.formats.pytorch.views import read_tensor
from gpt2_convert.io.source import CHUNK, SourceFile
from gpt2_convert.tensors.dtype import DType

if TYPE_CHECKING:
    from pathlib import Path

    Array = np.ndarray[Any, Any]


def record(path: Path, data: bytes, crc: int | None = None) -> Record:
    path.write_bytes(b"before" + data)
    return Record(SourceFile(path), "'x/data/0'", 6, len(data), crc)


def strided(storage: Array, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> Array:
    """Return NumPy's view; the strides count elements."""
    if 0 in shape:
        return np.empty(shape, storage.dtype)
    return np.lib.stride_tricks.as_strided(
        storage[offset:], shape, tuple(step * storage.itemsize for step in strides)
    )


@st.composite
def boxes(draw: st.DrawFn) -> tuple[int, tuple[int, ...], tuple[int, ...], int]:
    """Draw an offset, a shape and strides, and how many elements they need."""
    shape = draw(st.lists(st.integers(0, 7), max_size=5))
    strides = [draw(st.integers(0, 40)) for _ in shape]
    offset = draw(st.integers(0, 50))
    reach = sum((dim - 1) * step for dim, step in zip(shape, strides, strict=True))
    return offset, tuple(shape), tuple(strides), max(0, offset + reach + 1)


@pytest.mark.parametrize("dtype", ["uint8", "float16", "float32", "float64", "complex128"])
@pytest.mark.parametrize("sizes", [(4 << 20, 4 << 20, 64 << 10), (64, 128, 16), (16, 16, 16)])
@settings(max_examples=60, deadline=None)
@given(box=boxes())
def test_any_view_is_what_numpy_has_there(
    dtype: str,
    sizes: tuple[int, int, int],
    box: tuple[int, tuple[int, ...], tuple[int, ...], int],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    offset, shape, strides, needed = box
    data = np.random.default_rng(needed).bytes(needed * np.dtype(dtype).itemsize)
    storage = np.frombuffer(data, dtype)
    tensor = Tensor(Storage("0", DType(dtype), needed), offset, shape, strides, DType(dtype))
    path = tmp_path_factory.getbasetemp() / "view.pt"
    with pytest.MonkeyPatch.context() as patch:
        for name, size in zip(("BLOCK", "WINDOW", "SMALL"), sizes, strict=True):
            patch.setattr(views, name, size)
        found = list(read_tensor(record(path, data, zlib.crc32(data)), tensor, "'x'", swap=False))
    expected = strided(storage, offset, shape, strides).tobytes()
    assert b"".join(found) == expected
    assert [len(chunk) for chunk in found[:-1]] == [CHUNK] * (len(found) - 1)


@pytest.mark.parametrize(
    ("shape", "strides", "size"),
    [
        ((1000, 3001), (1, 1000), 3_001_000),  # transposed
        ((3001, 1000), (1, 3001), 3_001_000),
        ((2, 2_000_003), (2_500_000, 1), 4_500_003),  # rows longer than a block
        ((400, 5), (7500, 3), 3_000_013),  # a few of each row, far apart
        ((5, 400), (3, 7500), 3_000_013),
        ((3, 500, 1000), (0, 0, 1), 1000),  # expanded
        ((1500, 1500), (1, 1), 2999),  # overlapping
        ((150, 4, 5000), (4, 1, 600), 3_000_000),  # axes in another order
        ((2, 3, 2, 3, 2, 50_000), (1, 2, 6, 12, 36, 72), 3_600_000),
    ],
)
def test_large_views_come_in_chunks_and_little_memory(
    shape: tuple[int, ...], strides: tuple[int, ...], size: int, tmp_path: Path
) -> None:
    storage = np.random.default_rng(0).integers(0, 1 << 32, size, np.uint32)
    tensor = Tensor(Storage("0", DType.UINT32, size), 0, shape, strides, DType.UINT32)
    expected = strided(storage, 0, shape, strides).tobytes()
    data = storage.tobytes()
    whole = record(tmp_path / "x.pt", data, zlib.crc32(data))
    del data
    list(read_tensor(whole, tensor, "'x'", swap=False))  # whatever is imported late has been
    tracemalloc.start()
    try:
        position = 0
        for chunk in read_tensor(whole, tensor, "'x'", swap=False):
            assert len(chunk) == min(CHUNK, len(expected) - position)
            assert chunk == expected[position : position + CHUNK]
            position += len(chunk)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert position == len(expected)
    assert peak < views.BLOCK + views.WINDOW + 6 * CHUNK


@pytest.mark.parametrize("dtype", ["uint8", "int16", "bfloat16", "float32", "float64", "bool"])
@pytest.mark.parametrize("transposed", [False, True])
def test_big_endian_numbers_are_turned_around(dtype: str, transposed: bool, tmp_path: Path) -> None:
    array = np.random.default_rng(0).integers(0, 2, (3, 5)).astype(np.dtype(dtype))
    kind = f"u{array.itemsize}"
    stored = array.view(kind).astype(f">{kind}").tobytes()
    shape, strides = ((5, 3), (1, 5)) if transposed else ((3, 5), (5, 1))
    tensor = Tensor(Storage("0", DType(dtype), 15), 0, shape, strides, DType(dtype))
    found = read_tensor(record(tmp_path / "x.pt", stored), tensor, "'x'", swap=True)
    assert b"".join(found) == (array.T if transposed else array).tobytes()


def test_the_two_parts_of_a_complex_number_are_turned_around_each(tmp_path: Path) -> None:
    array = np.array([1 + 2j, -3.5j], np.complex64)
    stored = array.astype(">c8").tobytes()
    tensor = Tensor(Storage("0", DType.COMPLEX64, 2), 0, (2,), (1,), DType.COMPLEX64)
    found = read_tensor(record(tmp_path / "x.pt", stored), tensor, "'x'", swap=True)
    assert b"".join(found) == array.tobytes()


def test_a_part_of_a_storage_begins_where_it_says(tmp_path: Path) -> None:
    array = np.arange(10).astype(ml_dtypes.bfloat16)
    part = Storage("0", DType.BFLOAT16, 6, start=3)
    tensor = Tensor(part, 1, (2, 2), (1, 2), DType.BFLOAT16)
    found = b"".join(
        read_tensor(record(tmp_path / "x", array.tobytes()), tensor, "'x'", swap=False)
    )
    assert found == array[[4, 6, 5, 7]].tobytes()


def test_bytes_are_read_as_the_dtype_that_the_tensor_says(tmp_path: Path) -> None:
    array = np.arange(10, dtype=np.uint16)
    tensor = Tensor(Storage("0", DType.UINT8, 20), 3, (2, 2), (1, 2), DType.UINT16)
    found = b"".join(
        read_tensor(record(tmp_path / "x", array.tobytes()), tensor, "'x'", swap=False)
    )
    assert found == array[[3, 5, 4, 6]].tobytes()


def test_a_few_numbers_far_apart_are_not_read_with_all_between_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = 8 << 20
    path = tmp_path / "x.pt"
    with path.open("wb") as file:
        file.truncate(6 + 4 * size)
    sparse = Record(SourceFile(path), "'x/data/0'", 6, 4 * size, None)
    tensor = Tensor(Storage("0", DType.FLOAT32, size), 0, (7, 3), (1 << 20, 2), DType.FLOAT32)
    spans: list[int] = []

    def read(start: int, nbytes: int, label: str) -> bytes:
        spans.append(nbytes)
        return bytes(nbytes)

    monkeypatch.setattr(Record, "read", lambda self, *args: read(*args))
    assert b"".join(read_tensor(sparse, tensor, "'x'", swap=False)) == bytes(7 * 3 * 4)
    assert spans == [5 * 4] * 7
