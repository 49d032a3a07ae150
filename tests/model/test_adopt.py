"""How a raw checkpoint is adopted as a GPT-2, or refused by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from support import bundles, raws

from gpt2_convert.errors import FormatError, SchemaError, UsageError
from gpt2_convert.model.adopt import adopt

if TYPE_CHECKING:
    from typing import Any

    Array = np.ndarray[Any, Any]


def test_adopted_weights_are_the_source_s_with_the_unit_axis_gone() -> None:
    checkpoint = adopt(raws.raw(bundles.gpt2_arrays(), bundles.TINY))
    expected = raws.canonical()
    assert list(checkpoint) == list(expected)
    for name, tensor in checkpoint.items():
        assert tensor.shape == expected[name].shape
        np.testing.assert_array_equal(tensor.array(), expected[name])
    assert checkpoint.hparams.known() == bundles.TINY
    assert checkpoint.hparams_from == "hparams.json"
    assert checkpoint["blocks[2].mlp.c_fc.w"].source_name == "model/h2/mlp/c_fc/w"


def test_canonical_names_are_read_too() -> None:
    checkpoint = adopt(raws.raw(raws.canonical(), bundles.TINY))
    assert list(checkpoint) == list(raws.canonical())


def test_ten_layers_and_more_do_not_mix_with_the_first() -> None:
    sizes = {**bundles.TINY, "n_layer": 12, "n_embd": 4, "n_head": 2}
    checkpoint = adopt(raws.raw(bundles.gpt2_arrays(sizes), sizes))
    weights = bundles.gpt2_arrays(sizes)
    np.testing.assert_array_equal(
        checkpoint["blocks[11].ln_1.g"].array(), weights["model/h11/ln_1/g"]
    )
    np.testing.assert_array_equal(
        checkpoint["blocks[1].ln_1.g"].array(), weights["model/h1/ln_1/g"]
    )


def test_a_width_of_one_keeps_its_axes() -> None:
    sizes = {"n_vocab": 1, "n_ctx": 1, "n_embd": 1, "n_head": 1, "n_layer": 1}
    checkpoint = adopt(raws.raw(bundles.gpt2_arrays(sizes), sizes))
    assert checkpoint["wte"].shape == (1, 1)
    assert checkpoint["blocks[0].attn.c_proj.w"].shape == (1, 1)
    assert checkpoint["blocks[0].attn.c_attn.w"].shape == (1, 3)
    assert checkpoint["ln_f.g"].shape == (1,)


def test_without_hparams_the_shapes_say_all_but_the_heads() -> None:
    checkpoint = adopt(raws.raw(bundles.gpt2_arrays()))
    expected = {key: value for key, value in bundles.TINY.items() if key != "n_head"}
    assert checkpoint.hparams.known() == expected
    assert checkpoint.hparams.n_head is None
    assert checkpoint.hparams_from == "the shapes"


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in bundles.gpt2_arrays().items() if key != name}


def renamed(old: str, new: str) -> dict[str, Any]:
    return {new if key == old else key: value for key, value in bundles.gpt2_arrays().items()}


def changed(name: str, value: np.ndarray[Any, Any]) -> dict[str, Any]:
    return {**bundles.gpt2_arrays(), name: value}


REFUSALS: dict[str, tuple[dict[str, Array] | list[tuple[str, Array]], str]] = {
    "a missing tensor": (
        without("model/h1/mlp/c_fc/w"),
        "'model/h1/mlp/c_fc/w' is missing; its shape would be [1, n_embd, n_inner] = [1, 32, 128]",
    ),
    "a missing first layer": (
        {k: v for k, v in bundles.gpt2_arrays().items() if not k.startswith("model/h0/")},
        "'model/h0/ln_1/g' is missing",
    ),
    "a missing middle layer": (
        {k: v for k, v in bundles.gpt2_arrays().items() if not k.startswith("model/h1/")},
        "'model/h1/ln_1/g' is missing",
    ),
    "a missing embedding": (without("model/wte"), "'model/wte' is missing"),
    "a misspelt name": (
        renamed("model/h0/attn/c_attn/w", "model/h0/attn/c_atn/w"),
        (
            "'model/h0/attn/c_atn/w' [1, 32, 96] is in no row of gpt2.toml; "
            "did you mean 'model/h0/attn/c_attn/w'?"
        ),
    ),
    "an unknown tensor": (
        {**bundles.gpt2_arrays(), "conv/w": np.zeros((2, 3), np.float32)},
        (
            "'conv/w' [2, 3] is in no row of gpt2.toml; "
            "if it is no part of the model, drop=... leaves it out"
        ),
    ),
    "an unknown tensor that is called much like one that is there": (
        {**bundles.gpt2_arrays(), "model/ln_f/bb": np.zeros(3, np.float32)},
        (
            "'model/ln_f/bb' [3] is in no row of gpt2.toml; "
            "if it is no part of the model, drop=... leaves it out"
        ),
    ),
    "the slots of an unknown optimizer": (
        {**bundles.gpt2_arrays(), "model/wte/Eve": np.zeros((61, 32), np.float32)},
        (
            "'model/wte/Eve' [61, 32] is in no row of gpt2.toml; if it is an optimizer's, "
            "drop='*/Eve' leaves it out"
        ),
    ),
    "a layer spelt with a leading zero": (
        renamed("model/h1/ln_1/g", "model/h01/ln_1/g"),
        "'model/h01/ln_1/g' [32] is in no row of gpt2.toml; did you mean 'model/h1/ln_1/g'?",
    ),
    "an absurd layer": (
        {**bundles.gpt2_arrays(), "model/h999999999999/ln_1/g": np.zeros(32, np.float32)},
        "'model/h999999999999/ln_1/g' [32] is in no row",
    ),
    "a transposed matrix": (
        changed("model/wte", np.zeros((32, 61), np.float32)),
        "'model/wte' is [32, 61], expected [n_vocab, n_embd] = [61, 32] by hparams.json",
    ),
    "a conv1d with an axis that is no unit": (
        changed("model/h0/attn/c_proj/w", np.zeros((2, 32, 32), np.float32)),
        "'model/h0/attn/c_proj/w' is [2, 32, 32], expected [1, n_embd, n_embd] = [1, 32, 32]",
    ),
    "a conv1d without its unit axis that is too short": (
        changed("model/h0/mlp/c_fc/w", np.zeros((32, 127), np.float32)),
        "'model/h0/mlp/c_fc/w' is [32, 127], expected [n_embd, n_inner] = [32, 128]",
    ),
    "a unit axis where none belongs": (
        changed("model/ln_f/g", np.zeros((1, 32), np.float32)),
        "'model/ln_f/g' is [1, 32], expected [n_embd] = [32]",
    ),
    "whole numbers as weights": (
        changed("model/wpe", np.zeros((16, 32), np.int32)),
        "'model/wpe' is int32; weights are float16, bfloat16, float32 or float64",
    ),
    "a tensor that stands twice": (
        [*bundles.gpt2_arrays().items(), ("model/wpe", np.zeros((16, 32), np.float32))],
        "'model/wpe' stands twice",
    ),
    "another model": (
        {"conv/w": np.zeros(3, np.float32), "conv/b": np.zeros(3, np.float32)},
        "not a GPT-2 checkpoint: none of its 2 tensors is in gpt2.toml",
    ),
    "no tensors": ({}, "not a GPT-2 checkpoint: it has no tensors"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_what_is_no_complete_gpt2_is_refused_by_name(case: str) -> None:
    tensors, message = REFUSALS[case]
    with pytest.raises(SchemaError) as caught:
        adopt(raws.raw(tensors, bundles.TINY))
    assert str(caught.value).startswith("memory: ")
    assert any(problem.startswith(message) for problem in caught.value.problems), str(caught.value)
    assert "\n" not in str(caught.value)


def test_every_problem_is_counted() -> None:
    arrays = bundles.gpt2_arrays()
    del arrays["model/wpe"], arrays["model/h2/ln_2/b"]
    with pytest.raises(SchemaError, match=r"\(and 1 more\)$") as caught:
        adopt(raws.raw(arrays, bundles.TINY))
    assert len(caught.value.problems) == 2


HPARAMS_REFUSALS: dict[str, tuple[dict[str, object], type[Exception], str]] = {
    "another width": ({"n_embd": 64}, SchemaError, "expected [n_vocab, n_embd] = [61, 64]"),
    "more layers": ({"n_layer": 4}, SchemaError, "says n_layer 4, but the tensors have 3 layers"),
    "fewer layers": ({"n_layer": 2}, SchemaError, "says n_layer 2, but the tensors have 3 layers"),
    "a float": ({"n_ctx": 16.0}, FormatError, "'n_ctx': a positive whole number expected"),
    "a string": ({"n_ctx": "16"}, FormatError, "'n_ctx': a positive whole number expected"),
    "a bool": ({"n_layer": True}, FormatError, "'n_layer': a positive whole number expected"),
    "a negative": ({"n_vocab": -61}, FormatError, "'n_vocab': a positive whole number expected"),
    "zero": ({"n_head": 0}, FormatError, "'n_head': a positive whole number expected"),
    "a huge one": ({"n_layer": 10**18}, FormatError, "; 2,147,483,648 and more is no size"),
    "heads that do not divide": ({"n_head": 5}, FormatError, "no multiple of n_head 5"),
}


@pytest.mark.parametrize("case", HPARAMS_REFUSALS)
def test_hparams_that_disagree_are_refused(case: str) -> None:
    change, kind, message = HPARAMS_REFUSALS[case]
    with pytest.raises(kind) as caught:
        adopt(raws.raw(bundles.gpt2_arrays(), {**bundles.TINY, **change}))
    assert message in str(caught.value)


def test_an_hparam_that_is_missing_is_named() -> None:
    partial = {key: value for key, value in bundles.TINY.items() if key != "n_ctx"}
    with pytest.raises(FormatError, match="'n_ctx' is missing"):
        adopt(raws.raw(bundles.gpt2_arrays(), partial))


def test_more_hparams_than_are_known_do_no_harm() -> None:
    checkpoint = adopt(raws.raw(bundles.gpt2_arrays(), {**bundles.TINY, "res_dropout": 0.1}))
    assert checkpoint.hparams.known() == bundles.TINY


def test_a_long_name_makes_no_long_message() -> None:
    arrays = {**bundles.gpt2_arrays(), "x" * 100_000: np.zeros(1, np.float32)}
    with pytest.raises(SchemaError) as caught:
        adopt(raws.raw(arrays, bundles.TINY))
    assert len(str(caught.value)) < 500


HEAD = {"lm_head.weight" if n == "wte.weight" else n: a for n, a in raws.huggingface().items()}


@pytest.mark.parametrize("tied", [None, True])
def test_a_head_without_an_embedding_is_tied(tied: bool | None) -> None:
    config = {**raws.CONFIG, **({} if tied is None else {"tie_word_embeddings": tied})}
    for stated in (None, bundles.TINY, config):
        checkpoint = adopt(raws.raw(HEAD, stated))
        assert list(checkpoint) == list(raws.canonical())
        np.testing.assert_array_equal(checkpoint["wte"].array(), raws.canonical()["wte"])
        assert checkpoint.notes == (
            "'lm_head.weight' is read as wte as well, which is tied to it and not in the file",
        )


def test_a_head_without_an_embedding_that_is_not_tied_is_incomplete() -> None:
    stated = {**raws.CONFIG, "tie_word_embeddings": False}
    with pytest.raises(SchemaError) as caught:
        adopt(raws.raw(HEAD, stated))
    assert caught.value.problems == (
        (
            "'wte.weight' is missing; its shape would be [n_vocab, n_embd] = [61, 32]; "
            "'lm_head.weight' does not take its place, since hparams.json says tie_word_embeddings "
            "false: mend that if the two are one"
        ),
    )


def test_a_head_that_is_all_there_is_cannot_be_left_out() -> None:
    with pytest.raises(UsageError, match=r"'lm_head\.weight' matches no tensor that can be left"):
        adopt(raws.raw(HEAD), ["lm_head.weight"])


def test_a_missing_tensor_is_named_as_the_file_spells_others() -> None:
    arrays = {f"{name}:0": array for name, array in bundles.gpt2_arrays().items()}
    arrays["model/h0/attn/c_atn/w:0"] = arrays.pop("model/h0/attn/c_attn/w:0")
    with pytest.raises(SchemaError) as caught:
        adopt(raws.raw(arrays))
    assert caught.value.problems == (
        (
            "'model/h0/attn/c_atn/w:0' [1, 32, 96] is in no row of gpt2.toml; "
            "did you mean 'model/h0/attn/c_attn/w:0'?"
        ),
        (
            "'model/h0/attn/c_attn/w:0' is missing; its shape would be [1, n_embd, 3*n_embd] = "
            "[1, 32, 96]"
        ),
    )
