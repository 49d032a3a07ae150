"""A model says what the formulas say, by its configuration, and refuses what makes no sense."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from support import bundles, oracle
from support.models import make_model

from gpt2_convert.errors import ComputationError, UnsupportedError, UsageError

if TYPE_CHECKING:
    from typing import Any

    Array = np.ndarray[Any, Any]

IDS = [60, 0, 7, 7, 31, 12, 5, 44, 60, 1]


def test_logits_are_those_of_the_formulas() -> None:
    found = make_model().logits(IDS)
    assert found.shape == (len(IDS), 61)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, oracle.logits(oracle.weights(), IDS), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("fields", "otherwise"),
    [
        ({"activation_function": "relu"}, {"activation": "relu"}),
        ({"activation_function": "gelu"}, {"activation": "gelu"}),
        ({"activation_function": "silu"}, {"activation": "silu"}),
        ({"activation_function": "tanh"}, {"activation": "tanh"}),
        ({"layer_norm_epsilon": 0.1}, {"epsilon": 0.1}),
        ({"scale_attn_weights": False}, {"scaled": False}),
        ({"scale_attn_by_inverse_layer_idx": True}, {"by_layer": True}),
        ({"n_head": 8}, {"n_head": 8}),
        ({"n_head": 1}, {"n_head": 1}),
    ],
)
def test_a_model_that_computes_otherwise_says_something_else(
    fields: dict[str, Any], otherwise: dict[str, Any]
) -> None:
    expected = oracle.logits(oracle.weights(), IDS, **otherwise)
    np.testing.assert_allclose(make_model(**fields).logits(IDS), expected, rtol=0, atol=1e-5)
    assert np.abs(oracle.logits(oracle.weights(), IDS) - expected).max() > 3e-5


def test_a_head_of_its_own_and_another_width_between_the_maps() -> None:
    weights = oracle.weights()
    random = np.random.default_rng(1)
    weights["lm_head.w"] = random.standard_normal((61, 32), np.float32)
    for layer in range(3):
        for name, shape in (("c_fc.w", (32, 40)), ("c_fc.b", (40,)), ("c_proj.w", (40, 32))):
            weights[f"blocks[{layer}].mlp.{name}"] = random.standard_normal(shape, np.float32) / 5
    model = make_model(weights, n_inner=40, tie_word_embeddings=False)
    expected = oracle.logits(weights, IDS)
    np.testing.assert_allclose(model.logits(IDS), expected, rtol=0, atol=2e-5)


def test_weights_that_are_float32_are_not_copied_and_others_are_widened() -> None:
    weights = oracle.weights()
    model = make_model(weights)
    assert model.params.wte is weights["wte"]
    assert model.params.blocks[2].mlp.c_proj.w is weights["blocks[2].mlp.c_proj.w"]
    assert model.params.ln_f.b is weights["ln_f.b"]
    for dtype in (np.float16, np.float64):
        stored = {name: array.astype(dtype) for name, array in weights.items()}
        other = make_model(stored)
        assert other.params.blocks[0].attn.c_attn.w.dtype == np.float32
        np.testing.assert_allclose(other.logits(IDS), oracle.logits(stored, IDS), rtol=0, atol=1e-5)


def test_greedy_generation_is_the_likeliest_id_each_time() -> None:
    expected = oracle.greedy(oracle.weights(), IDS[:3], 10)
    assert list(make_model().generate(IDS[:3], 10)) == expected
    assert len(set(expected)) > 1


def test_the_cache_changes_no_logits() -> None:
    model = make_model()
    text = [*IDS[:4], *model.generate(IDS[:4], 12)]
    assert len(text) == model.config.n_ctx
    likeliest = model.logits(text).argmax(axis=1)
    assert list(likeliest[3:-1]) == text[4:]


def test_drawn_ids_are_those_of_the_seed() -> None:
    model = make_model()

    def draw(seed: int | None, **fields: Any) -> list[int]:  # noqa: ANN401
        return list(model.generate(IDS[:2], 14, temperature=1.5, seed=seed, **fields))

    assert draw(3) == draw(3) != draw(4)
    assert draw(3, top_k=1) == list(model.generate(IDS[:2], 14))
    assert draw(3, top_p=1e-9) == list(model.generate(IDS[:2], 14))


def test_ids_may_come_in_any_list_of_whole_numbers() -> None:
    model = make_model()
    expected = model.logits([1, 2, 3])
    for ids in ((1, 2, 3), range(1, 4), np.array([1, 2, 3], np.uint64), np.array([1, 2, 3], "i1")):
        np.testing.assert_array_equal(model.logits(ids), expected)
        assert next(model.generate(ids, 1)) == expected[-1].argmax()


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ([], "m: no ids; it takes at least one"),
        ([3, 61], "m: id 61 at place 1 is not in the vocabulary, whose ids are 0 to 60"),
        ([-1], "m: id -1 at place 0 is not in the vocabulary, whose ids are 0 to 60"),
        ([0] * 17, "m: 17 ids are past n_ctx 16"),
        ([0.5], "m: the ids have to be whole numbers in one list"),
        ([True], "m: the ids have to be whole numbers in one list"),
        ([[1, 2]], "m: the ids have to be whole numbers in one list"),
        ([[1], [1, 2]], "m: the ids have to be whole numbers in one list"),
        ("text", "m: the ids have to be whole numbers in one list"),
        (7, "m: the ids have to be whole numbers in one list"),
        ([1 << 70], "m: the ids have to be whole numbers in one list"),
    ],
)
def test_ids_that_make_no_sense_are_misuse_at_once(ids: Any, message: str) -> None:  # noqa: ANN401
    model = make_model()
    for call in (model.logits, lambda ids: model.generate(ids, 3)):
        with pytest.raises(UsageError) as caught:
            call(ids)
        assert str(caught.value) == message


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"n": -1}, "n: a number of ids expected, found -1"),
        ({"n": 14}, "m: 3 ids and 14 more are past n_ctx 16; n can be 13 at most"),
        ({"n": 3, "temperature": -1}, "temperature: a number that is not negative expected"),
        ({"n": 3, "temperature": 1, "top_k": 0}, "top_k: a number of tokens expected, found 0"),
        ({"n": 3, "temperature": 1, "top_p": 2}, "top_p: a number in"),
        ({"n": 3, "seed": -5}, "seed: a number that is not negative expected, found -5"),
    ],
)
def test_keywords_that_make_no_sense_are_misuse_at_once(
    fields: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError) as caught:
        make_model().generate([1, 2, 3], **fields)
    assert str(caught.value).startswith(message)


def test_nothing_may_be_asked_for() -> None:
    assert list(make_model().generate([1], 0)) == []
    assert len(list(make_model().generate([1] * 3, 13))) == 13
    assert list(make_model().generate([1] * 16, 0)) == []


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_model_of_weights_that_are_not_finite_says_nothing(value: float) -> None:
    weights = oracle.weights()
    weights["wpe"][4, 3] = value
    model = make_model(weights)
    assert np.isfinite(model.logits(IDS[:4])).all()
    with pytest.raises(ComputationError) as caught:
        model.logits(IDS)
    assert str(caught.value) == (
        "m: its logits are not finite; weights are NaN or infinite, or too large to compute with "
        "in float32"
    )
    ids = model.generate(IDS[:3], 5)
    next(ids)
    next(ids)
    with pytest.raises(ArithmeticError, match="not finite"):
        next(ids)


def test_a_model_that_cannot_be_computed_is_refused_when_it_is_made() -> None:
    with pytest.raises(UnsupportedError, match="m: n_head is unknown"):
        make_model(n_head=None)
    with pytest.raises(UnsupportedError, match="'swiglu'"):
        make_model(activation_function="swiglu")


def test_whoever_iterates_keeps_numpy_s_own_manner_of_complaining() -> None:
    before = np.geterr()
    for _ in make_model().generate([1], 2):
        assert np.geterr() == before


def test_a_model_is_summed_up_in_a_line() -> None:
    assert repr(make_model()) == (
        "<Model 'm': HParams(n_vocab=61, n_ctx=16, n_embd=32, n_head=4, n_layer=3)>"
    )
    assert make_model().config.n_ctx == bundles.TINY["n_ctx"]
    assert make_model().notes == ()
