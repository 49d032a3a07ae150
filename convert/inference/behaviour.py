"""What decides what a GPT-2 says beside its weights, made ready to compute with."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import Advice, UnsupportedError
from .activations import find_activation

if TYPE_CHECKING:
    from ..checkpoint.config import Config
    from .activations import Activation


@dataclass(frozen=True, slots=True)
class Behaviour:
    """The behaviour of a model.

    ``epsilon`` is that of the layer norms. ``scales`` are the factors of the attention scores, one
    a layer.
    """

    n_head: int
    epsilon: float
    activation: Activation
    scales: tuple[float, ...]


def read_behaviour(config: Config, where: str) -> Behaviour:
    """Return the behaviour that a configuration states; ``where`` is the model, for errors.

    Raises:
        UnsupportedError: n_head is unknown, or the activation.
    """
    if config.n_head is None:
        raise UnsupportedError(
            f"{where}: n_head is unknown, and attention depends on it",
            Advice("say it with {}", "n_head"),
        )
    scale = 1.0
    if config.scale_attn_weights:
        scale /= math.sqrt(config.n_embd // config.n_head)
    return Behaviour(
        n_head=config.n_head,
        epsilon=config.layer_norm_epsilon,
        activation=find_activation(config.activation_function, where),
        scales=tuple(
            scale / (layer + 1) if config.scale_attn_by_inverse_layer_idx else scale
            for layer in range(config.n_layer)
        ),
    )
