"""Chunks that a thread reads ahead: all of them, in order, few at a time, and no thread is left."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from gpt2_convert.errors import FormatError
from gpt2_convert.tensors import side_by_side
from gpt2_convert.tensors.dtype import DType
from gpt2_convert.tensors.read_ahead import DEPTH, read_ahead
from gpt2_convert.tensors.tensor import LazyTensor

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True, params=[True, False], ids=["a thread", "no thread"])
def worth_a_thread(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    worth: bool = request.param
    monkeypatch.setattr(side_by_side, "SHARE", 1 if worth else 1 << 20)
    return worth


def streamed(name: str, chunks: Iterator[bytes]) -> LazyTensor:
    return LazyTensor(name, (1,), DType.UINT8, 1, lambda: chunks, name)


def readers_alive() -> list[str]:
    return [thread.name for thread in threading.enumerate() if "read-ahead" in thread.name]


def endless() -> Iterator[bytes]:
    while True:
        yield b"x" * 100


def test_everything_read_ahead_arrives_in_order() -> None:
    pieces = [[b"a", b"b"], [], [bytes([i]) for i in range(5 * DEPTH)]]
    tensors = [streamed(str(i), iter(chunks)) for i, chunks in enumerate(pieces)]
    assert [(tensor.name, list(chunks)) for tensor, chunks in read_ahead(tensors)] == [
        (str(i), chunks) for i, chunks in enumerate(pieces)
    ]
    assert readers_alive() == []


def test_error_amid_a_tensor_is_raised_where_its_bytes_would_go_on() -> None:
    def broken() -> Iterator[bytes]:
        yield b"good"
        yield b"good too"
        raise FormatError("cut off here")

    tensors = [streamed("a", iter([b"1"])), streamed("b", broken()), streamed("c", iter([b"2"]))]
    received: list[bytes] = []

    def use() -> None:
        for _, chunks in read_ahead(tensors):
            received.extend(chunks)

    with pytest.raises(FormatError, match="cut off here"):
        use()
    assert received == [b"1", b"good", b"good too"]
    assert readers_alive() == []


def test_reading_thread_ends_when_its_user_stops_early(worth_a_thread: bool) -> None:
    reading = read_ahead([streamed("a", endless())])
    _, chunks = next(reading)
    assert next(chunks) == b"x" * 100
    assert len(readers_alive()) == worth_a_thread
    reading.close()  # type: ignore[attr-defined]
    assert readers_alive() == []


def test_reading_thread_ends_when_its_user_fails() -> None:
    def use() -> None:
        for _, chunks in read_ahead([streamed("a", endless()), streamed("b", endless())]):
            for _ in chunks:
                raise LookupError("of the user's own")

    with pytest.raises(LookupError, match="of the user's own"):
        use()
    assert readers_alive() == []


def test_no_more_is_read_ahead_than_memory_allows() -> None:
    taken = 0

    def counted() -> Iterator[bytes]:
        nonlocal taken
        for _ in range(1000):
            taken += 1
            yield b"x"

    reading = read_ahead([streamed("a", counted())])
    _, chunks = next(reading)
    for used in range(1, 20):
        next(chunks)
        assert taken <= used + DEPTH + 1
    reading.close()  # type: ignore[attr-defined]


def test_what_is_not_used_of_a_tensor_is_passed_over() -> None:
    names = "abc"
    tensors = [streamed(name, iter([name.encode() * 10] * 3 * DEPTH)) for name in names]
    first = [(tensor.name, next(chunks)) for tensor, chunks in read_ahead(tensors)]
    assert first == [(name, name.encode() * 10) for name in names]
    assert readers_alive() == []


def test_an_error_in_what_is_not_used_is_raised_all_the_same() -> None:
    def broken() -> Iterator[bytes]:
        yield b"good"
        raise FormatError("cut off here")

    with pytest.raises(FormatError, match="cut off here"):
        for _ in read_ahead([streamed("a", broken()), streamed("b", iter([]))]):
            pass
    assert readers_alive() == []


def test_no_tensors_need_no_chunks() -> None:
    assert list(read_ahead([])) == []
    assert readers_alive() == []
