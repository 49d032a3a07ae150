"""The folder of a model: which of its files holds the weights."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import h5py
import numpy as np
import pytest
from support import bundles, raws, torch_files
from support.safetensors_files import DATA, ONE, encode, read, write_shards

import gpt2_convert
from gpt2_convert.errors import FormatError
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


def write_keras(
    folder: Path, model: str = "tfgpt2lm_head_model", embedding: str = "weight"
) -> Path:
    """Write the folder that TFGPT2LMHeadModel.save_pretrained leaves, as Keras' HDF5 has it.

    A group a layer, with the names of its weights as an attribute; a layer without weights has an
    empty one. Source: keras, saving/legacy/hdf5_format.py (save_weights_to_hdf5_group).
    """
    folder.mkdir()
    weights = raws.keras(f"{model}/transformer/", embedding)
    with h5py.File(folder / "tf_model.h5", "w") as file:
        file.attrs["layer_names"] = [b"transformer", b"dropout_37"]
        file.attrs["backend"] = b"tensorflow"
        file.attrs["keras_version"] = b"2.2.4-tf"
        group = file.create_group("transformer")
        group.attrs["weight_names"] = [name.encode() for name in weights]
        for name, array in weights.items():
            group.create_dataset(name, array.shape, array.dtype)[:] = array
        empty = file.create_group("dropout_37")
        empty.attrs["weight_names"] = np.array([], "S1")
        file.create_group("top_level_model_weights").attrs["weight_names"] = np.array([], "S1")
    config = {**raws.CONFIG, "architectures": ["TFGPT2LMHeadModel"], "layer_norm_epsilon": 1e-6}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.mark.parametrize("model", ["tfgpt2lm_head_model", "tfgp_t2lm_head_model", "tfgpt2_model"])
@pytest.mark.parametrize("embedding", ["weight", "embeddings"])
def test_a_folder_of_keras_is_read_whole(model: str, embedding: str, tmp_path: Path) -> None:
    folder = write_keras(tmp_path / "keras", model, embedding)
    (folder / "README.md").write_text("A model.")
    report = gpt2_convert.convert(folder, tmp_path / "hf", to="hf")
    assert (report.source.format, report.dropped) == ("hdf5", ())
    assert report.notes == (f"read from the scope transformer/{model}/transformer/",)
    assert [copied.name for copied in report.companions] == ["README.md"]
    config = json.loads((tmp_path / "hf" / "config.json").read_text())
    assert (config["layer_norm_epsilon"], config["architectures"]) == (1e-6, ["GPT2LMHeadModel"])
    with gpt2_convert.open(tmp_path / "hf") as checkpoint:
        assert checkpoint.hparams.known() == bundles.TINY
        for name, array in raws.canonical().items():
            np.testing.assert_array_equal(checkpoint[name].array(), array, strict=True)
    assert gpt2_convert.verify(folder, tmp_path / "hf").ok
    assert gpt2_convert.verify(folder / "tf_model.h5", folder).ok


def test_a_folder_of_keras_is_a_hugging_face_model(tmp_path: Path) -> None:
    folder = write_keras(tmp_path / "keras")
    for source in (folder, folder / "tf_model.h5"):
        with gpt2_convert.open(source, format="safetensors") as checkpoint:
            assert checkpoint.format == "hdf5"
    (folder / "tf_model.h5").rename(folder / "model.h5")
    with pytest.raises(
        gpt2_convert.UsageError, match=r"an HDF5 file .*, not a safetensors file or Hugging Face"
    ):
        gpt2_convert.open(folder / "model.h5", format="safetensors")


def test_other_weights_of_the_folder_go_before_keras(tmp_path: Path) -> None:
    folder = write_keras(tmp_path / "keras")
    (folder / "model.safetensors").write_bytes(encode(ONE))
    assert read(folder) == {"a": DATA}


def test_a_file_of_keras_that_is_something_else_is_called_that(tmp_path: Path) -> None:
    folder = write_keras(tmp_path / "keras")
    (folder / "tf_model.h5").write_text(
        "version https://git-lfs.github.com/spec/v1\noid sha256:0\n"
    )
    with pytest.raises(FormatError, match=r"tf_model\.h5: a git-LFS pointer"):
        open_raw(folder)
    (folder / "tf_model.h5").write_text("something else")
    with pytest.raises(FormatError, match="nowhere in it is the signature of HDF5"):
        open_raw(folder)
