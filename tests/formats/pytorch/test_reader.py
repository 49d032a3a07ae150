"""PyTorch files of both layouts: what is in them is read, and of damage nothing passes unseen."""

from __future__ import annotations

import io
import pickle
import struct
from typing import TYPE_CHECKING

import ml_dtypes
import numpy as np
import pytest
from support import bundles, contracts, raws, torch_files
from support.contracts import contents, contents_of
from support.torch_files import Storage, tensor, view
from support.writers import Writer, every_writer

import gpt2_convert
from gpt2_convert.formats.opening import open_raw
from gpt2_convert.formats.pytorch import reader
from gpt2_convert.formats.pytorch.budget import Budget
from gpt2_convert.formats.pytorch.reader import open_file, open_part
from gpt2_convert.io.source import CHUNK

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from support.contracts import Array


class TestZip(contracts.ChecksumContract):
    format = "pytorch"
    direct = True
    flip_stride = 7
    cut_stride = 3

    def write(self, folder: Path, arrays: Mapping[str, Array]) -> Path:
        return torch_files.write(folder / "x.pt", torch_files.state_dict(arrays))

    def oracle(self, path: Path) -> dict[str, Array]:
        return torch_files.load_zip(path)

    def extra_arrays(self) -> dict[str, Array]:
        return {
            "complex64": np.array([1 + 2j, -3j], np.complex64),
            "complex128": np.array([[1 + 2j, np.nan]], np.complex128),
        }


class TestLegacy(contracts.ReaderContract):
    format = "pytorch"
    direct = True
    flip_stride = 5
    extra_arrays = TestZip.extra_arrays

    def write(self, folder: Path, arrays: Mapping[str, Array]) -> Path:
        return torch_files.write(folder / "x.pt", torch_files.state_dict(arrays), "legacy")

    def oracle(self, path: Path) -> dict[str, Array]:
        """Read it with Python's own unpickler, the storages by their order."""
        stream = io.BytesIO(path.read_bytes())
        for _ in range(3):
            pickle.load(stream)  # noqa: S301 - the tests' own
        start = stream.tell()
        pids: dict[str, tuple[str, int]] = {}

        class Unpickler(torch_files.OracleUnpickler):
            def persistent_load(self, pid: tuple[object, ...]) -> Array:
                _, kind, key, _, numel, _ = pid
                pids[str(key)] = self.dtype_of(kind), int(str(numel))
                return found.get(str(key), np.empty(int(str(numel)), self.dtype_of(kind)))

        found: dict[str, Array] = {}
        Unpickler(stream).load()
        for key in pickle.load(stream):  # noqa: S301 - the tests' own
            dtype, numel = pids[key]
            assert struct.unpack("<q", stream.read(8)) == (numel,)
            data = stream.read(numel * np.dtype(dtype).itemsize)
            found[key] = np.frombuffer(data, dtype)
        assert not stream.read()
        stream.seek(start)
        loaded = Unpickler(stream).load()
        return {name: np.array(array) for name, array in loaded.items()}


# Views and what they share.

FORMATS = pytest.mark.parametrize("format", torch_files.FORMATS)
NUMBERS = np.arange(24, dtype=np.float32)


@FORMATS
def test_views_of_one_storage_are_what_numpy_has_there(format: str, tmp_path: Path) -> None:
    storage = Storage(NUMBERS)
    whole = NUMBERS.reshape(4, 6)
    expected = {
        "whole": whole,
        "transposed": whole.T,
        "rows": whole[1:3],
        "columns": whole[:, 2:4],
        "steps": whole[::2, 1::3],
        "one": whole[3, 5],
        "expanded": np.broadcast_to(NUMBERS[7:8], (2, 3)),
        "overlapping": np.lib.stride_tricks.sliding_window_view(NUMBERS[4:12], 3),
        "none": whole[:0, 2:],
    }
    views = {
        "whole": view(storage, (4, 6)),
        "transposed": view(storage, (6, 4), (1, 6)),
        "rows": view(storage, (2, 6), offset=6),
        "columns": view(storage, (4, 2), (6, 1), 2),
        "steps": view(storage, (2, 2), (12, 3), 1),
        "one": view(storage, (), offset=23),
        "expanded": view(storage, (2, 3), (0, 0), 7),
        "overlapping": view(storage, (6, 3), (1, 1), 4),
        "none": view(storage, (0, 4), (6, 1), 2),
    }
    path = torch_files.write(tmp_path / "x.pt", views, format)
    assert contents(path) == contents_of(expected)


@FORMATS
def test_a_storage_that_two_tensors_share_is_in_the_file_once(format: str, tmp_path: Path) -> None:
    array = np.random.default_rng(0).standard_normal(1000).astype(np.float32)
    storage = Storage(array)
    both = {"a": view(storage, (1000,)), "b": view(storage, (10, 100))}
    path = torch_files.write(tmp_path / "x.pt", both, format)
    assert path.read_bytes().count(array.tobytes()) == 1
    assert contents(path) == contents_of({"a": array, "b": array.reshape(10, 100)})


@FORMATS
def test_bfloat16_and_parameters_are_read(format: str, tmp_path: Path) -> None:
    half = NUMBERS.astype(ml_dtypes.bfloat16)
    value = {"half": tensor(half), "parameter": tensor(NUMBERS, parameter=True)}
    path = torch_files.write(tmp_path / "x.pt", value, format)
    assert contents(path) == contents_of({"half": half, "parameter": NUMBERS})


def test_8_bit_floats_are_read_as_they_are(tmp_path: Path) -> None:
    narrow = np.arange(4).astype(ml_dtypes.float8_e5m2)
    path = torch_files.write(tmp_path / "x.pt", {"x": tensor(narrow)})
    assert contents(path) == contents_of({"x": narrow})


@pytest.mark.parametrize("order", ["transposed", "a part"])
def test_a_part_of_a_damaged_storage_is_refused_be_it_sound_itself(
    order: str, tmp_path: Path
) -> None:
    array = np.random.default_rng(0).standard_normal(CHUNK // 2).astype(np.float32)
    shape = (512, array.size // 512)
    part = view(array, shape, (1, 512)) if order == "transposed" else view(array, (7,), offset=3)
    path = torch_files.write(tmp_path / "x.pt", {"part": part, "other": tensor(NUMBERS)})
    whole = path.read_bytes()
    start = whole.index(array.tobytes())
    assert contents(path)
    for byte in (start + 99_999, start + array.nbytes - 1):
        path.write_bytes(whole[:byte] + bytes([whole[byte] ^ 1]) + whole[byte + 1 :])
        with open_raw(path) as raw:
            found, other = raw.tensors
            for _ in range(2):
                pieces: list[bytes] = []
                with pytest.raises(gpt2_convert.ChecksumError, match="'part': CRC-32"):
                    pieces.extend(found.chunks())
                assert sum(map(len, pieces)) == found.nbytes
            np.testing.assert_array_equal(other.array(), NUMBERS)


# What is not weights.


def test_tensors_of_many_times_the_file_are_refused(tmp_path: Path) -> None:
    bomb = {"x": view(NUMBERS, (1 << 20, 1 << 10), (0, 0))}
    path = torch_files.write(tmp_path / "x.pt", bomb)
    with pytest.raises(gpt2_convert.UnsupportedError, match=r"4,294,967,296 bytes, more than 100"):
        open_raw(path)


def test_many_views_of_one_storage_count_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "FREE", 0)
    storage = Storage(np.random.default_rng(0).standard_normal(10_000).astype(np.float32))
    for count, fine in ((100, True), (200, False)):
        value = {str(number): view(storage, (10_000,)) for number in range(count)}
        path = torch_files.write(tmp_path / "x.pt", value)
        if fine:
            open_file(path).close()
        else:
            with pytest.raises(gpt2_convert.UnsupportedError, match="100 times"):
                open_file(path)


def test_an_expanded_mask_of_a_large_model_is_read(tmp_path: Path) -> None:
    array = np.ones(1, np.float32)
    path = torch_files.write(tmp_path / "x.pt", {"x": view(array, (1, 1, 4096, 4096), (0,) * 4)})
    with open_raw(path) as raw:
        assert sum(map(len, raw.tensors[0].chunks())) == 64 << 20


def test_something_else_in_place_of_a_shard_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.bin"
    path.write_bytes(b"<html>")
    with pytest.raises(gpt2_convert.FormatError, match="HTML"):
        open_part(path, Budget(str(path)))
    path.write_bytes(b"something else")
    with pytest.raises(gpt2_convert.FormatError, match="starts with b'somethin'"):
        open_part(path, Budget(str(path)))


@FORMATS
def test_what_lies_beside_the_weights_travels_with_them(format: str, tmp_path: Path) -> None:
    path = torch_files.write(tmp_path / "x.pt", {"x": tensor(NUMBERS)}, format)
    with open_raw(path) as raw:
        assert raw.folder == tmp_path
        assert [file.nbytes for file in raw.files] == [path.stat().st_size]
        assert raw.notes == ()


@FORMATS
def test_a_name_with_half_a_surrogate_pair_makes_no_trouble(format: str, tmp_path: Path) -> None:
    path = torch_files.write(tmp_path / "x.pt", {"\ud800": tensor(NUMBERS)}, format)
    with pytest.raises(gpt2_convert.SchemaError, match=r"they are '\\ud800'"):
        gpt2_convert.open(path)


# What a trainer keeps beside the weights.


def nanogpt(**changes: object) -> dict[str, object]:
    """Return what train.py of nanoGPT saves, but for the layout of its weights."""
    state = {f"_orig_mod.transformer.{name}": each for name, each in raws.huggingface().items()}
    sizes = bundles.TINY
    args: dict[str, object] = {
        "n_layer": sizes["n_layer"], "n_head": sizes["n_head"], "n_embd": sizes["n_embd"],
        "block_size": sizes["n_ctx"], "bias": True, "vocab_size": sizes["n_vocab"], "dropout": 0.1,
    }  # fmt: skip
    moments = {"step": tensor(np.ones((), np.float32)), "exp_avg": tensor(NUMBERS)}
    return {
        "model": torch_files.state_dict(state),
        "optimizer": {"state": {0: moments}, "param_groups": [{"lr": 6e-4, "params": [0]}]},
        "model_args": args | changes,
        "iter_num": 2000,
        "best_val_loss": tensor(np.array(1.5, np.float32)),
        "config": {"out_dir": "out", "eval_interval": 250},
    }


@every_writer
def test_what_nanogpt_states_of_its_model_travels_with_the_weights(
    writer: Writer, tmp_path: Path
) -> None:
    path = torch_files.write(tmp_path / "ckpt.pt", nanogpt())
    written = tmp_path / writer.name
    report = writer.convert(path, written)
    assert report.ok
    left, gelu = report.notes[:2]
    assert left == (
        "read from model; left out beside it: 'optimizer' (2 tensors), "
        "'best_val_loss' (1 tensor), 'iter_num', 'config'"
    )
    assert gelu.startswith(f"{path}: model_args does not say which GELU the model has: taken is")
    with gpt2_convert.open(written) as found:
        assert found.hparams.known() == bundles.TINY
        assert found.config.activation_function == "gelu"
        assert found.config.document is not None
        assert found.config.document["resid_pdrop"] == 0.1
        for name, array in raws.canonical().items():
            np.testing.assert_array_equal(found[name].array(), array)
    assert gpt2_convert.digest(written).sha256 == gpt2_convert.digest(path).sha256
    assert gpt2_convert.verify(written, path).ok


def test_a_model_of_nanogpt_s_without_biases_is_refused_by_that_name(tmp_path: Path) -> None:
    path = torch_files.write(tmp_path / "ckpt.pt", nanogpt(bias=False))
    with pytest.raises(gpt2_convert.UnsupportedError, match="a nanoGPT model without biases"):
        gpt2_convert.open(path)


def test_sizes_that_nanogpt_states_and_the_tensors_do_not_have_are_refused(tmp_path: Path) -> None:
    path = torch_files.write(tmp_path / "ckpt.pt", nanogpt(block_size=32))
    with pytest.raises(gpt2_convert.SchemaError, match=r"expected .* by .*: model_args"):
        gpt2_convert.open(path)
