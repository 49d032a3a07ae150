"""The folder of a model: which of its files holds the weights."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from support import raws, torch_files
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


def test_pytorch_files_are_read_where_there_are_no_others(tmp_path: Path) -> None:
    value = torch_files.state_dict({"b": np.ones(1, np.float32)})
    torch_files.write(tmp_path / "pytorch_model.bin", value)
    (tmp_path / "training_args.bin").write_bytes(b"PK\x03\x04")
    torch_files.write(tmp_path / "optimizer.pt", {"state": value})
    assert read(tmp_path) == {"b": DATA}
    (tmp_path / "x.safetensors").write_bytes(encode(ONE))
    assert read(tmp_path) == {"a": DATA}


def test_a_trainer_s_files_are_no_model(tmp_path: Path) -> None:
    torch_files.write(tmp_path / "optimizer.pt", {"state": {}})
    torch_files.write(tmp_path / "training_args.bin", {"state": {}})
    with pytest.raises(gpt2_convert.SourceNotFoundError, match="name that file"):
        open_raw(tmp_path)


def test_a_folder_of_pytorch_files_is_a_hugging_face_model(tmp_path: Path) -> None:
    value = torch_files.state_dict(raws.huggingface())
    torch_files.write(tmp_path / "pytorch_model.bin", value)
    (tmp_path / "config.json").write_text(json.dumps(raws.CONFIG))
    with gpt2_convert.open(tmp_path, format="safetensors") as checkpoint:
        assert checkpoint.format == "pytorch"
        assert checkpoint.config.n_head == 4
    with gpt2_convert.open(tmp_path / "pytorch_model.bin", format="safetensors") as checkpoint:
        assert checkpoint.format == "pytorch"
    (tmp_path / "pytorch_model.bin").rename(tmp_path / "ckpt.pt")
    with pytest.raises(gpt2_convert.UsageError, match="a PyTorch file, not a safetensors file"):
        gpt2_convert.open(tmp_path / "ckpt.pt", format="safetensors")
    (tmp_path / "ckpt.pt").rename(tmp_path / "pytorch_model.bin")
    with pytest.raises(
        gpt2_convert.UsageError, match="a PyTorch file, not a TensorFlow checkpoint"
    ):
        gpt2_convert.open(tmp_path / "pytorch_model.bin", format="tensorflow")
