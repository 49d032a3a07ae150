"""nanoGPT's model_args: what they state, and what is said of what they leave open."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from support import bundles, raws

from gpt2_convert.checkpoint.raw import RawConfig
from gpt2_convert.errors import FormatError, UnsupportedError
from gpt2_convert.model.adopt import adopt
from gpt2_convert.model.config import settle_config
from gpt2_convert.model.nanogpt import is_model_args
from gpt2_convert.model.schema import load_family
from gpt2_convert.model.stated import Stated, read_stated

TINY = bundles.TINY
ARGS: dict[str, Any] = {
    "n_layer": TINY["n_layer"], "n_head": TINY["n_head"], "n_embd": TINY["n_embd"],
    "block_size": TINY["n_ctx"], "bias": True, "vocab_size": TINY["n_vocab"], "dropout": 0.0,
}  # fmt: skip
"""As train.py of nanoGPT writes them, in its order."""
WHERE = "ckpt.pt: model_args"


def config(fields: dict[str, Any], where: str = WHERE) -> RawConfig:
    return RawConfig(where, json.dumps(fields).encode())


def read(fields: dict[str, Any]) -> Stated:
    raw = replace(raws.raw({}), configs=(config(fields),))
    stated = read_stated(raw, load_family())
    assert stated is not None
    return stated


def without(key: str) -> dict[str, Any]:
    return {name: value for name, value in ARGS.items() if name != key}


def test_the_sizes_are_those_of_the_model() -> None:
    stated = read(ARGS)
    assert dict(stated.sizes) == TINY
    assert stated.keys["n_ctx"] == "block_size"
    assert set(stated.places.values()) == {WHERE}


def test_they_are_told_from_the_other_kinds_by_their_keys() -> None:
    family = load_family()
    assert is_model_args(ARGS, family)
    assert is_model_args({"block_size": 7}, family)
    for other in (TINY, raws.CONFIG, {}, {**raws.CONFIG, "block_size": 7}):
        assert not is_model_args(other, family)


def test_the_activation_is_the_one_that_nanogpt_has_now_and_a_note_says_so() -> None:
    raw = replace(raws.raw(raws.huggingface()), configs=(config(ARGS),))
    checkpoint = settle_config(adopt(raw))
    assert checkpoint.config.activation_function == "gelu"
    # It stands nowhere, so nothing states it.
    assert "activation_function" not in checkpoint.config.stated_in
    assert checkpoint.config.stated_in["n_head"] == WHERE
    (note,) = checkpoint.notes
    assert note == (
        f"{WHERE} does not say which GELU the model has: taken is 'gelu', nanoGPT's since June "
        "2023; where it was trained before, it is 'gelu_new'"
    )


def test_before_there_was_a_choice_of_biases_the_activation_was_gpt2_s() -> None:
    stated = read(without("bias"))
    assert stated.implied["activation_function"] == "gelu_new"
    assert stated.notes == ()


def test_the_config_json_that_says_the_same_travels() -> None:
    stated = read({**ARGS, "dropout": 0.25})
    assert stated.document == {
        "model_type": "gpt2", "n_layer": TINY["n_layer"], "n_head": TINY["n_head"],
        "n_embd": TINY["n_embd"], "n_positions": TINY["n_ctx"], "vocab_size": TINY["n_vocab"],
        "activation_function": "gelu", "layer_norm_epsilon": 1e-5, "scale_attn_weights": True,
        "scale_attn_by_inverse_layer_idx": False, "tie_word_embeddings": True,
        "attn_pdrop": 0.25, "embd_pdrop": 0.25, "resid_pdrop": 0.25,
    }  # fmt: skip


def test_a_model_without_biases_is_refused_by_that_name() -> None:
    with pytest.raises(UnsupportedError) as caught:
        read({**ARGS, "bias": False})
    assert str(caught.value) == (
        f"{WHERE}: 'bias' is false: a nanoGPT model without biases, and a GPT-2 has them in every "
        "layer; nothing is made up for them"
    )


def test_fields_of_other_versions_are_told() -> None:
    stated = read({**ARGS, "use_rmsnorm": False, "flash": True})
    assert stated.notes[-1] == (
        f"{WHERE} states 'flash', 'use_rmsnorm', which nanoGPT does not have: whoever goes by that "
        "may compute otherwise"
    )


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("bias", None, "'bias': true or false expected, found None"),
        ("bias", 1, "'bias': true or false expected, found 1"),
        ("block_size", 0, "'block_size': a positive whole number expected, found 0"),
        ("block_size", True, "'block_size': a positive whole number expected, found True"),
        ("n_layer", "a list", "'n_layer': a positive whole number expected, found 'a list'"),
        ("n_head", 3, "n_embd 32 is no multiple of n_head 3"),
        ("dropout", 1.5, "'dropout': a number from 0 to 1 expected, found 1.5"),
        ("dropout", True, "'dropout': a number from 0 to 1 expected, found True"),
        ("dropout", float("nan"), "'dropout': a number from 0 to 1 expected, found nan"),
    ],
)
def test_fields_without_sense_are_refused(key: str, value: object, words: str) -> None:
    with pytest.raises(FormatError) as caught:
        read({**ARGS, key: value})
    assert str(caught.value) == f"{WHERE}: {words}"


def test_a_size_that_is_missing_is_named_by_its_key() -> None:
    with pytest.raises(FormatError, match="model_args: 'vocab_size' is missing; save it"):
        read(without("vocab_size"))
    assert "n_head" not in read(without("n_head")).sizes
