"""Which container a path is: told by bytes and siblings, and in words where it is none."""

from __future__ import annotations

import os
import zipfile
from typing import TYPE_CHECKING

import h5py
import numpy as np
import pytest
from safetensors.numpy import save_file
from support import bundles, raws
from support.contracts import no_hang

import gpt2_convert
from gpt2_convert.errors import SourceNotFoundError, UnsupportedError
from gpt2_convert.formats.detect import detect

if TYPE_CHECKING:
    from pathlib import Path


def containers(folder: Path) -> dict[str, Path]:
    """Write one of each kind, with its own library and under a name that says nothing."""
    arrays = raws.canonical()
    with (folder / "one").open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)
    save_file(arrays, folder / "two")
    with h5py.File(folder / "three", "w") as tree:
        for name, array in arrays.items():
            tree[name] = array
    bundles.write_gpt2(folder / "four", name="weights")
    return {
        "npz": folder / "one",
        "safetensors": folder / "two",
        "hdf5": folder / "three",
        "tensorflow": folder / "four",
    }


def test_each_container_is_known_by_its_bytes(tmp_path: Path) -> None:
    for name, path in containers(tmp_path).items():
        assert detect(path) == name
        assert detect(path, name) == name


def test_another_format_than_the_one_that_is_wanted_is_a_mistake(tmp_path: Path) -> None:
    paths = containers(tmp_path)
    with pytest.raises(gpt2_convert.UsageError) as caught:
        detect(paths["npz"], "hdf5")
    assert str(caught.value) == (
        f"{paths['npz']}: a NumPy archive (.npz), not an HDF5 file (.h5); 'convert' takes any"
    )


def test_a_folder_of_two_kinds_asks_which_is_meant(tiny: Path) -> None:
    save_file(raws.huggingface(), tiny / "model.safetensors")
    with pytest.raises(gpt2_convert.UsageError, match="TensorFlow checkpoint and a safetensors"):
        detect(tiny)
    assert detect(tiny, "tensorflow") == "tensorflow"
    assert detect(tiny, "safetensors") == "safetensors"
    assert detect(tiny / "model.safetensors") == "safetensors"


def test_what_is_not_there_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(gpt2_convert.SourceNotFoundError, match="absent"):
        detect(tmp_path / "absent")


def test_unknown_bytes_are_shown_with_what_is_known(tmp_path: Path) -> None:
    path = tmp_path / "model.npz"
    path.write_bytes(b"%PDF-1.7\n%and more")
    with pytest.raises(gpt2_convert.FormatError) as caught:
        detect(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: starts with b'%PDF-1.7', unknown here; known are: ")
    for title in ("NumPy archive", "TensorFlow checkpoint", "safetensors file", "HDF5 file"):
        assert title in message


@pytest.mark.parametrize("kind", ["npz", "hdf5"])
def test_a_file_in_the_folder_that_was_named_is_pointed_at(kind: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    containers(tmp_path)[kind].rename(tmp_path / "folder" / "weights")
    with pytest.raises(gpt2_convert.SourceNotFoundError, match="holds 'weights'; name that file"):
        detect(tmp_path / "folder")


def test_a_folder_within_the_one_that_was_named_is_pointed_at(tiny: Path) -> None:
    os.mkfifo(tiny.parent / "pipe")  # which nobody may open
    (tiny.parent / "other").mkdir()
    with no_hang(), pytest.raises(gpt2_convert.SourceNotFoundError) as caught:
        detect(tiny.parent)
    assert str(caught.value) == (
        f"{tiny.parent}: no checkpoint in this folder; there is one in 'tiny'; name that"
    )


def test_an_empty_folder_is_told_what_could_be_in_it(tmp_path: Path) -> None:
    with pytest.raises(gpt2_convert.SourceNotFoundError, match=r"folder; known are: NumPy archive"):
        detect(tmp_path)


@pytest.mark.parametrize("kind", ["npz", "safetensors", "hdf5", "tensorflow"])
def test_what_macos_leaves_beside_each_file_hides_nothing(kind: str, tmp_path: Path) -> None:
    source = containers(tmp_path)[kind]
    folder = source if source.is_dir() else tmp_path / "folder"
    if not source.is_dir():
        folder.mkdir()
        source.rename(folder / ("model.safetensors" if kind == "safetensors" else "weights"))
    for path in list(folder.iterdir()):
        (folder / f"._{path.name}").write_bytes(b"\0\5\x16\7\0\2\0\0Mac OS X" + bytes(4080))
    if kind in ("npz", "hdf5"):
        with pytest.raises(gpt2_convert.SourceNotFoundError, match="holds 'weights'; name that"):
            detect(folder)
        folder /= "weights"
    assert detect(folder) == kind
    with gpt2_convert.open(folder) as checkpoint:
        assert len(checkpoint) == len(raws.canonical())


def test_an_apple_double_file_that_is_named_says_what_it_is(tmp_path: Path) -> None:
    path = tmp_path / "._weights.npz"
    path.write_bytes(b"\0\5\x16\7\0\2\0\0Mac OS X" + bytes(4080))
    with pytest.raises(gpt2_convert.UnsupportedError, match="an AppleDouble file"):
        detect(path)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("model.npz", b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        ("tf_weights.h5", b"<!DOCTYPE html>", "HTML"),
        ("weights.npz", b"", "an empty file"),
    ],
)
def test_what_a_download_left_in_a_folder_is_named(
    name: str, content: bytes, says: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    (tmp_path / "README.md").write_text("<h1>no weights</h1>")
    with pytest.raises(gpt2_convert.FormatError, match=says) as caught:
        detect(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path / name}: ")


def test_a_folder_with_an_archive_alone_says_to_unpack_it(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "model.zip", "w") as archive:
        archive.writestr("124M/hparams.json", "{}")
    with pytest.raises(UnsupportedError, match=r"holds 'model\.zip': a zip file; unpack it"):
        detect(tmp_path)
    np.savez(tmp_path / "a.npz", x=np.ones(3))
    with pytest.raises(SourceNotFoundError, match=r"holds 'a\.npz'; name that file"):
        detect(tmp_path)
