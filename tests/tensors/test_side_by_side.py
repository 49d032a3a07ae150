"""Work on tensors by several threads: its results in order, its first error, and no thread left."""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pytest
from support import raws
from support.threads import promptly, threads_of

from gpt2_convert.errors import ChecksumError, FormatError
from gpt2_convert.io.source import CHUNK
from gpt2_convert.tensors import side_by_side
from gpt2_convert.tensors.dtype import DType
from gpt2_convert.tensors.side_by_side import count_workers, read_arrays, work_on_tensors
from gpt2_convert.tensors.tensor import LazyTensor

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    Array = np.ndarray[Any, Any]

ARRAYS = [np.full(size, size, np.float32) for size in (700_000, 0, 3, 1_000_000, 1, 262_144)]


@pytest.fixture(autouse=True, params=[1, 2, 5])
def processors(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    count: int = request.param
    monkeypatch.setattr(side_by_side, "count_processors", lambda: count)
    monkeypatch.setattr(side_by_side, "SHARE", 1)
    monkeypatch.setattr(side_by_side, "_STEP", CHUNK)
    before = set(threading.enumerate())
    yield count
    assert threads_of(before) == []


def tensors_of(arrays: list[Array]) -> list[LazyTensor]:
    return [raws.lazy(f"t{number}", array) for number, array in enumerate(arrays)]


def failing(error: BaseException, name: str = "x") -> LazyTensor:
    def read() -> Iterator[bytes]:
        yield bytes(4)
        raise error

    return LazyTensor(name, (2,), DType.FLOAT32, 8, read, name)


def test_arrays_are_those_of_the_tensors_in_their_order() -> None:
    found = read_arrays(tensors_of(ARRAYS))
    assert len(found) == len(ARRAYS)
    for array, expected in zip(found, ARRAYS, strict=True):
        np.testing.assert_array_equal(array, expected, strict=True)
    assert read_arrays([]) == []


def test_each_call_gives_arrays_of_their_own() -> None:
    tensors = tensors_of(ARRAYS)
    for array in read_arrays(tensors):
        array[:] = 0
    np.testing.assert_array_equal(read_arrays(tensors)[3], ARRAYS[3])


def test_as_many_tensors_are_worked_on_at_a_time_as_there_are_processors(processors: int) -> None:
    together = threading.Barrier(processors)
    names = work_on_tensors(
        tensors_of([np.ones(3)] * 5 * processors),
        lambda _: (together.wait(30), threading.get_ident())[1],
    )
    assert len(set(names)) == processors
    assert (threading.get_ident() in names) == (processors == 1)


def test_workers_are_counted_by_processors_tensors_and_bytes(
    processors: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert count_workers([]) == 1
    assert count_workers(tensors_of(ARRAYS)) == processors
    assert count_workers(tensors_of(ARRAYS[:2])) == min(2, processors)
    monkeypatch.setattr(side_by_side, "SHARE", 4 * 1_000_000)
    assert count_workers(tensors_of(ARRAYS)) == 1
    monkeypatch.setattr(side_by_side, "count_processors", lambda: 1000)
    monkeypatch.setattr(side_by_side, "SHARE", 1)
    assert count_workers(tensors_of([ARRAYS[2]] * 1000)) == side_by_side.MOST_WORKERS


def test_little_is_read_without_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(side_by_side, "SHARE", 1 << 20)
    names = work_on_tensors(tensors_of(ARRAYS[1:3]), lambda _: threading.current_thread().name)
    assert set(names) == {threading.current_thread().name}


@pytest.mark.parametrize("passes", [1, 2])
@pytest.mark.parametrize("reads", [0, 1, 2, 3])
def test_progress_adds_up_to_the_bytes_of_the_tensors_however_often_they_are_read(
    reads: int, passes: int
) -> None:
    caller = threading.get_ident()
    told: list[int] = []

    def advance(nbytes: int) -> None:
        assert threading.get_ident() == caller
        told.append(nbytes)

    def work(tensor: LazyTensor) -> int:
        return sum(len(chunk) for _ in range(reads) for chunk in tensor.chunks())

    tensors = tensors_of(ARRAYS)
    found = work_on_tensors(tensors, work, advance, passes)
    assert found == [reads * tensor.nbytes for tensor in tensors]
    assert sum(told) == sum(tensor.nbytes for tensor in tensors)
    assert min(told) >= 0


def test_the_error_is_that_of_the_first_tensor_though_another_fails_sooner() -> None:
    later = threading.Event()

    def slow() -> Iterator[bytes]:
        later.wait(0.2)
        yield bytes(4)
        raise FormatError("first")

    def quick() -> Iterator[bytes]:
        yield bytes(4)
        later.set()
        raise ChecksumError("second")

    ways = (("a", slow), ("b", quick))
    tensors = [LazyTensor(name, (2,), DType.FLOAT32, 8, read, name) for name, read in ways]
    for _ in range(3):
        later.clear()
        with pytest.raises(FormatError, match=r"^first$"):
            promptly(partial(read_arrays, [*tensors_of(ARRAYS), *tensors]))


def test_the_error_is_that_of_the_first_tensor_though_a_larger_one_is_begun_before_it() -> None:
    first = failing(FormatError("first"), "a")
    large = LazyTensor("b", (CHUNK,), DType.UINT8, CHUNK, failing(FormatError("b")).read, "b")
    with pytest.raises(FormatError, match=r"^first$"):
        read_arrays([*tensors_of(ARRAYS), first, large, failing(FormatError("c"), "c")])


def test_the_largest_are_begun_first_by_threads(processors: int) -> None:
    begun: list[int] = []

    def work(tensor: LazyTensor) -> int:
        begun.append(tensor.size)
        return tensor.size

    sizes = [array.size for array in ARRAYS]
    assert work_on_tensors(tensors_of(ARRAYS), work) == sizes
    assert sorted(begun) == sorted(sizes)
    assert processors == 1 or begun[0] >= sorted(sizes)[-processors]


def test_nothing_is_begun_after_an_error(processors: int) -> None:
    begun: list[str] = []
    failed = threading.Event()

    def work(tensor: LazyTensor) -> None:
        begun.append(tensor.name)
        if tensor.name == "x":
            failed.set()
            raise FormatError("x: no")
        failed.wait(30)

    with pytest.raises(FormatError, match="x: no"):
        work_on_tensors([failing(FormatError("x")), *tensors_of([np.ones(1)] * 999)], work)
    assert len(begun) < 999
    assert processors > 1 or begun == ["x"]


@pytest.mark.parametrize("error", [MemoryError(), KeyboardInterrupt(), ValueError("odd")])
def test_whatever_else_ends_the_work_reaches_the_caller(error: BaseException) -> None:
    with pytest.raises(type(error)) as caught:
        promptly(partial(read_arrays, [*tensors_of(ARRAYS), failing(error)]))
    assert caught.value is error


def test_a_caller_who_gives_up_ends_the_threads() -> None:
    def advance(_: int) -> None:
        raise KeyboardInterrupt

    endless = LazyTensor(
        "x", (1,), DType.UINT8, 1, lambda: iter(lambda: bytes(CHUNK), b"stop"), "x"
    )

    def work(tensor: LazyTensor) -> None:
        for _ in tensor.chunks():
            pass

    with pytest.raises(KeyboardInterrupt):
        promptly(partial(work_on_tensors, [*tensors_of(ARRAYS), endless], work, advance))
