"""The forward pass: embeddings, blocks, head. The weights come as arrays of float32.

A block is ``x += attention(ln_1(x))``, then ``x += mlp(ln_2(x))``, in place. Source: openai/gpt-2,
src/model.py; for what a configuration can change, huggingface/transformers, modeling_gpt2.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .activations import activate
from .attention import attend, split_heads
from .threads import share

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
_FEW: Final = 32
"""Tokens that are worth a thread: of fewer, the time goes into reading the weights."""
_INPUTS: Final = 384
"""Rows of a weight matrix that are worth a thread."""
_IDS: Final = 4096
"""Rows of a head that are worth a thread."""


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
    mixed = np.empty((len(x), 3 * x.shape[1]), np.float32)

    def mix(rows: slice) -> None:
        _map(normalise(x[rows], norm, behaviour.epsilon), params.c_attn, mixed[rows])

    share(len(x), mix, _FEW)
    heads = split_heads(mixed, 3, behaviour.n_head)
    queries, pair = heads[0, :, first:], heads[1:]
    queries *= behaviour.scales[layer]
    if cache is not None:
        pair = cache.extend(layer, pair)
    taken, x = attend(queries, pair), x[first:]

    def add(rows: slice) -> None:
        x[rows] += _map(taken[rows], params.c_proj)

    share(len(x), add, _FEW)


def add_mlp(x: Array, norm: LayerNormParams, params: MLPParams, behaviour: Behaviour) -> None:
    """Add the MLP of one layer to the tokens ``x``, which need not be of one text."""

    def add(rows: slice) -> None:
        for start in range(rows.start, rows.stop, _ROWS):
            some = x[start : min(start + _ROWS, rows.stop)]
            hidden = _map(normalise(some, norm, behaviour.epsilon), params.c_fc)
            activate(behaviour.activation, hidden)
            some += _map(hidden, params.c_proj)

    share(len(x), add, _FEW)


def read_out(x: Array, head: Array) -> Array:
    """Return the logits of tokens that went through all blocks, [tokens, n_vocab]."""
    logits = np.empty((len(x), len(head)), np.float32)

    def read(ids: slice) -> None:
        np.matmul(x, head[ids].T, out=logits[:, ids])

    share(len(head), read, _IDS)
    return logits


def normalise(x: Array, params: LayerNormParams, epsilon: float) -> Array:
    """Return ``x`` with a mean of 0 and a variance of 1 in each row, times ``g`` plus ``b``."""
    width = x.shape[1]
    means = np.add.reduce(x, axis=1, keepdims=True)
    means /= width
    centred: Array = x - means
    deviations = np.einsum("ij,ij->i", centred, centred)[:, None]
    deviations /= width
    deviations += epsilon
    np.sqrt(deviations, out=deviations)
    centred /= deviations
    centred *= params.g
    centred += params.b
    return centred


def _map(x: Array, params: LinearParams, out: Array | None = None) -> Array:
    multiply = _multiply_few if len(x) < 2 * _FEW else _multiply_many
    mapped = multiply(x, params.w, out)
    mapped += params.b
    return mapped


def _multiply_many(x: Array, w: Array, out: Array | None) -> Array:
    product: Array = np.matmul(x, w, out=out)
    return product


def _multiply_few(x: Array, w: Array, out: Array | None) -> Array:
    """Return ``x @ w``, parted by the rows of ``w``: each part reads memory from end to end."""
    sums: dict[int, Array] = {}

    def multiply(rows: slice) -> None:
        sums[rows.start] = np.matmul(x[:, rows], w[rows])

    share(len(w), multiply, _INPUTS)
    # In the same order each time, or the last bits would be others.
    first, *others = (sums[start] for start in sorted(sums))
    for each in others:
        first += each
    if out is None:
        return first
    out[:] = first
    return out
