"""Tensors that are watched are the same tensors, and every byte that was used is counted."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from support import raws

from gpt2_convert.io.source import CHUNK, SourceFile
from gpt2_convert.tensors.runs import Seekable
from gpt2_convert.tensors.watched import watch_tensors

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy.typing as npt

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


def test_what_is_read_in_other_ways_is_told_too(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(LARGE.tobytes())
    file = SourceFile(tmp_path / "x")

    def fill(array: npt.NDArray[np.uint8]) -> Iterator[npt.NDArray[np.uint8]]:
        return file.fill(array, 0, "x")

    def read_at(offset: int, size: int) -> Iterator[bytes]:
        return file.chunks(offset, size, "x")

    ways = (fill, None)
    for way in ways:
        told: list[int] = []
        read = Seekable(partial(read_at, 0, LARGE.nbytes), read_at, fill=way)
        tensor = replace(raws.lazy("a", LARGE), read=read)
        watched = watch_tensors({"a": tensor}, told.append)["a"]
        np.testing.assert_array_equal(watched[5:7], LARGE[5:7])
        assert told == [8]
        told.clear()
        np.testing.assert_array_equal(watched.array(), LARGE)
        assert told[-2:] == [CHUNK, CHUNK]
