"""Runs of a tensor's bytes: sought where that can be, and else the end of what was read."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpt2_convert.tensors.runs import Seekable, read_run, split, trim

if TYPE_CHECKING:
    from collections.abc import Iterator

DATA = bytes(range(100))


@settings(derandomize=True, deadline=None)
@given(
    cuts=st.lists(st.integers(0, 100), max_size=8),
    skip=st.integers(0, 110),
    size=st.integers(1, 110),
)
def test_a_stream_is_cut_wherever_its_pieces_end(cuts: list[int], skip: int, size: int) -> None:
    edges = [0, *sorted(cuts), 100]
    pieces = [DATA[a:b] for a, b in pairwise(edges)]
    assert b"".join(trim(pieces, skip, size)) == DATA[skip : skip + size]


def test_nothing_is_read_behind_a_run() -> None:
    def pieces() -> Iterator[bytes]:
        yield DATA[:50]
        raise AssertionError("read")

    assert b"".join(trim(pieces(), 10, 40)) == DATA[10:50]
    assert b"".join(read_run(pieces, 10, 40)) == DATA[10:50]


def test_what_can_be_sought_is() -> None:
    asked: list[tuple[int, int]] = []

    def read_at(offset: int, size: int) -> Iterator[bytes]:
        asked.append((offset, size))
        yield DATA[offset : offset + size]

    read = Seekable(lambda: iter([DATA]), read_at)
    assert b"".join(read_run(read, 30, 20)) == DATA[30:50]
    assert asked == [(30, 20)]
    assert b"".join(read()) == DATA
    assert len(asked) == 1


@pytest.mark.parametrize("shape", [(7,), (3, 4), (2, 1, 5), (3, 2, 4)])
def test_boxes_are_the_elements_in_their_order(shape: tuple[int, ...]) -> None:
    array = np.arange(np.prod(shape)).reshape(shape)
    for start in range(array.size):
        for stop in range(start, array.size + 1):
            found = [
                array[tuple(slice(a, a + n) for a, n in zip(at, lengths, strict=True))].reshape(-1)
                for at, lengths in split(shape, start, stop)
            ]
            assert np.concatenate([np.empty(0, int), *found]).tolist() == list(range(start, stop))
