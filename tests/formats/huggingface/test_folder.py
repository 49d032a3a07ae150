"""The folder of a model: which of its files holds the weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.safetensors_files import DATA, ONE, encode, read, write_shards

import gpt2_convert
from gpt2_convert.formats.opening import open_raw

if TYPE_CHECKING:
    from pathlib import Path


def test_a_folder_with_one_file_of_any_name_is_read(tmp_path: Path) -> None:
    (tmp_path / "weights.safetensors").write_bytes(encode(ONE))
    (tmp_path / "README.md").touch()
    assert read(tmp_path) == {"a": DATA}


def test_model_safetensors_goes_before_its_index_and_other_files(tmp_path: Path) -> None:
    sharded = write_shards(tmp_path / "model")
    (sharded / "model.safetensors").write_bytes(encode(ONE))
    assert read(sharded) == {"a": DATA}


def test_a_folder_with_several_files_asks_which_is_meant(tmp_path: Path) -> None:
    for name in ("x.safetensors", "y.safetensors"):
        (tmp_path / name).write_bytes(encode(ONE))
    with pytest.raises(gpt2_convert.UsageError, match=r"x\.safetensors, y\.safetensors; name one"):
        open_raw(tmp_path)
