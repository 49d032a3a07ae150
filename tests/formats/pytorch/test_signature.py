"""PyTorch files are known by their first bytes; other zip files and pickles are none."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
from support.torch_files import FORMATS, MAGIC, legacy_file, state_dict, zip_file, zipped

from gpt2_convert.formats.npz.reader import recognises as npz_recognises
from gpt2_convert.formats.opening import open_raw
from gpt2_convert.formats.pytorch.signature import recognises

VALUE = state_dict({"a": np.ones(3, np.float32)})


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("name", ["pytorch_model.bin", "ckpt.pt", "x.pth", "last.ckpt", "weights"])
def test_a_file_is_known_whatever_its_name(
    name: str, format: str, protocol: int, tmp_path: Path
) -> None:
    path = tmp_path / name
    write = zip_file if format == "zip" else legacy_file
    path.write_bytes(write(VALUE, protocol))
    assert recognises(path)
    assert not npz_recognises(path)


def test_the_name_of_the_whole_may_be_as_long_as_a_file_s(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(zipped({"data.pkl": b"N."}, "x" * 255))
    assert recognises(path)


@pytest.mark.parametrize("first", ["data/0", "version", "constants.pkl", "byteorder"])
def test_another_of_torch_s_members_may_be_the_first(first: str, tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(zipped({first: b"", "data.pkl": b"N."}))
    assert recognises(path)
    assert not npz_recognises(path)


def test_a_file_that_was_unpacked_and_zipped_again_is_known(tmp_path: Path) -> None:
    # In the order of a folder's names on disk, which is any, and with entries for folders.
    path = tmp_path / "x"
    inside = zip_file(VALUE)
    with zipfile.ZipFile(io.BytesIO(inside)) as archive:
        found = {name: archive.read(name) for name in archive.namelist()}
    for order in (sorted(found), sorted(found, reverse=True)):
        with zipfile.ZipFile(path, "w") as archive:
            for folder in ("archive/", "archive/data/"):
                archive.mkdir(folder)
            for name in order:
                archive.writestr(name, found[name])
        assert recognises(path)
        assert not npz_recognises(path)
        with open_raw(path) as raw:
            (tensor,) = raw.tensors
            np.testing.assert_array_equal(tensor.array(), np.ones(3, np.float32))


def test_any_storage_may_be_the_first(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(zipped({"data/1234": b"", "data.pkl": b"N."}))
    assert recognises(path)


def test_folders_that_never_end_are_no_signature(tmp_path: Path) -> None:
    path = tmp_path / "x"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(100):
            archive.mkdir(f"archive/{number}/")
    assert not recognises(path)
    folders = path.read_bytes()
    for cut in range(4, 120):
        path.write_bytes(folders[:cut])
        assert not recognises(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.mkdir("archive/")
        archive.writestr("archive/data/x.npy", b"")
    assert not recognises(path)
    assert npz_recognises(path)


def test_an_index_is_known_by_its_name(tmp_path: Path) -> None:
    for name in ("pytorch_model.bin.index.json", "x.bin.index.json"):
        (tmp_path / name).touch()
        assert recognises(tmp_path / name)


def test_other_files_are_not(tmp_path: Path) -> None:
    path = tmp_path / "x"
    np.savez(path.with_suffix(".npz"), a=np.ones(3))
    assert not recognises(path.with_suffix(".npz"))
    assert npz_recognises(path.with_suffix(".npz"))
    values: list[object] = [{}, MAGIC + 1, [1001]]
    other = [pickle.dumps(value, 2) for value in values]
    for data in (b"", b"PK\x03\x04", b"PK\x05\x06" + bytes(18), b"\x80\x02", *other):
        path.write_bytes(data)
        assert not recognises(path)
    os.mkfifo(tmp_path / "pipe")
    assert not any(map(recognises, [tmp_path, tmp_path / "pipe", Path("/dev/zero")]))
