"""The folders that tf2hf writes, in the program they are for: transformers on torch."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

import gpt2_convert
from gpt2_convert.model.schema import load_family

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType
    from typing import Any

pytestmark = [
    pytest.mark.interop,
    # torch and transformers warn of their own affairs.
    pytest.mark.filterwarnings("default::DeprecationWarning"),
    pytest.mark.filterwarnings("default::FutureWarning"),
]


def load(folder: Path) -> Any:  # noqa: ANN401
    """Load a model as its users do, and insist that no key was missing or unexpected."""
    from transformers import AutoModelForCausalLM

    model, info = AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    assert not info["mismatched_keys"]
    assert type(model).__name__ == "GPT2LMHeadModel"
    return model.eval()


def logits(model: Any, tokens: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:  # noqa: ANN401
    import torch

    with torch.no_grad():
        found: np.ndarray[Any, Any] = model(
            torch.from_numpy(tokens.astype(np.int64))
        ).logits.numpy()
    return found


def save_with_tensorflow(tf: ModuleType, source: Path, folder: Path) -> Path:
    """Write a checkpoint in OpenAI's layout, as TensorFlow's own SaveV2 does."""
    folder.mkdir()
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    with gpt2_convert.open(source) as checkpoint:
        for name, tensor in checkpoint.items():
            array = tensor.array()
            conv1d = array.ndim == 2 and name.startswith("blocks")
            tf_name = "model/" + name.replace("blocks[", "h").replace("]", "").replace(".", "/")
            arrays[tf_name] = array[None] if conv1d else array
        (folder / "hparams.json").write_text(json.dumps(checkpoint.hparams.known()))
    tf.raw_ops.SaveV2(
        prefix=str(folder / "model.ckpt"),
        tensor_names=list(arrays),
        shape_and_slices=[""] * len(arrays),
        tensors=list(arrays.values()),
    )
    return folder


def test_a_trained_model_carried_through_tensorflow_gives_its_own_logits(
    shared_data: Path, tf: ModuleType, tmp_path: Path
) -> None:
    source = shared_data / "hf-capp-gpt"
    saved = save_with_tensorflow(tf, source, tmp_path / "tf")
    gpt2_convert.convert(saved, tmp_path / "hf", to="hf")
    with np.load(source / "reference" / "logits.npz") as reference:
        expected = reference["logits_safetensors_d53c507"]
        found = logits(load(tmp_path / "hf"), reference["input_ids"])
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("tied", [True, False])
def test_a_model_made_by_transformers_comes_back_with_the_same_logits(
    tied: bool, tf: ModuleType, tmp_path: Path
) -> None:
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=101, n_positions=32, n_embd=48, n_layer=3, n_head=4, tie_word_embeddings=tied
    )
    original = GPT2LMHeadModel(config).eval()
    with torch.no_grad():  # fresh biases are zeros and would hide mistakes
        for parameter in original.parameters():
            parameter.normal_(0, 0.2)
    original.save_pretrained(tmp_path / "original")
    tokens = np.random.default_rng(0).integers(0, 101, (2, 32))
    expected = logits(original, tokens)
    chain = [tmp_path / "original", tmp_path / "a.npz", tmp_path / "b.safetensors"]
    if tied:
        chain.append(save_with_tensorflow(tf, tmp_path / "original", tmp_path / "tf"))
    for number, source in enumerate(chain):
        if not source.exists():
            gpt2_convert.convert(chain[number - 1], source)
        target = tmp_path / f"hf-{number}"
        gpt2_convert.convert(source, target, to="hf")
        np.testing.assert_array_equal(logits(load(target), tokens), expected)


def test_a_model_that_computes_otherwise_keeps_its_logits_to_the_bit(tmp_path: Path) -> None:
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    sizes = {"vocab_size": 101, "n_positions": 32, "n_embd": 48, "n_layer": 3, "n_head": 4}
    otherwise = {
        "activation_function": "relu",
        "layer_norm_epsilon": 1e-3,
        "scale_attn_by_inverse_layer_idx": True,
    }
    original = GPT2LMHeadModel(GPT2Config(**sizes, **otherwise)).eval()
    with torch.no_grad():
        for parameter in original.parameters():
            parameter.normal_(0, 0.2)
    original.save_pretrained(tmp_path / "original")
    tokens = np.random.default_rng(0).integers(0, 101, (2, 32))
    expected = logits(original, tokens)
    chain = [tmp_path / "original"]
    for name in ("a.npz", "b.safetensors", "c.h5", "hf/"):
        gpt2_convert.convert(chain[-1], f"{tmp_path}/{name}")
        chain.append(tmp_path / name)
    np.testing.assert_array_equal(logits(load(tmp_path / "hf"), tokens), expected)
    # Each of the three changes the logits, so that none of them was lost.
    for field in otherwise:
        rest = {key: value for key, value in otherwise.items() if key != field}
        other = GPT2LMHeadModel(GPT2Config(**sizes, **rest)).eval()
        other.load_state_dict(original.state_dict())
        assert np.abs(logits(other, tokens) - expected).max() > 1e-3


def test_the_fields_that_change_the_output_have_transformers_defaults() -> None:
    from transformers import GPT2Config

    defaults = GPT2Config()
    family = load_family()
    assert {key: getattr(defaults, key) for key in family.behaviour} == dict(family.behaviour)
    sizes = {key: size for size, key in family.configs["hf"].items()}
    for alias, key in GPT2Config.attribute_map.items():
        assert family.aliases[alias] == sizes[key]


def test_a_whole_tokenizer_survives(openai_folder: Path, tmp_path: Path) -> None:
    from transformers import AutoTokenizer, GPT2TokenizerFast

    tokenizer = GPT2TokenizerFast.from_pretrained(openai_folder)
    tokenizer.add_special_tokens({"pad_token": "<pad>"})
    tokenizer.save_pretrained(openai_folder)
    assert (openai_folder / "tokenizer.json").is_file()
    for name in ("vocab.json", "merges.txt"):
        (openai_folder / name).unlink(missing_ok=True)  # tokenizer.json has both
    gpt2_convert.convert(openai_folder, tmp_path / "again", to="hf")
    again = AutoTokenizer.from_pretrained(tmp_path / "again")
    assert again("Hello world")["input_ids"] == [15496, 995]
    assert again("<pad>")["input_ids"] == [50257]
    assert again.pad_token_id == 50257


def test_openai_s_tokenizer_is_loaded_too(openai_folder: Path) -> None:
    from transformers import GPT2TokenizerFast

    tokenizer = GPT2TokenizerFast.from_pretrained(openai_folder)
    # The first of these is in the paper's own examples of the vocabulary.
    assert tokenizer("Hello world")["input_ids"] == [15496, 995]
    assert tokenizer.decode([15496, 995]) == "Hello world"
