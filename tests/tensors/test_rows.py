"""Rows by NumPy's rules, and no more bytes read for them than the storage makes necessary."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpt2_convert.tensors.rows import find_rows, read_rows
from gpt2_convert.tensors.runs import Seekable

if TYPE_CHECKING:
    from collections.abc import Iterator

SLICES = st.builds(
    slice,
    st.none() | st.integers(-20, 20),
    st.none() | st.integers(-20, 20),
    st.none() | st.integers(-7, 7).filter(bool),
)


class Storage:
    """Bytes in memory, and the runs of them that were asked for."""

    def __init__(self, data: bytes, piece: int = 16) -> None:
        self.data = data
        self.piece = piece
        self.asked: list[tuple[int, int]] = []

    def whole(self) -> Iterator[bytes]:
        for start in range(0, len(self.data), self.piece):
            self.asked.append((start, self.piece))
            yield self.data[start : start + self.piece]

    def at(self, offset: int, size: int) -> Iterator[bytes]:
        self.asked.append((offset, size))
        yield self.data[offset : offset + size]


@settings(derandomize=True, deadline=None)
@given(key=SLICES, width=st.integers(1, 40), kind=st.sampled_from(["direct", "seekable", "stream"]))
def test_rows_are_those_of_numpy_whatever_the_storage(key: slice, width: int, kind: str) -> None:
    array = np.arange(13 * width, dtype=np.uint8).reshape(13, width)
    storage = Storage(array.tobytes())
    read = Seekable(storage.whole, storage.at, kind == "direct")
    rows = find_rows(key, array.shape, "'x'")
    found = read_rows(storage.whole if kind == "stream" else read, rows, width)
    assert found.tobytes() == array[key].tobytes()
    if kind == "direct":
        assert sum(size for _, size in storage.asked) == array[key].nbytes
    elif kind == "seekable":
        assert len(storage.asked) <= 1


def test_a_stream_is_read_to_the_last_row_and_no_further() -> None:
    storage = Storage(bytes(range(160)))
    assert read_rows(storage.whole, range(2, 4), 10).tolist() == list(range(20, 40))
    assert storage.asked == [(0, 16), (16, 16), (32, 16)]


def test_many_short_rows_are_read_at_once() -> None:
    array = np.arange(100_000, dtype=np.int32)
    storage = Storage(array.tobytes())
    found = read_rows(Seekable(storage.whole, storage.at), range(1, 100_000, 3), 4)
    assert found.tobytes() == array[1::3].tobytes()
    assert storage.asked == [(4, 99_997 * 4)]


@pytest.mark.parametrize("rows", [range(0), range(5, 5), range(9, 2, 1)])
def test_no_rows_are_read_of_none(rows: range) -> None:
    storage = Storage(b"")
    assert read_rows(storage.whole, rows, 8).size == read_rows(storage.whole, range(3), 0).size == 0
    assert storage.asked == []
