"""What a configuration says becomes what is computed with."""

from __future__ import annotations

import pytest
from support import raws

from gpt2_convert.errors import UnsupportedError
from gpt2_convert.inference.activations import ACTIVATIONS
from gpt2_convert.inference.behaviour import read_behaviour


@pytest.mark.parametrize(
    ("scaled", "by_layer", "scales"),
    [
        (True, False, (0.5, 0.5, 0.5)),
        (False, False, (1, 1, 1)),
        (True, True, (0.5, 0.25, 0.5 / 3)),
        (False, True, (1, 0.5, 1 / 3)),
    ],
)
def test_scores_are_scaled_by_width_and_layer_as_it_is_stated(
    scaled: bool, by_layer: bool, scales: tuple[float, ...]
) -> None:
    config = raws.config(
        n_head=8,  # of width 4
        scale_attn_weights=scaled,
        scale_attn_by_inverse_layer_idx=by_layer,
    )
    assert read_behaviour(config, "m").scales == pytest.approx(scales, rel=1e-15)


def test_heads_epsilon_and_activation_are_those_of_the_configuration() -> None:
    config = raws.config(n_head=2, layer_norm_epsilon=1e-3, activation_function="relu")
    behaviour = read_behaviour(config, "m")
    assert (behaviour.n_head, behaviour.epsilon) == (2, 1e-3)
    assert behaviour.activation is ACTIVATIONS["relu"]


def test_without_a_number_of_heads_nothing_can_be_computed() -> None:
    with pytest.raises(UnsupportedError) as caught:
        read_behaviour(raws.config(n_head=None), "a.npz")
    assert str(caught.value) == (
        "a.npz: n_head is unknown, and attention depends on it; say it with n_head=..."
    )
    assert caught.value.advice is not None


def test_an_unknown_activation_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="m: no such activation_function: 'prelu'"):
        read_behaviour(raws.config(activation_function="prelu"), "m")
