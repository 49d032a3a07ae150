"""picoGPT's loading functions: their signatures, their results, and no silent mistakes."""

from __future__ import annotations

import inspect
import json
import sys
from dataclasses import dataclass, field
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
import pytest
from support import bundles, raws
from support.tokenizer_files import train, write_pair

import gpt2_convert

if TYPE_CHECKING:
    from pathlib import Path

SIZES = ("124M", "355M", "774M", "1558M")
NEEDED = (
    "checkpoint", "encoder.json", "hparams.json", "vocab.bpe", "model.ckpt.index",
    "model.ckpt.data-00000-of-00001",
)  # fmt: skip


@dataclass
class Fetching:
    """Stands for fetch(), which has tests of its own: puts files into the folder, or fails."""

    files: dict[str, bytes] = field(default_factory=dict)
    error: Exception | None = None
    calls: list[tuple[str, Path]] = field(default_factory=list)

    def fetch(self, name: str, folder: Path) -> None:
        self.calls.append((name, folder))
        if self.error is not None:
            raise self.error
        folder.mkdir(parents=True, exist_ok=True)
        for file, data in self.files.items():
            (folder / file).write_bytes(data)


@pytest.fixture
def fetching(monkeypatch: pytest.MonkeyPatch) -> Fetching:
    stand_in, module = Fetching(), ModuleType("gpt2_convert.api.fetch")
    module.fetch = stand_in.fetch  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "gpt2_convert.api.fetch", module)
    return stand_in


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A folder of models with 124M in it: small weights, and a whole tokenizer."""
    folder = bundles.write_gpt2(tmp_path / "models" / "124M")
    write_pair(folder, *train(), ("encoder.json", "vocab.bpe"))
    return tmp_path / "models"


def test_picogpt_s_function_has_its_signature_and_result(tiny: Path) -> None:
    params = gpt2_convert.load_gpt2_params_from_tf_ckpt(
        tf_ckpt_path=str(tiny / "model.ckpt"), hparams=bundles.TINY
    )
    assert set(params) == {"wte", "wpe", "blocks", "ln_f"}
    expected = raws.canonical()
    np.testing.assert_array_equal(
        params["blocks"][2]["mlp"]["c_fc"]["w"], expected["blocks[2].mlp.c_fc.w"], strict=True
    )
    np.testing.assert_array_equal(params["ln_f"]["g"], expected["ln_f.g"], strict=True)


def test_picogpt_s_function_refuses_hparams_of_another_model(tiny: Path) -> None:
    with pytest.raises(gpt2_convert.SchemaError, match="hparams say n_layer 12"):
        gpt2_convert.load_gpt2_params_from_tf_ckpt(tiny, {**bundles.TINY, "n_layer": 12})


def test_the_result_has_every_weight_where_picogpt_looks_for_it(tiny: Path) -> None:
    params = gpt2_convert.load_gpt2_params_from_tf_ckpt(tiny, {})
    found = {"wte": params["wte"], "wpe": params["wpe"]}
    for layer, block in enumerate(params["blocks"]):
        for part in ("ln_1", "ln_2"):
            for leaf, array in block[part].items():
                found[f"blocks[{layer}].{part}.{leaf}"] = array
        for part in ("attn", "mlp"):
            for linear, leaves in block[part].items():
                for leaf, array in leaves.items():
                    found[f"blocks[{layer}].{part}.{linear}.{leaf}"] = array
    found |= {f"ln_f.{leaf}": array for leaf, array in params["ln_f"].items()}
    expected = raws.canonical()
    assert found.keys() == expected.keys()
    for name, array in found.items():
        np.testing.assert_array_equal(array, expected[name], strict=True)


def test_a_scope_chooses_one_of_two_models(tmp_path: Path) -> None:
    arrays = {
        f"{scope}/{name}": array * factor
        for scope, factor in (("a", 1), ("b", 2))
        for name, array in bundles.gpt2_arrays().items()
    }
    source = bundles.write_gpt2(tmp_path / "two", arrays=arrays)
    with pytest.raises(gpt2_convert.Gpt2ConvertError, match="scope"):
        gpt2_convert.load_gpt2_params_from_tf_ckpt(source, {})
    params = gpt2_convert.load_gpt2_params_from_tf_ckpt(source, {}, scope="b")
    np.testing.assert_array_equal(params["wte"], raws.canonical()["wte"] * 2, strict=True)


# All of a model.


def test_all_of_a_model_comes_as_picogpt_returns_it(models: Path, fetching: Fetching) -> None:
    function = gpt2_convert.load_encoder_hparams_and_params
    assert list(inspect.signature(function).parameters) == ["model_size", "models_dir"]
    encoder, hparams, params = function("124M", str(models))
    assert encoder.decode(encoder.encode("Not all heroes")) == "Not all heroes"
    assert hparams == json.loads((models / "124M" / "hparams.json").read_text()) == bundles.TINY
    assert type(hparams) is dict
    assert type(params) is type(params["blocks"][1]) is type(params["blocks"][1]["attn"]) is dict
    assert type(params["blocks"]) is list
    expected = raws.canonical()
    np.testing.assert_array_equal(params["wte"], expected["wte"], strict=True)
    np.testing.assert_array_equal(
        params["blocks"][2]["attn"]["c_proj"]["b"], expected["blocks[2].attn.c_proj.b"], strict=True
    )
    assert fetching.calls == []


def test_the_newest_checkpoint_of_several_is_loaded_as_tensorflow_would(
    models: Path, fetching: Fetching
) -> None:
    folder = models / "124M"
    arrays = {name: array + 1 for name, array in bundles.gpt2_arrays().items()}
    other = bundles.write_gpt2(models / "other", arrays=arrays)
    for suffix in ("index", "data-00000-of-00001"):
        (other / f"model.ckpt.{suffix}").rename(folder / f"model-900.{suffix}")
    (folder / "checkpoint").write_text('model_checkpoint_path: "model-900"\n')
    *_, params = gpt2_convert.load_encoder_hparams_and_params("124M", models)
    np.testing.assert_array_equal(params["wpe"], raws.canonical()["wpe"] + 1, strict=True)
    assert fetching.calls == []


@pytest.mark.parametrize("size", SIZES)
def test_a_model_that_is_not_there_is_fetched_into_its_folder(
    size: str, models: Path, fetching: Fetching, tmp_path: Path
) -> None:
    fetching.files = {path.name: path.read_bytes() for path in (models / "124M").iterdir()}
    encoder, hparams, params = gpt2_convert.load_encoder_hparams_and_params(size, tmp_path / "new")
    assert fetching.calls == [(size, tmp_path / "new" / size)]
    assert encoder.encode("a") == [encoder.encoder["a"]]
    assert hparams["n_layer"] == len(params["blocks"]) == 3


@pytest.mark.parametrize("name", NEEDED)
def test_a_file_that_is_missing_is_fetched(name: str, models: Path, fetching: Fetching) -> None:
    path = models / "124M" / name
    fetching.files = {name: path.read_bytes()}
    path.unlink()
    _, _, params = gpt2_convert.load_encoder_hparams_and_params("124M", models)
    # Without a checkpoint file the folder still has one checkpoint.
    assert fetching.calls == ([] if name == "checkpoint" else [("124M", models / "124M")])
    np.testing.assert_array_equal(params["wte"], raws.canonical()["wte"], strict=True)


@pytest.mark.parametrize("name", ["encoder.json", "hparams.json", "model.ckpt.index"])
def test_a_damaged_file_is_an_error_and_nothing_is_fetched(
    name: str, models: Path, fetching: Fetching
) -> None:
    (models / "124M" / name).write_bytes(b"<html>")
    with pytest.raises(gpt2_convert.FormatError, match=name):
        gpt2_convert.load_encoder_hparams_and_params("124M", models)
    assert fetching.calls == []


def test_what_is_missing_after_all_is_an_error(models: Path, fetching: Fetching) -> None:
    (models / "124M" / "hparams.json").unlink()
    with pytest.raises(gpt2_convert.SourceNotFoundError, match=r"hparams\.json: no such file"):
        gpt2_convert.load_encoder_hparams_and_params("124M", models)
    assert len(fetching.calls) == 1


def test_where_it_cannot_be_fetched_the_error_says_what_to_install(
    tmp_path: Path, fetching: Fetching
) -> None:
    fetching.error = gpt2_convert.UnsupportedError("pip install 'gpt2-convert[fetch]'")
    with pytest.raises(gpt2_convert.UnsupportedError) as caught:
        gpt2_convert.load_encoder_hparams_and_params("124M", tmp_path)
    assert caught.value is fetching.error
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_fetched_that_could_not_be_used(
    tmp_path: Path, fetching: Fetching, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(gpt2_convert.UnsupportedError, match=r"gpt2-convert\[tokenizer\]"):
        gpt2_convert.load_encoder_hparams_and_params("124M", tmp_path)
    assert fetching.calls == []


@pytest.mark.parametrize("size", ["117M", "gpt2", "", "124m", "../124M", 124, None])
def test_only_openai_s_sizes_are_names(size: str, tmp_path: Path, fetching: Fetching) -> None:
    with pytest.raises(gpt2_convert.UsageError) as caught:
        gpt2_convert.load_encoder_hparams_and_params(size, tmp_path)
    assert str(caught.value) == f"model_size {size!r}: one of 124M, 355M, 774M, 1558M expected"
    assert fetching.calls == []


# Shapes.


def test_shapes_are_nested_as_the_notebook_that_explains_picogpt_shows_them(tiny: Path) -> None:
    params = gpt2_convert.load_gpt2_params_from_tf_ckpt(tiny, {})
    block = {
        "ln_1": {"b": [32], "g": [32]},
        "ln_2": {"b": [32], "g": [32]},
        "attn": {"c_attn": {"b": [96], "w": [32, 96]}, "c_proj": {"b": [32], "w": [32, 32]}},
        "mlp": {"c_fc": {"b": [128], "w": [32, 128]}, "c_proj": {"b": [32], "w": [128, 32]}},
    }
    assert gpt2_convert.shape_tree(params) == {
        "wpe": [16, 32],
        "wte": [61, 32],
        "ln_f": {"b": [32], "g": [32]},
        "blocks": [block, block, block],
    }


def test_shapes_of_whatever_has_some() -> None:
    assert gpt2_convert.shape_tree(np.float32(1)) == []
    assert gpt2_convert.shape_tree([np.zeros((2, 0)), (np.zeros(3),), {}]) == [[2, 0], [[3]], {}]


@pytest.mark.parametrize("value", [3, None, "wte", {"a": [1.0]}, {"shape": {3}}])
def test_what_has_no_shape_is_refused(value: object) -> None:
    with pytest.raises(gpt2_convert.UsageError, match="dicts, lists and arrays expected, found "):
        gpt2_convert.shape_tree(value)
