"""A model that is run from its files says what the same model says in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from support import oracle, raws
from support.models import make_model

from gpt2_convert.inference import streamed
from gpt2_convert.inference.behaviour import read_behaviour
from gpt2_convert.inference.streamed import read_rows, run_streamed
from gpt2_convert.io.source import CHUNK

if TYPE_CHECKING:
    from typing import Any

    Array = np.ndarray[Any, Any]

IDS = np.random.default_rng(0).integers(0, 61, 41)


def run(ids: Array, window: int, **fields: Any) -> Array:  # noqa: ANN401
    """The logits of a model that is run from its tensors."""
    weights = oracle.weights()
    tensors = {name: raws.lazy(name, array) for name, array in weights.items()}
    behaviour = read_behaviour(raws.config(**fields), "m")
    logits: Array = run_streamed(tensors, behaviour, ids, window) @ weights["wte"].T
    return logits


@pytest.mark.parametrize("window", [1, 5, 16])
def test_every_window_is_a_text_of_its_own(window: int) -> None:
    model = make_model()
    parts = [model.logits(IDS[at : at + window]) for at in range(0, len(IDS), window)]
    np.testing.assert_allclose(run(IDS, window), np.concatenate(parts), rtol=0, atol=2e-6)


def test_it_computes_by_the_configuration() -> None:
    fields: dict[str, Any] = {
        "activation_function": "silu",
        "scale_attn_by_inverse_layer_idx": True,
        "n_head": 2,
    }
    found = run(IDS[:9], 16, **fields)
    np.testing.assert_allclose(found, make_model(**fields).logits(IDS[:9]), rtol=0, atol=2e-6)


@pytest.mark.parametrize("rows", [1, 61, 100])
def test_rows_of_the_embeddings_are_found_wherever_they_stand(
    rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = run(IDS, 8)
    monkeypatch.setattr(streamed, "ROWS", rows)
    np.testing.assert_array_equal(run(IDS, 8), expected)


@pytest.mark.parametrize("rows", [1, 700, 1000, 5000])
def test_rows_come_whole_and_in_order(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streamed, "ROWS", rows)
    array = np.random.default_rng(0).standard_normal((1000, 321), np.float32)
    assert array.nbytes > CHUNK > 321 * 4
    assert CHUNK % (321 * 4), "some row stands in two chunks"
    found = [part.copy() for part in read_rows(raws.lazy("wte", array))]
    assert {len(part) for part in found[:-1]} <= {rows}
    np.testing.assert_array_equal(np.concatenate(found), array)
