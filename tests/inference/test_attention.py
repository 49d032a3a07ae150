"""Attention looks back and never ahead, and with the cache it is the same as without."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest

from gpt2_convert.inference.attention import Cache, attend, split_heads

if TYPE_CHECKING:
    from typing import Any

    Array = np.ndarray[Any, Any]

N_HEAD, WIDTH = 3, 4


def random(*shape: int) -> Array:
    return np.random.default_rng(sum(shape)).standard_normal(shape, np.float32)


def attend_plainly(queries: Array, keys: Array, values: Array) -> Array:
    """In float64, number by number."""
    n_head, count, width = queries.shape
    before = keys.shape[1] - count
    out = np.zeros((count, n_head * width))
    for head in range(n_head):
        for row in range(count):
            q = queries[head, row].astype(np.float64)
            seen = range(before + row + 1)
            odds = [math.exp(q @ keys[head, at].astype(np.float64)) for at in seen]
            taken = sum(o * values[head, at] for o, at in zip(odds, seen, strict=True))
            out[row, head * width : (head + 1) * width] = taken / sum(odds)
    return out


@pytest.mark.parametrize(("count", "before"), [(1, 0), (2, 0), (9, 0), (1, 7), (5, 7), (300, 30)])
def test_each_token_takes_from_those_before_it_and_itself(count: int, before: int) -> None:
    queries = random(N_HEAD, count, WIDTH)
    keys, values = random(N_HEAD, before + count, WIDTH), random(N_HEAD, before + count, WIDTH) + 1
    found = attend(queries, np.stack([keys, values]))
    assert found.shape == (count, N_HEAD * WIDTH)
    assert found.dtype == np.float32
    expected = attend_plainly(queries, keys, values)
    np.testing.assert_allclose(found, expected, rtol=0, atol=5e-6)


def test_what_comes_later_changes_nothing() -> None:
    queries, keys, values = (random(N_HEAD, 200, WIDTH) for _ in range(3))
    before = attend(queries, np.stack([keys, values]))
    keys[:, 150:], values[:, 150:] = 1e9, 1e30
    np.testing.assert_array_equal(attend(queries, np.stack([keys, values]))[:150], before[:150])


def test_scores_beyond_the_range_of_exp_are_no_obstacle() -> None:
    queries, keys, values = (random(N_HEAD, 6, WIDTH) for _ in range(3))
    found = attend(queries * np.float32(1e6), np.stack([keys, values]))
    assert np.isfinite(found).all()


def test_heads_are_split_without_a_copy() -> None:
    x = random(5, 3 * N_HEAD * WIDTH)
    heads = split_heads(x, 3, N_HEAD)
    assert heads.shape == (3, N_HEAD, 5, WIDTH)
    assert np.shares_memory(heads, x)
    # Part by part, and head by head within.
    np.testing.assert_array_equal(heads[2, 1, 4], x[4, (2 * N_HEAD + 1) * WIDTH :][:WIDTH])


def test_the_cache_returns_what_it_was_given_layer_by_layer() -> None:
    cache = Cache(2, N_HEAD, N_HEAD * WIDTH, capacity=5)
    parts = [random(2, N_HEAD, count, WIDTH) for count in (2, 1)]
    for part in parts:
        for layer in range(2):
            pairs = cache.extend(layer, part + np.float32(layer))
        cache.length += part.shape[2]
    expected = np.concatenate(parts, axis=2)
    np.testing.assert_array_equal(pairs, expected + np.float32(1))
    np.testing.assert_array_equal(cache.pairs[0, :, :, :3], expected)
    assert cache.length == 3
