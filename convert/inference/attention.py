"""Causal self-attention of all heads at once, and the cache that spares running tokens again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .threads import share

if TYPE_CHECKING:
    from typing import Final, TypeAlias

    import numpy.typing as npt

    Array: TypeAlias = npt.NDArray[np.float32]

_QUERIES: Final = 128
"""Tokens whose scores are held at a time: few enough for the cache, and for memory."""
_MANY: Final = 256
"""Scores of a head that are worth the trouble of parting the heads."""


class Cache:
    """The keys and values of the tokens that were run so far, ``length`` of them.

    ``pairs`` are [n_layer, 2, n_head, capacity, n_embd / n_head], keys before values; what is
    beyond ``length`` means nothing, and takes no memory until it is written.
    """

    __slots__ = ("length", "pairs")

    def __init__(self, n_layer: int, n_head: int, n_embd: int, capacity: int) -> None:
        self.pairs = np.empty((n_layer, 2, n_head, capacity, n_embd // n_head), np.float32)
        self.length = 0

    def extend(self, layer: int, pair: Array) -> Array:
        """Add the keys and values of new tokens in one layer; return those of all tokens.

        Both are [2, n_head, tokens, n_embd / n_head]. ``length`` stays: it grows when the tokens
        have gone through all layers.
        """
        end = self.length + pair.shape[2]
        self.pairs[layer, :, :, self.length : end] = pair
        return self.pairs[layer, :, :, :end]


def split_heads(x: Array, parts: int, n_head: int) -> Array:
    """Return [tokens, parts * n_embd] as [parts, n_head, tokens, n_embd / n_head], uncopied."""
    return x.reshape(len(x), parts, n_head, -1).transpose(1, 2, 0, 3)


def attend(queries: Array, pair: Array) -> Array:
    """Return what the heads take from the values, [tokens, n_embd].

    ``queries`` are [n_head, tokens, width], and already scaled. ``pair`` are keys and values,
    [2, n_head, tokens, width]; those of more tokens are of such that have been run before. No token
    sees one that comes later.
    """
    n_head, count, width = queries.shape
    together = np.empty((count, n_head * width), np.float32)
    (out,) = split_heads(together, 1, n_head)

    def attend_some(heads: slice) -> None:
        _attend(queries[heads], pair[0, heads], pair[1, heads], out[heads])

    share(n_head, attend_some, 1 if count * pair.shape[2] >= _MANY else n_head)
    return together


def _attend(queries: Array, keys: Array, values: Array, out: Array) -> None:
    count = queries.shape[1]
    before = keys.shape[1] - count
    for start in range(0, count, _QUERIES):
        end = min(start + _QUERIES, count)
        seen = before + end
        scores = queries[:, start:end] @ keys[:, :seen].transpose(0, 2, 1)
        if end - start > 1:
            scores[:, :, before + start :] += _mask(end - start)
        scores -= scores.max(axis=-1, keepdims=True)
        np.exp(scores, out=scores)
        sums = np.add.reduce(scores, axis=-1, keepdims=True)
        found = out[:, start:end]
        np.matmul(scores, values[:, :seen], out=found)
        found /= sums


def _mask(count: int) -> Array:
    """Return minus infinity above the diagonal, and zeros elsewhere."""
    return np.triu(np.full((count, count), -np.inf, np.float32), 1)
