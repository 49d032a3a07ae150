"""Small models in memory, made of weights under canonical names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from support import oracle, raws

from gpt2_convert.checkpoint.params import build_params
from gpt2_convert.inference.model import Model

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    import numpy as np

    Array = np.ndarray[Any, Any]


def nest(weights: Mapping[str, Array]) -> dict[str, Any]:
    """Canonical names as nested dicts and lists."""
    layers = sum(name.endswith(".ln_1.g") for name in weights)
    root: dict[str, Any] = {"blocks": [{} for _ in range(layers)]}
    for name, array in weights.items():
        *parents, leaf = name.split(".")
        place = root
        for key in parents:
            if key.startswith("blocks["):
                place = root["blocks"][int(key[7:-1])]
            else:
                place = place.setdefault(key, {})
        place[leaf] = array
    return root


def make_model(weights: Mapping[str, Array] | None = None, **fields: Any) -> Model:  # noqa: ANN401
    """The small model, of the oracle's weights if of no others; ``fields`` are of its config."""
    config = raws.config(**fields)
    return Model(build_params(nest(weights or oracle.weights()), config.hparams), config, where="m")
