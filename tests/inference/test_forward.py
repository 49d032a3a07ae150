"""The parts of the forward pass, each against its formula; test_model.py has them together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from support import raws
from support.models import make_model

from gpt2_convert.checkpoint.params import LayerNormParams, LinearParams, MLPParams
from gpt2_convert.inference.attention import Cache
from gpt2_convert.inference.behaviour import read_behaviour
from gpt2_convert.inference.forward import add_mlp, embed, normalise, run_blocks

if TYPE_CHECKING:
    from typing import Any

    Array = np.ndarray[Any, Any]


def random(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def test_an_embedding_is_of_an_id_and_of_its_position() -> None:
    wte, wpe = random(7, 4), random(9, 4, seed=1)
    found = embed(wte, wpe, np.array([6, 0, 6]), start=5)
    np.testing.assert_array_equal(found, [wte[6] + wpe[5], wte[0] + wpe[6], wte[6] + wpe[7]])
    found[:] = 0
    assert wte[6].any(), "the weights are not what is computed in"


def test_a_layer_norm_makes_mean_and_variance_those_of_its_parameters() -> None:
    x, g, b = random(5, 64) * 3 + 7, random(64, seed=1), random(64, seed=2)
    kept = x.copy()
    wide = x.astype(np.float64)
    expected = (wide - wide.mean(1, keepdims=True)) / np.sqrt(wide.var(1, keepdims=True) + 0.25)
    found = normalise(x, LayerNormParams(g, b), 0.25)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected * g + b, rtol=0, atol=2e-6)
    np.testing.assert_array_equal(x, kept)


def test_a_row_of_one_number_becomes_the_bias() -> None:
    g, b = random(16), random(16, seed=1)
    np.testing.assert_array_equal(
        normalise(np.full((1, 16), 3, np.float32), LayerNormParams(g, b), 1e-5), b[None]
    )


def test_an_mlp_of_any_number_of_rows_is_added_to_each() -> None:
    behaviour = read_behaviour(raws.config(activation_function="relu", n_embd=8), "m")
    norm = LayerNormParams(np.ones(8, np.float32), np.zeros(8, np.float32))
    params = MLPParams(
        LinearParams(random(8, 20), random(20)), LinearParams(random(20, 8), random(8))
    )
    x = random(600, 8)
    wide = x.astype(np.float64)
    inner = (wide - wide.mean(1, keepdims=True)) / np.sqrt(wide.var(1, keepdims=True) + 1e-5)
    hidden = np.maximum(inner @ params.c_fc.w + params.c_fc.b, 0)
    expected = wide + hidden @ params.c_proj.w + params.c_proj.b
    add_mlp(x, norm, params, behaviour)
    np.testing.assert_allclose(x, expected, rtol=0, atol=2e-5)


def test_the_last_token_may_be_all_that_is_wanted() -> None:
    model = make_model()
    behaviour = read_behaviour(model.config, "m")
    ids = np.arange(9)

    def run(**fields: Any) -> Array:  # noqa: ANN401
        x = embed(model.params.wte, model.params.wpe, ids)
        return run_blocks(x, model.params, behaviour, **fields)

    whole = run()
    assert whole.shape == (9, 32)
    caches = [Cache(3, 4, 32, 12) for _ in range(2)]
    assert run(cache=caches[0]).shape == (9, 32)
    last = run(cache=caches[1], last_only=True)
    np.testing.assert_allclose(last, whole[-1:], rtol=0, atol=2e-6)
    # What comes after it takes from all tokens in either case.
    assert caches[0].length == caches[1].length == 9
    written = [each.pairs[:, :, :, :9] for each in caches]
    np.testing.assert_allclose(written[1], written[0], rtol=0, atol=2e-6)
