"""The table of readers: its keys are the public ones, and no two take the same path."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, get_args

import pytest
from support import bundles, hdf5_files, raws
from support.contracts import no_hang
from support.writers import Writer, every_writer

from gpt2_convert.errors import SourceNotFoundError
from gpt2_convert.formats.readers import READERS, SourceFormat

if TYPE_CHECKING:
    from pathlib import Path


def takers(path: Path) -> set[str]:
    return {name for name, reader in READERS.items() if reader.recognises(path)}


def test_the_type_of_a_source_s_format_has_the_keys() -> None:
    assert get_args(SourceFormat) == tuple(READERS)


def test_a_container_whose_signature_may_stand_anywhere_is_asked_last() -> None:
    assert list(READERS)[-1] == "hdf5"


@every_writer
def test_what_is_written_is_taken_by_one_reader_and_opened_by_it(
    writer: Writer, tiny: Path, tmp_path: Path
) -> None:
    path = tmp_path / writer.name
    writer.convert(tiny, path)
    (name,) = takers(path)
    with READERS[name].open(path, None) as raw:
        assert raw.format == name
        assert {tensor.name for tensor in raw.tensors} == set(map(writer.spell, raws.canonical()))


def test_a_folder_is_an_hdf5_file_s_only_where_nothing_else_is_in_it(tiny: Path) -> None:
    folder = tiny.parent / "keras"
    folder.mkdir()
    hdf5_files.make(folder / "tf_model.h5", hdf5_files.write_canonical)
    (folder / "config.json").write_text(json.dumps(raws.CONFIG))
    assert takers(folder) == takers(folder / "tf_model.h5") == {"hdf5"}
    with READERS["hdf5"].open(folder, None) as raw:
        assert raw.folder == folder
        assert raw.where == str(folder / "tf_model.h5")
    (folder / "model.safetensors").touch()
    assert takers(folder) == {"safetensors"}
    (folder / "model.safetensors").unlink()
    for file in tiny.iterdir():
        file.rename(folder / file.name)
    assert takers(folder) == {"tensorflow"}
    (tiny / "tf_model.h5").symlink_to("nowhere")
    assert takers(tiny) == {"hdf5"}
    with pytest.raises(SourceNotFoundError, match=r"tf_model\.h5: a link that leads nowhere"):
        READERS["hdf5"].open(tiny, None)
    (tiny / "tf_model.h5").rename(tiny / "other.h5")
    assert takers(tiny) == set()


def test_a_tensorflow_checkpoint_is_taken_by_one_reader_however_it_is_named(tiny: Path) -> None:
    for path in (tiny, tiny / "model.ckpt", tiny / "model.ckpt.index"):
        assert takers(path) == {"tensorflow"}


@pytest.mark.parametrize("kind", ["nothing", "an empty file", "an empty folder", "a pipe", "zeros"])
def test_what_is_no_checkpoint_is_taken_by_none_and_never_waited_for(
    kind: str, tmp_path: Path
) -> None:
    path = tmp_path / "x"
    if kind == "an empty file":
        path.touch()
    elif kind == "an empty folder":
        path.mkdir()
    elif kind == "a pipe":
        os.mkfifo(path)
    elif kind == "zeros":
        path.symlink_to("/dev/zero")
    with no_hang():
        assert takers(path) == set()


def test_only_a_folder_of_checkpoints_has_steps(tmp_path: Path) -> None:
    bundles.write_gpt2(tmp_path / "run", name="model.ckpt-10")
    bundles.write_gpt2(tmp_path / "run", name="model.ckpt-20")
    assert [name for name, reader in READERS.items() if reader.has_steps] == ["tensorflow"]
    with READERS["tensorflow"].open(tmp_path / "run", 10) as raw:
        assert raw.where.endswith("model.ckpt-10")
