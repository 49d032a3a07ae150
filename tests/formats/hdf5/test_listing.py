"""The walk through a file's tree, which the library makes in a process of its own."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest
from support.hdf5_files import make, one, random, read_all

import gpt2_convert
from gpt2_convert.formats.hdf5 import listing
from gpt2_convert.formats.hdf5.file import HDF5File
from gpt2_convert.formats.hdf5.listing import list_file
from gpt2_convert.formats.hdf5.reader import open_hdf5
from gpt2_convert.io.source import SourceFile

if TYPE_CHECKING:
    from pathlib import Path

    import h5py


def test_the_library_never_sees_a_source_in_this_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill(file: h5py.File) -> None:
        file["contiguous"] = random((60, 70))
        for name, options in (("plain", {}), ("packed", {"compression": "gzip", "shuffle": True})):
            file.create_dataset(name, data=random((60, 70)), chunks=(17, 19), **options)

    path = make(tmp_path / "m.h5", fill)
    log = tmp_path / "log"
    init = HDF5File.__init__

    def spy(file: HDF5File, source: SourceFile, base: int) -> None:
        with log.open("a") as lines:
            settings = {name: value for name, value in os.environ.items() if "HDF5" in name}
            lines.write(json.dumps([os.getpid(), settings]) + "\n")
        init(file, source, base)

    monkeypatch.setenv("HDF5_DRIVER", "core")
    monkeypatch.setattr(HDF5File, "__init__", spy)
    with open_hdf5(path) as raw:
        assert set(read_all(raw).values()) == {random((60, 70)).tobytes()}
    [line] = log.read_text().splitlines()
    process, settings = json.loads(line)
    assert process != os.getpid()
    assert settings == {"HDF5_PLUGIN_PRELOAD": "::"}
    assert os.environ["HDF5_DRIVER"] == "core"


def test_a_dataset_is_looked_at_once_however_many_names_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill(file: h5py.File) -> None:
        file.create_dataset("a", data=random((60, 70)), chunks=(2, 2))
        for number in range(3000):
            file[f"g/{number:04}"] = file["a"]

    path = make(tmp_path / "m.h5", fill)
    monkeypatch.setattr(listing, "MAX_OBJECTS", 3)  # the root, the group, the dataset
    with open_hdf5(path) as raw:
        assert [tensor.name for tensor in raw.tensors][:3] == ["a", "g/0000", "g/0001"]
        assert len(raw.tensors) == 3001
        assert b"".join(raw.tensors[-1].chunks()) == random((60, 70)).tobytes()


@pytest.mark.parametrize("path", ["a", "g/a", "g/h/i"])
def test_more_objects_than_a_model_has_are_refused(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = make(tmp_path / "m.h5", one(path, random((3,))))
    objects = 2 + path.count("/")
    monkeypatch.setattr(listing, "MAX_OBJECTS", objects)
    assert len(open_hdf5(file).tensors) == 1
    monkeypatch.setattr(listing, "MAX_OBJECTS", objects - 1)
    with pytest.raises(
        gpt2_convert.UnsupportedError, match=rf"m\.h5: more than {objects - 1} groups and datasets"
    ):
        open_hdf5(file)


def test_the_descriptor_stays_where_it_was(tmp_path: Path) -> None:
    path = make(tmp_path / "m.h5", one("a", random((3,))))
    source = SourceFile(path)
    os.lseek(source.fd, 5, os.SEEK_SET)
    [dataset], skipped, attributes = list_file(source, 0)
    assert (dataset.name, dataset.shape, attributes) == ("a", (3,), {})
    assert not skipped
    assert os.lseek(source.fd, 0, os.SEEK_CUR) == 5
    source.close()
