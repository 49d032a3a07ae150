"""Rows out of every way in which a container can store a tensor, compared with NumPy's."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import h5py
import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save_file
from support import bundles, raws, torch_files

import gpt2_convert
from gpt2_convert.formats.opening import open_raw

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any

    Array = np.ndarray[Any, Any]

SLICES = (
    slice(None), slice(3, 7), slice(-5, None), slice(None, None, 2), slice(40, 2, -9),
    slice(5, 5), slice(None, None, -1), slice(60, 64), slice(63, 65),
)  # fmt: skip
SHAPES = ((97, 33), (97,), (97, 3, 5), (97, 1, 7), (1, 97), (97, 0))


def numbers(shape: tuple[int, ...], dtype: str = "f4") -> Array:
    return np.random.default_rng(7).integers(-99, 99, shape).astype(dtype)


def check(path: Path, arrays: dict[str, Array]) -> None:
    with open_raw(path) as raw:
        found = {tensor.name: tensor for tensor in raw.tensors}
        assert found.keys() == arrays.keys()
        for name, array in arrays.items():
            native = array.astype(array.dtype.newbyteorder("="), order="C")
            for rows in SLICES:
                np.testing.assert_array_equal(found[name][rows], native[rows], strict=True)
            for row in (0, -1, len(array) // 2):
                np.testing.assert_array_equal(found[name][row], native[row], strict=True)


@pytest.fixture
def sizes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The bytes of each read of a file."""
    found: list[int] = []
    pread = os.pread

    def count(fd: int, size: int, offset: int) -> bytes:
        found.append(size)
        return pread(fd, size, offset)

    monkeypatch.setattr(os, "pread", count)
    return found


# NumPy archives.


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("dtype", ["<f4", ">f4", ">i2", ">c16", "<f8"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_archives(
    save: Callable[..., None], dtype: str, order: str, tmp_path: Path, sizes: list[int]
) -> None:
    arrays: dict[str, Array] = {
        f"x{number}": np.array(numbers(shape, dtype), order=order)  # type: ignore[call-overload]
        for number, shape in enumerate(SHAPES)
    }
    save(tmp_path / "x.npz", **arrays)
    check(tmp_path / "x.npz", arrays)
    if save is np.savez:
        with open_raw(tmp_path / "x.npz") as raw:
            sizes.clear()
            rows = raw.tensors[0][20:23]
            assert sum(sizes) == rows.nbytes


def test_fortran_order_that_takes_several_bands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gpt2_convert.formats.npz.fortran.BAND", 5 * 33 * 4)
    arrays = {"x": np.asfortranarray(numbers((97, 33)))}
    np.savez(tmp_path / "x.npz", **arrays)  # type: ignore[arg-type]
    check(tmp_path / "x.npz", arrays)
    monkeypatch.setattr("gpt2_convert.formats.npz.fortran._FEW_COLUMNS", 32)
    check(tmp_path / "x.npz", arrays)


# HDF5.

STORAGE: dict[str, dict[str, Any]] = {
    "contiguous": {},
    "chunked": {"chunks": (8, 7)},
    "rows": {"chunks": (10, 33)},
    "one row a chunk": {"chunks": (1, 10)},
    "gzip": {"chunks": (9, 33), "compression": "gzip", "shuffle": True, "fletcher32": True},
    "lzf": {"chunks": (9, 8), "compression": "lzf"},
}


@pytest.mark.parametrize("dtype", ["<f4", ">f4", ">c16"])
@pytest.mark.parametrize("storage", STORAGE)
def test_datasets(storage: str, dtype: str, tmp_path: Path) -> None:
    arrays: dict[str, Array] = {"x": numbers((97, 33), dtype)}
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_dataset("x", data=arrays["x"], **STORAGE[storage])
        if storage in ("chunked", "gzip"):
            arrays["y"] = numbers((97, 3, 5), dtype)
            file.create_dataset("y", data=arrays["y"], chunks=(1, 2, 5))
            arrays["z"] = numbers((97,), dtype)
            file.create_dataset("z", data=arrays["z"], chunks=(10,), compression="gzip")
    check(tmp_path / "x.h5", arrays)


def test_a_compact_dataset(tmp_path: Path) -> None:
    array = numbers((97, 3))
    with h5py.File(tmp_path / "x.h5", "w") as file:
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_layout(h5py.h5d.COMPACT)
        space = h5py.h5s.create_simple(array.shape)
        h5py.h5d.create(file.id, b"x", h5py.h5t.IEEE_F32LE, space, plist).write(
            h5py.h5s.ALL, h5py.h5s.ALL, array
        )
    check(tmp_path / "x.h5", {"x": array})


def test_only_the_chunks_that_rows_are_in_are_read(tmp_path: Path, sizes: list[int]) -> None:
    array = numbers((100, 32))
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_dataset("x", data=array, chunks=(10, 16))
    with open_raw(tmp_path / "x.h5") as raw:
        sizes.clear()
        np.testing.assert_array_equal(raw.tensors[0][25:45], array[25:45])
        assert sizes == [10 * 16 * 4] * 6


# PyTorch.


@pytest.mark.parametrize("format", torch_files.FORMATS)
def test_views_of_storages(format: str, tmp_path: Path, sizes: list[int]) -> None:
    base = numbers((101, 70))
    arrays: dict[str, Array] = {
        "run": base[2:99],
        "transposed": base.T,
        "columns": base[:97, 10:43],
        "sliced": base[1:98, ::3],
        "every other row": base[::2],
        "of one storage": base[3].reshape(7, 10),
        "permuted": numbers((5, 97, 6)).transpose(1, 2, 0),
        "expanded": np.broadcast_to(base[0], (97, 70)),
    }
    path = torch_files.write(tmp_path / "x.pt", torch_files.state_dict(arrays), format)
    check(path, arrays)
    with open_raw(path) as raw:
        found = {tensor.name: tensor for tensor in raw.tensors}
        for name in ("run", "every other row"):
            sizes.clear()
            rows = found[name][20:23]
            assert sum(sizes) == rows.nbytes or name != "run"
            assert sum(sizes) <= base.nbytes


# What a model makes of them.


def test_rows_of_matrices_that_are_read_transposed(tmp_path: Path, sizes: list[int]) -> None:
    expected = raws.canonical()
    arrays = raws.linear(raws.huggingface())
    save_file(arrays, tmp_path / "model.safetensors")
    with gpt2_convert.open(tmp_path / "model.safetensors", n_head=4) as checkpoint:
        for name, array in expected.items():
            for rows in SLICES:
                np.testing.assert_array_equal(checkpoint[name][rows], array[rows], strict=True)
        sizes.clear()
        tensor = checkpoint["blocks[0].attn.c_attn.w"]
        np.testing.assert_array_equal(tensor[::5], expected[tensor.name][::5])
        assert sum(sizes) <= tensor.nbytes, "a pass for each of the rows"


def test_rows_of_the_unit_axes_of_tensorflow(tmp_path: Path, sizes: list[int]) -> None:
    source = bundles.write_gpt2(tmp_path / "tiny")
    with gpt2_convert.open(source) as checkpoint:
        sizes.clear()
        for name, array in raws.canonical().items():
            np.testing.assert_array_equal(checkpoint[name][3:7], array[3:7], strict=True)
        assert sum(sizes) == sum(array[3:7].nbytes for array in raws.canonical().values())


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_rows_that_are_cast(dtype: str, tmp_path: Path, sizes: list[int]) -> None:
    arrays = {
        name: array.astype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)
        for name, array in raws.huggingface().items()
    }
    save_file(arrays, tmp_path / "model.safetensors")
    with gpt2_convert.open(tmp_path / "model.safetensors", n_head=4, dtype="float32") as checkpoint:
        wte = arrays["wte.weight"].astype(np.float32)
        for rows in SLICES:
            np.testing.assert_array_equal(checkpoint["wte"][rows], wte[rows], strict=True)
        sizes.clear()
        assert checkpoint["wte"][50:53].nbytes == 3 * 32 * 4
        assert sum(sizes) == 3 * 32 * arrays["wte.weight"].itemsize


def test_a_row_that_overflows_is_an_error_with_its_place(tmp_path: Path) -> None:
    arrays = raws.huggingface()
    arrays["wte.weight"][50, 3] = 1e6
    save_file(arrays, tmp_path / "model.safetensors")
    with gpt2_convert.open(tmp_path / "model.safetensors", n_head=4, dtype="float16") as checkpoint:
        assert checkpoint["wte"][:50].dtype == np.float16
        with pytest.raises(gpt2_convert.CastError, match=r"wte at \[50, 3\] is 1000000.0"):
            checkpoint["wte"][49:51]


def test_damage_elsewhere_does_not_keep_rows_from_being_read(tmp_path: Path) -> None:
    array = numbers((97, 33))
    np.savez(tmp_path / "x.npz", x=array)
    data = bytearray((tmp_path / "x.npz").read_bytes())
    data[data.index(array[90].tobytes())] ^= 1
    (tmp_path / "x.npz").write_bytes(data)
    with open_raw(tmp_path / "x.npz") as raw:
        np.testing.assert_array_equal(raw.tensors[0][:90], array[:90])
        assert raw.tensors[0][90][0] != array[90][0]
        with pytest.raises(gpt2_convert.ChecksumError):
            np.asarray(raw.tensors[0])
