"""Arrays in Fortran order come out in C order, as NumPy has them, within bounded memory."""

from __future__ import annotations

import io
import tracemalloc
import zipfile
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import raws
from support.npz_files import archive, header, patch_directory, refusal

import gpt2_convert
from gpt2_convert import ChecksumError, UnsupportedError
from gpt2_convert.formats.npz import fortran
from gpt2_convert.formats.opening import open_raw
from gpt2_convert.io.source import CHUNK

if TYPE_CHECKING:
    from pathlib import Path

METHODS = [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]


def write(
    path: Path, array: np.ndarray[tuple[int, ...], np.dtype[np.generic]], method: int
) -> Path:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.asfortranarray(array))
    assert b"'fortran_order': True" in buffer.getvalue()[:200]
    return archive(path, {"x.npy": buffer.getvalue()}, method=method)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("shape", "band"),
    [
        ((1031, 517), 1 << 20), ((517, 1031), 1 << 20), ((1031, 517), 1 << 24), ((3, 5), 20),
        ((7, 3, 5), 60), ((7, 3, 5), 130), ((1, 7, 5), 21), ((7, 1, 5, 1), 40), ((2, 2, 2, 2), 64),
    ],
)  # fmt: skip
@pytest.mark.parametrize("dtype", ["<f4", ">f2", "<c16"])
def test_any_shape_in_any_number_of_bands_equals_numpy_s(
    shape: tuple[int, ...],
    band: int,
    dtype: str,
    method: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    itemsize = np.dtype(dtype).itemsize
    array = np.random.default_rng(0).standard_normal(shape).astype(dtype)
    path = write(tmp_path / "x.npz", array, method)
    monkeypatch.setattr(fortran, "BAND", band * itemsize // 4)
    with open_raw(path) as raw:
        (tensor,) = raw.tensors
        chunks = list(tensor.chunks())
    with np.load(path) as loaded:
        expected = np.array(loaded["x"], np.dtype(dtype).newbyteorder("<"), order="C")
    assert b"".join(chunks) == expected.tobytes()
    assert {len(chunk) for chunk in chunks[:-1]} <= {CHUNK}


@settings(max_examples=60, deadline=None)
@given(
    shape=st.lists(st.integers(1, 9), min_size=2, max_size=5),
    steps=st.integers(1, 9),
    strided=st.booleans(),
)
def test_bands_of_any_size_give_the_same(shape: list[int], steps: int, strided: bool) -> None:
    array = np.arange(np.prod(shape), dtype=np.uint16).reshape(shape)
    stored = array.tobytes(order="F")
    row = max(1, array.nbytes // max(dim for dim in shape[:1] if dim))
    before = fortran.BAND
    fortran.BAND = steps * row  # type: ignore[misc]
    try:
        read_at = (lambda at, size: stored[at : at + size]) if strided else None
        found = fortran.read_in_c_order(lambda: iter([stored]), tuple(shape), 2, read_at)
        assert b"".join(found) == array.tobytes()
    finally:
        fortran.BAND = before  # type: ignore[misc]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("band", [1 << 24, 1 << 20])
def test_a_wrong_checksum_is_found_after_all_chunks(
    method: int, band: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fortran, "BAND", band)
    array = np.random.default_rng(0).integers(0, 9, (1500, 1000), np.uint8)
    path = write(tmp_path / "x.npz", array, method)
    patch_directory(path, 16, b"\1\2\3\4")
    found: list[bytes] = []
    with open_raw(path) as raw, pytest.raises(ChecksumError, match="0x04030201"):
        found.extend(raw.tensors[0].chunks())
    assert b"".join(found) == array.tobytes()


def test_no_more_than_a_band_is_held(tmp_path: Path) -> None:
    array = np.zeros((4000, 4000), np.float32)
    path = write(tmp_path / "x.npz", array, zipfile.ZIP_STORED)
    with open_raw(path) as raw:
        tracemalloc.start()
        size = sum(map(len, raw.tensors[0].chunks()))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert size == array.nbytes == 64_000_000
    assert peak < fortran.BAND + 8 * CHUNK


def test_a_step_that_is_longer_than_a_band_is_refused(tmp_path: Path) -> None:
    shape = (2, 5 << 20)
    path = archive(
        tmp_path / "x.npz", {"x.npy": header(fortran_order=True, shape=shape) + bytes(40 << 20)}
    )
    assert "a step of its first axis takes 20,971,520 bytes" in refusal(path, UnsupportedError)


@pytest.mark.parametrize("method", METHODS)
def test_an_array_that_would_be_read_too_often_is_refused(
    method: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fortran, "BAND", 2000)
    long, short = np.zeros((1000, 50)), np.zeros((130, 250))  # of 8,000 and 1,040 bytes a column
    refused = {"long": "its 400,000 bytes would be read 200 times", "short": "read 130 times"}
    for name, array in (("long", long), ("short", short)):
        path = write(tmp_path / f"{name}.npz", array, method)
        if name == "long" and method == zipfile.ZIP_STORED:
            with open_raw(path) as raw:
                np.testing.assert_array_equal(raw.tensors[0].array(), array)
        else:
            assert refused[name] in refusal(path, UnsupportedError)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_a_model_in_fortran_order_and_big_endian_has_the_digests_of_its_twin(
    save: object, tmp_path: Path
) -> None:
    arrays = raws.canonical()
    np.savez(tmp_path / "c.npz", allow_pickle=False, **arrays)
    odd = {name: np.asfortranarray(array.astype(">f4")) for name, array in arrays.items()}
    assert callable(save)
    save(tmp_path / "f.npz", **odd)
    expected, found = (gpt2_convert.digest(tmp_path / f"{name}.npz") for name in "cf")
    assert found.tensors == expected.tensors
    gpt2_convert.convert(tmp_path / "f.npz", tmp_path / "out.safetensors")
    assert gpt2_convert.verify(tmp_path / "c.npz", tmp_path / "out.safetensors").ok
