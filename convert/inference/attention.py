"""Causal self-attention of all heads at once, and the cache that spares running tokens again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from typing import Final, TypeAlias

    import numpy.typing as npt

    Array: TypeAlias = npt.NDArray[np.float32]

_QUERIES: Final = 128
"""Tokens whose scores are held at a time: few enough for the cache, and for memory."""


class Cache:
    """The keys and values of the tokens that were run so far, ``length`` of them.

    ``keys`` and ``values`` are [n_layer, n_head, capacity, n_embd / n_head]; what is beyond
    ``length`` means nothing, and takes no memory until it is written.
    """

    __slots__ = ("keys", "length", "values")

    def __init__(self, n_layer: int, n_head: int, n_embd: int, capacity: int) -> None:
        shape = n_layer, n_head, capacity, n_embd // n_head
        self.keys = np.empty(shape, np.float32)
        self.values = np.empty(shape, np.float32)
        self.length = 0

    def extend(self, layer: int, keys: Array, values: Array) -> tuple[Array, Array]:
        """Add those of new tokens in one layer; return those of all tokens.

        ``length`` stays: it grows when the tokens have gone through all layers.
        """
        end = self.length + keys.shape[1]
        self.keys[layer, :, self.length : end] = keys
        self.values[layer, :, self.length : end] = values
        return self.keys[layer, :, :end], self.values[layer, :, :end]


def split_heads(x: Array, n_head: int) -> Array:
    """Return [tokens, n_embd] as [n_head, tokens, n_embd / n_head], without a copy."""
    return x.reshape(len(x), n_head, -1).transpose(1, 0, 2)


def attend(queries: Array, keys: Array, values: Array) -> Array:
    """Return what the heads take from the values, [tokens, n_embd].

    ``queries`` are [n_head, tokens, width], and already scaled. ``keys`` and ``values`` may have
    more tokens: those in front have been run before. No token sees one that comes later.
    """
    n_head, count, width = queries.shape
    before = keys.shape[1] - count
    together = np.empty((count, n_head * width), np.float32)
    heads = split_heads(together, n_head)
    for start in range(0, count, _QUERIES):
        end = min(start + _QUERIES, count)
        seen = before + end
        scores = queries[:, start:end] @ keys[:, :seen].transpose(0, 2, 1)
        if end - start > 1:
            scores[:, :, before + start :] += _mask(end - start)
        scores -= scores.max(axis=-1, keepdims=True)
        np.exp(scores, out=scores)
        sums = np.add.reduce(scores, axis=-1, keepdims=True)
        found = heads[:, start:end]
        np.matmul(scores, values[:, :seen], out=found)
        found /= sums
    return together


def _mask(count: int) -> Array:
    """Return minus infinity above the diagonal, and zeros elsewhere."""
    return np.triu(np.full((count, count), -np.inf, np.float32), 1)
