"""Pairs of tensors are compared side by side, told in their order, and no thread is left."""

from __future__ import annotations

import dataclasses
import hashlib
import threading
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest
from support import bundles, raws
from support.asides import TRIES, let_forks_work
from support.console import PATIENCE

import gpt2_convert
from gpt2_convert import DType
from gpt2_convert.compare.checkpoints import compare
from gpt2_convert.compare.values import compare_values
from gpt2_convert.io.source import CHUNK
from gpt2_convert.model.adopt import adopt
from gpt2_convert.progress import ignore_progress
from gpt2_convert.tensors.casting import cast_tensors
from gpt2_convert.tensors.loss import CastLoss
from gpt2_convert.tensors.tolerance import EXACT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gpt2_convert import LazyTensor
    from gpt2_convert.checkpoint.canonical import Checkpoint

    Pairs = list[tuple[LazyTensor, LazyTensor]]


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        thread.join(PATIENCE)  # it was told to end, and may not have got round to it
        assert not thread.is_alive()


def pairs(count: int, *different: int, size: int = 100) -> Pairs:
    """Return ``count`` pairs of tensors, of which those of the given numbers differ."""
    made: Pairs = []
    for number in range(count):
        source = np.full(size, number, np.float32)
        target = source.copy()
        target[-1] += number in different
        made.append((raws.lazy(f"x{number}", source), raws.lazy(f"x{number}", target)))
    return made


def failing(tensor: LazyTensor, error: BaseException, *pieces: bytes) -> LazyTensor:
    def read() -> Iterator[bytes]:
        yield from pieces
        raise error

    return dataclasses.replace(tensor, read=read)


def test_a_source_that_fails_before_its_first_piece_is_an_error() -> None:
    def fail() -> Iterator[bytes]:
        raise gpt2_convert.UnreadableError("wte: gone")

    raw = raws.raw(raws.canonical(), bundles.TINY)
    first, *others = raw.tensors
    failing = dataclasses.replace(raw, tensors=(dataclasses.replace(first, read=fail), *others))
    with pytest.raises(gpt2_convert.UnreadableError, match="gone"):
        compare(adopt(failing), raw)


@pytest.mark.parametrize("workers", [1, 2, 7])
def test_every_pair_is_told_in_order_whoever_is_first_and_true_if_it_differs(workers: int) -> None:
    made = pairs(20, 0, 3, 4, 19)
    slow, target = made[0]
    last, last_target = made[19]
    last_is_read = threading.Event()

    def read() -> Iterator[bytes]:
        assert workers == 1 or last_is_read.wait(PATIENCE)
        yield from slow.chunks()

    def read_last() -> Iterator[bytes]:
        yield from last.chunks()
        last_is_read.set()

    made[0] = dataclasses.replace(slow, read=read), target
    made[19] = dataclasses.replace(last, read=read_last), last_target
    found = compare_values(made, EXACT, ignore_progress, workers)
    assert [each.source.name for each in found] == [f"x{number}" for number in range(20)]
    assert [number for number, each in enumerate(found) if each] == [0, 3, 4, 19]
    assert [each.differing for each in found if each] == [1, 1, 1, 1]
    # Nobody asked for digests.
    assert {each.sha256 for each in found} == {None}


def test_the_losses_of_a_cast_stand_in_the_order_of_the_source_whoever_is_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gpt2_convert.tensors.side_by_side.SHARE", 1)
    raw = raws.raw(raws.canonical(), bundles.TINY)
    first, *others, last = raw.tensors
    last_is_read = threading.Event()

    def read() -> Iterator[bytes]:
        assert last_is_read.wait(PATIENCE)
        yield from first.chunks()

    def read_last() -> Iterator[bytes]:
        yield from last.chunks()
        last_is_read.set()

    waiting = (
        dataclasses.replace(first, read=read),
        *others,
        dataclasses.replace(last, read=read_last),
    )

    def cast(checkpoint: Checkpoint, loss: CastLoss) -> Checkpoint:
        tensors = cast_tensors(checkpoint, DType.FLOAT16, where="source", loss=loss)
        return dataclasses.replace(checkpoint, tensors=tensors)

    half = cast(adopt(raw), CastLoss())
    rounded = dataclasses.replace(raw, tensors=tuple(half.values()))
    loss = CastLoss()
    slow = cast(adopt(dataclasses.replace(raw, tensors=waiting)), loss)
    assert compare(slow, rounded, loss=loss).ok
    assert list(loss.tensors) == list(half)


def test_digests_are_those_of_the_target_s_bytes() -> None:
    made = pairs(4, 1, size=CHUNK // 2)
    found = compare_values(made, EXACT, ignore_progress, 2, hashed=True)
    data = [b"".join(target.chunks()) for _, target in made]
    assert [each.sha256 for each in found] == [hashlib.sha256(each).hexdigest() for each in data]


@pytest.mark.parametrize("dtype", [DType.FLOAT16, DType.BFLOAT16, DType.FLOAT64])
@pytest.mark.parametrize("different", [(), (0,), (3, 17), tuple(range(20))], ids=len)
def test_forks_find_what_threads_find(
    dtype: DType, different: tuple[int, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = np.random.default_rng(1)
    arrays = {
        f"x{number}": random.standard_normal(1000 + number, np.float32) for number in range(20)
    }
    for side in ("source", "target"):
        np.savez(tmp_path / f"{side}.npz", **arrays)  # type: ignore[arg-type]
        for number in different:
            arrays[f"x{number}"][number] += 1
    with (
        gpt2_convert.open(tmp_path / "source.npz", as_is=True) as source,
        gpt2_convert.open(tmp_path / "target.npz", as_is=True) as target,
    ):

        def look() -> tuple[object, ...]:
            loss = CastLoss()
            cast = [
                cast_tensors(side, dtype, where="x", loss=lost)
                for side, lost in ((source, loss), (target, None))
            ]
            made = [(cast[0][name], cast[1][name]) for name in arrays]
            told: list[int] = []
            found = compare_values(
                made, EXACT, lambda _, done, __: told.append(done), 2, hashed=True, loss=loss
            )
            loss.arrange(arrays)
            return (
                [(each.sha256, each.differing, each.first_values, each.overall) for each in found],
                loss.as_json(),
                told[-1],
            )

        expected = look()
        done = let_forks_work(monkeypatch)
        some_equal = len(different) < len(arrays)
        for _ in range(TRIES if some_equal else 1):
            assert look() == expected
            if done:
                break
    assert not set(done) & set(different)
    assert bool(done) == some_equal


def test_of_very_many_tensors_the_first_600_are_mapped_whoever_compares_them() -> None:
    made = pairs(610, *range(610), size=3)
    found = compare_values(made, EXACT, ignore_progress, 3)
    assert all(found)
    assert [each.take_map() is not None for each in found] == [True] * 600 + [False] * 10


def test_no_pairs_have_no_differences() -> None:
    assert compare_values([], EXACT, ignore_progress, 3) == []


def test_progress_counts_every_byte_of_the_source_once_in_the_caller_s_thread() -> None:
    seen: list[tuple[str, int, int]] = []

    def watch(phase: str, done: int, total: int) -> None:
        assert threading.current_thread() is threading.main_thread()
        seen.append((phase, done, total))

    compare_values(pairs(3, size=CHUNK // 2), EXACT, watch, 2)
    assert {(phase, total) for phase, _, total in seen} == {("verifying", 6 * CHUNK)}
    done = [done for _, done, _ in seen]
    assert (done[0], done[-1]) == (0, 6 * CHUNK)
    assert all(before < after for before, after in pairwise(done))


def test_the_first_error_of_a_source_is_raised_and_what_comes_later_stops() -> None:
    def slow() -> Iterator[bytes]:
        assert third_fails.wait(PATIENCE)
        yield bytes(40)
        raise error

    def quick() -> Iterator[bytes]:
        yield bytes(40)
        third_fails.set()
        raise gpt2_convert.ChecksumError("x2: wrong")

    def endless() -> Iterator[bytes]:
        while True:
            yield bytes(CHUNK)

    third_fails = threading.Event()
    error = gpt2_convert.FormatError("x1: wrong")
    made = pairs(4)
    for number, read in ((1, slow), (2, quick), (3, endless)):
        source = dataclasses.replace(made[number][0], read=read)
        made[number] = source, source
    with pytest.raises(gpt2_convert.FormatError) as caught:
        compare_values(made, EXACT, ignore_progress, 4)
    assert caught.value is error


@pytest.mark.parametrize("error", [KeyboardInterrupt(), LookupError("of the watcher's own")])
def test_an_error_of_the_watcher_is_passed_on_and_the_threads_stop(error: BaseException) -> None:
    def watch(phase: str, done: int, total: int) -> None:
        if done:
            raise error

    with pytest.raises(type(error)) as caught:
        compare_values(pairs(200, size=CHUNK // 16), EXACT, watch, 2)
    assert caught.value is error


def test_an_error_of_a_target_is_a_difference_and_stops_nothing() -> None:
    made = pairs(3, 2)
    source, target = made[1]
    made[1] = source, failing(target, gpt2_convert.ChecksumError("x1: wrong"), *target.chunks())
    found = compare_values(made, EXACT, ignore_progress, 2)
    assert [(each.source.name, each.damage, bool(each)) for each in found] == [
        ("x0", None, False),
        ("x1", "x1: wrong", True),
        ("x2", None, True),
    ]
