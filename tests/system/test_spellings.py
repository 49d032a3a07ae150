"""No spelling belongs to a container: each, in each of them, is the model that its twin is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import h5py
import numpy as np
import pytest
from safetensors.numpy import save_file
from support import bundles, raws
from support.tf_writers import save

import gpt2_convert

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any

    Arrays = dict[str, np.ndarray[Any, Any]]


def write_npz(path: Path, arrays: Arrays) -> Path:
    file = path / "model.npz"
    np.savez(file, **arrays)  # type: ignore[arg-type]
    return file


def write_safetensors(path: Path, arrays: Arrays) -> Path:
    file = path / "model.safetensors"
    save_file(arrays, file)
    return file


def write_hdf5(path: Path, arrays: Arrays) -> Path:
    file = path / "model.h5"
    with h5py.File(file, "w") as opened:
        for name, array in arrays.items():
            opened.create_dataset(name, data=array)
    return file


def write_tensorflow(path: Path, arrays: Arrays) -> Path:
    return save(pytest.importorskip("tensorflow"), path / "model.ckpt", arrays)


CONTAINERS: dict[str, Callable[[Path, Arrays], Path]] = {
    "npz": write_npz,
    "safetensors": write_safetensors,
    "hdf5": write_hdf5,
    "tensorflow": write_tensorflow,
}
every_container = pytest.mark.parametrize(
    "write",
    [
        pytest.param(write, id=name, marks=[pytest.mark.tensorflow] if name == "tensorflow" else [])
        for name, write in CONTAINERS.items()
    ],
)


def squeeze(arrays: Arrays) -> Arrays:
    return {name: array.squeeze() for name, array in arrays.items()}


def rename(arrays: Arrays, old: str, new: str, ending: str = "") -> Arrays:
    return {name.replace(old, new, 1) + ending: array for name, array in arrays.items()}


def slash(arrays: Arrays, front: str = "") -> Arrays:
    return {front + name.replace(".", "/"): array for name, array in arrays.items()}


def keep_head(arrays: Arrays) -> Arrays:
    """What safetensors.torch.save_model keeps of two names of one tensor."""
    return {
        "lm_head.weight" if name == "wte.weight" else f"transformer.{name}": array
        for name, array in arrays.items()
    }


OPENAI = bundles.gpt2_arrays()
SPELLINGS: dict[str, Arrays] = {
    "OpenAI": OPENAI,
    "OpenAI :0": rename(OPENAI, "", "", ":0"),
    "OpenAI squeezed": squeeze(OPENAI),
    "OpenAI squeezed :0": rename(squeeze(OPENAI), "", "", ":0"),
    "OpenAI in no scope": rename(OPENAI, "model/", ""),
    "OpenAI in no scope, squeezed :0": rename(squeeze(OPENAI), "model/", "", ":0"),
    "OpenAI in another scope": rename(OPENAI, "model/", "gpt2/"),
    "OpenAI in two scopes": rename(OPENAI, "model/", "a/b/", ":0"),
    "OpenAI around its own": rename(OPENAI, "", "policy/"),
    "Hugging Face": raws.huggingface(),
    "Hugging Face slashed": slash(raws.huggingface()),
    "Hugging Face slashed and wrapped": slash(raws.huggingface(), "transformer/"),
    "Hugging Face slashed :0": rename(slash(raws.huggingface()), "", "module/", ":0"),
    "Hugging Face, the head alone": keep_head(raws.huggingface()),
    "Hugging Face slashed, the head alone": slash(keep_head(raws.huggingface())),
    "nanoGPT": rename(raws.linear(raws.huggingface()), "", "_orig_mod.transformer."),
    "nanoGPT slashed": slash(raws.linear(raws.huggingface()), "transformer/"),
    "nanoGPT, the head alone": keep_head(raws.linear(raws.huggingface())),
    "canonical": raws.canonical(),
    "canonical :0": rename(raws.canonical(), "", "", ":0"),
    "canonical slashed": slash(
        {name.replace("[", ".").replace("]", ""): each for name, each in raws.canonical().items()}
    ),
    "canonical slashed in a scope": slash(
        {name.replace("[", ".").replace("]", ""): each for name, each in raws.canonical().items()},
        "policy/",
    ),
    "canonical [out, in]": raws.linear(raws.canonical()),
    "Keras": raws.keras("transformer/tfgpt2lm_head_model/transformer/"),
    "Keras of 2019": raws.keras("transformer/tfgp_t2lm_head_model/transformer/"),
    "Keras without a head": raws.keras("transformer/tfgpt2_model/transformer/"),
    "Keras of 2023": raws.keras("transformer/tfgpt2lm_head_model/transformer/", "embeddings"),
    "Keras as safetensors": raws.keras("transformer/"),
    "Keras as safetensors, of the base": raws.keras("", "embeddings"),
    "Keras without :0": raws.keras("tfgpt2_model/transformer/", ending=""),
}


@every_container
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_each_spelling_in_each_container_is_its_twin(
    spelling: str, write: Callable[[Path, Arrays], Path], tmp_path: Path
) -> None:
    arrays = {name: np.ascontiguousarray(each) for name, each in SPELLINGS[spelling].items()}
    twin = tmp_path / "twin"
    twin.mkdir()
    expected = gpt2_convert.digest(write_safetensors(twin, raws.huggingface()))
    source = write(tmp_path, arrays)
    assert gpt2_convert.digest(source).lines == expected.lines
    for first, second in ((source, twin), (twin, source)):
        assert gpt2_convert.verify(first, second, weights_only=True).ok
    report = gpt2_convert.convert(source, tmp_path / "out.npz")
    assert sorted(name for name, _ in report.mapped) == sorted(arrays)
    with np.load(tmp_path / "out.npz") as archive:
        assert list(archive) == list(raws.canonical())
        for name, array in raws.canonical().items():
            np.testing.assert_array_equal(archive[name], array, strict=True)
