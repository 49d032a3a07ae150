"""The forward pass: embeddings, blocks, head. The weights come as arrays of float32.

A block is ``x += attention(ln_1(x))``, then ``x += mlp(ln_2(x))``, in place. Source: openai/gpt-2,
src/model.py; for what a configuration can change, huggingface/transformers, modeling_gpt2.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .activations import activate
from .attention import attend, split_heads

if TYPE_CHECKING:
    from typing import Any, Final, TypeAlias

    import numpy.typing as npt

    from ..checkpoint.params import (
        AttentionParams,
        LayerNormParams,
        LinearParams,
        MLPParams,
        ModelParams,
    )
    from .attention import Cache
    from .behaviour import Behaviour

    Array: TypeAlias = npt.NDArray[Any]

_ROWS: Final = 256
"""Tokens that go through an MLP at a time: between its two maps they are four times as wide."""


def embed(wte: Array, wpe: Array, ids: npt.NDArray[np.integer[Any]], start: int = 0) -> Array:
    """Return the embeddings of ids, the first of which is at position ``start``."""
    x: Array = wte[ids]
    x += wpe[start : start + len(ids)]
    return x


def run_blocks(
    x: Array,
    params: ModelParams,
    behaviour: Behaviour,
    cache: Cache | None = None,
    *,
    last_only: bool = False,
) -> Array:
    """Run the tokens of one text, [tokens, n_embd], through all blocks, in place.

    Returns what the head gets of each token, or of the last one alone: the others need not go all
    the way through the last block then. The tokens are added to the cache.
    """
    count = len(x)
    for layer, block in enumerate(params.blocks):
        first = count - 1 if last_only and layer == len(params.blocks) - 1 else 0
        add_attention(x, block.ln_1, block.attn, behaviour, layer, cache, first)
        x = x[first:]
        add_mlp(x, block.ln_2, block.mlp, behaviour)
    if cache is not None:
        cache.length += count
    return normalise(x, params.ln_f, behaviour.epsilon)


def add_attention(
    x: Array,
    norm: LayerNormParams,
    params: AttentionParams,
    behaviour: Behaviour,
    layer: int,
    cache: Cache | None = None,
    first: int = 0,
) -> None:
    """Add the attention of one layer to the tokens ``x`` of one text, from the ``first`` on."""
    width = x.shape[1]
    mixed = _map(normalise(x, norm, behaviour.epsilon), params.c_attn)
    mixed[first:, :width] *= behaviour.scales[layer]
    queries, keys, values = (
        split_heads(mixed[:, at : at + width], behaviour.n_head)
        for at in range(0, 3 * width, width)
    )
    if cache is not None:
        keys, values = cache.extend(layer, keys, values)
    x[first:] += _map(attend(queries[:, first:], keys, values), params.c_proj)


def add_mlp(x: Array, norm: LayerNormParams, params: MLPParams, behaviour: Behaviour) -> None:
    """Add the MLP of one layer to the tokens ``x``, which need not be of one text."""
    for start in range(0, len(x), _ROWS):
        rows = x[start : start + _ROWS]
        hidden = _map(normalise(rows, norm, behaviour.epsilon), params.c_fc)
        activate(behaviour.activation, hidden)
        rows += _map(hidden, params.c_proj)


def normalise(x: Array, params: LayerNormParams, epsilon: float) -> Array:
    """Return ``x`` with a mean of 0 and a variance of 1 in each row, times ``g`` plus ``b``."""
    width = x.shape[1]
    centred: Array = x - np.add.reduce(x, axis=1, keepdims=True) / width
    variance = np.einsum("ij,ij->i", centred, centred) / width
    centred *= (1 / np.sqrt(variance + epsilon))[:, None]
    centred *= params.g
    centred += params.b
    return centred


def _map(x: Array, params: LinearParams) -> Array:
    mapped: Array = x @ params.w
    mapped += params.b
    return mapped
