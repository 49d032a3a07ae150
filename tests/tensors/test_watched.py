"""Tensors that are watched are the same tensors, and every byte that was used is counted."""

from __future__ import annotations

import numpy as np
from support import raws

from gpt2_convert.io.source import CHUNK
from gpt2_convert.tensors.watched import watch_tensors

LARGE = np.arange(CHUNK // 2, dtype=np.float32)
"""Of two chunks."""


def test_what_is_read_is_told_chunk_by_chunk() -> None:
    told: list[int] = []
    tensors = {"a": raws.lazy("a", LARGE), "b": raws.lazy("b", LARGE[:3])}
    watched = watch_tensors(tensors, told.append)
    assert watched == tensors
    assert told == []
    np.testing.assert_array_equal(watched["a"].array(), LARGE)
    assert told == [CHUNK, CHUNK]
    np.testing.assert_array_equal(watched["b"].array(), LARGE[:3])
    np.testing.assert_array_equal(watched["b"].array(), LARGE[:3])
    assert told == [CHUNK, CHUNK, 12, 12]


def test_a_chunk_that_nobody_used_up_is_not_told() -> None:
    told: list[int] = []
    chunks = watch_tensors({"a": raws.lazy("a", LARGE)}, told.append)["a"].chunks()
    next(chunks)
    assert told == []
    next(chunks)
    assert told == [CHUNK]
