"""A model in several PyTorch files, as transformers wrote it before it turned to safetensors."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from support import contracts, raws, torch_files
from support.contracts import contents, contents_of
from support.torch_files import load_zip, state_dict

import gpt2_convert
from gpt2_convert.formats import limits
from gpt2_convert.formats.opening import open_raw

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from support.contracts import Array

INDEX = "pytorch_model.bin.index.json"
SHARDS = ("pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin")


def write_shards(folder: Path, arrays: Mapping[str, Array], format: str = "zip") -> Path:
    """Write the halves of a model into two files, and the index of them."""
    names = list(arrays)
    half = (len(names) + 1) // 2
    weight_map: dict[str, str] = {}
    for shard, part in zip(SHARDS, (names[:half], names[half:]), strict=True):
        value = state_dict({name: arrays[name] for name in part})
        torch_files.write(folder / shard, value, format)
        weight_map |= dict.fromkeys(part, shard)
    index = {"metadata": {"total_size": 1}, "weight_map": weight_map}
    (folder / INDEX).write_text(json.dumps(index, indent=2, sort_keys=True) + "\n")
    return folder / INDEX


class TestSharded(contracts.ReaderContract):
    format = "pytorch"
    direct = True
    flip_stride = 13
    cut_stride = 7

    def write(self, folder: Path, arrays: Mapping[str, Array]) -> Path:
        return write_shards(folder, arrays)

    def oracle(self, path: Path) -> dict[str, Array]:
        found: dict[str, Array] = {}
        for shard in SHARDS:
            found |= load_zip(path.with_name(shard))
        return found


@pytest.mark.parametrize("format", torch_files.FORMATS)
def test_a_sharded_model_is_read_by_its_folder(format: str, tmp_path: Path) -> None:
    arrays = raws.huggingface()
    write_shards(tmp_path, arrays, format)
    (tmp_path / "config.json").write_text(json.dumps(raws.CONFIG))
    gpt2_convert.convert(tmp_path, tmp_path / "out.npz")
    with np.load(tmp_path / "out.npz") as archive:
        for name, array in raws.canonical().items():
            np.testing.assert_array_equal(archive[name], array)


def test_a_missing_shard_does_not_keep_the_other_from_being_listed(tmp_path: Path) -> None:
    arrays = {name: np.full(3, number, np.float32) for number, name in enumerate("abcd")}
    path = write_shards(tmp_path, arrays)
    (tmp_path / SHARDS[1]).unlink()
    with open_raw(path) as raw:
        assert [tensor.name for tensor in raw.tensors] == ["a", "b"]
        (fault,) = raw.faults
        assert str(fault) == (
            f"{tmp_path / SHARDS[1]}: missing: the index has 2 tensors in it; put it beside the "
            "index"
        )
        assert [file.nbytes is None for file in raw.files] == [False, False, True]


def test_a_shard_that_is_a_link_into_nowhere_is_called_that(tmp_path: Path) -> None:
    path = write_shards(tmp_path, {"a": np.ones(3, np.float32), "b": np.ones(3, np.float32)})
    (tmp_path / SHARDS[1]).unlink()
    (tmp_path / SHARDS[1]).symlink_to("elsewhere")
    with open_raw(path) as raw:
        (fault,) = raw.faults
    assert str(fault) == f"{tmp_path / SHARDS[1]}: a link that leads nowhere"


def test_a_shard_that_is_something_else_is_named(tmp_path: Path) -> None:
    path = write_shards(tmp_path, {"a": np.ones(3, np.float32), "b": np.ones(3, np.float32)})
    for content, words in ((b"<html>", "HTML"), (b"version https://git-lfs", "git lfs pull")):
        (tmp_path / SHARDS[1]).write_bytes(content)
        with open_raw(path) as raw:
            (fault,) = raw.faults
        assert words in str(fault)
        assert str(fault).startswith(f"{tmp_path / SHARDS[1]}: ")


def test_what_index_and_shard_do_not_both_have_is_a_fault(tmp_path: Path) -> None:
    arrays = {name: np.full(3, number, np.float32) for number, name in enumerate("abcd")}
    path = write_shards(tmp_path, arrays)
    torch_files.write(tmp_path / SHARDS[1], state_dict({"c": arrays["c"], "x": arrays["d"]}))
    with open_raw(path) as raw:
        absent, stray = map(str, raw.faults)
    assert f"{SHARDS[1]}: has no 'd', which {INDEX} puts there" in absent
    assert f"{SHARDS[1]}: has 'x', which {INDEX} does not put there" in stray


def test_a_shard_that_leads_elsewhere_is_not_opened(tmp_path: Path) -> None:
    path = tmp_path / INDEX
    path.write_text(json.dumps({"weight_map": {"a": "../secret.bin"}}))
    with pytest.raises(gpt2_convert.FormatError, match="nothing else is opened"):
        open_raw(path)


def test_the_tensors_of_all_shards_count_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrays: dict[str, Array] = {name: np.ones(3, np.float32) for name in "abcd"}
    path = write_shards(tmp_path, arrays)
    monkeypatch.setattr(limits, "MAX_TENSORS", 3)
    with pytest.raises(gpt2_convert.UnsupportedError, match="more than 3 tensors"):
        open_raw(path)
    monkeypatch.setattr(limits, "MAX_TENSORS", 4)
    assert contents(path) == contents_of(arrays)
