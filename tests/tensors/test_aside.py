"""Work that forks do gives what it gives without them, whatever becomes of them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from support import raws
from support.children import is_running, list_children, needs_proc
from support.console import PATIENCE
from support.descriptors import list_descriptors
from support.threads import promptly, threads_of

from gpt2_convert.errors import ChecksumError, FormatError
from gpt2_convert.tensors import aside
from gpt2_convert.tensors.aside import Aside, count_forks
from gpt2_convert.tensors.runs import Seekable
from gpt2_convert.tensors.side_by_side import work_side_by_side

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from gpt2_convert import LazyTensor
    from gpt2_convert.tensors.aside import Advance

    Work = Callable[[int, Advance], bytes]

ITEMS = 20
HERE = os.getpid()


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    threads, before = set(threading.enumerate()), (list_children(), list_descriptors())
    yield
    assert threads_of(threads) == []
    assert (list_children(), list_descriptors()) == before


def carry(forks: int) -> Aside[bytes]:
    return Aside(forks, lambda _, result: result, lambda _, result: result)


def do(
    work: Work,
    by: Aside[bytes] | None = None,
    report: Callable[[int], None] = lambda _: None,
) -> list[bytes]:
    by = by or carry(2)
    return promptly(lambda: work_side_by_side(range(ITEMS), work, report, 2, "test", by))


def in_fork(act: Callable[[], object]) -> Work:
    """Return work that does ``act`` where it is a fork that works."""

    def work(number: int, tell: Advance) -> bytes:
        tell(1)
        if os.getpid() != HERE:
            act()
        tell(2)
        return b"%d" % number

    return work


EXPECTED = [b"%d" % number for number in range(ITEMS)]


@pytest.mark.parametrize("forks", [1, 2, 3])
def test_each_fork_does_a_part_and_so_does_this_process(forks: int, tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    begun.touch()

    def work(number: int, tell: Advance) -> bytes:
        with begun.open("ab", buffering=0) as file:
            file.write(b"x")
        # Nobody takes a second item before all have begun their first.
        while begun.stat().st_size <= forks:
            time.sleep(0.001)
        return b"%d %d" % (number, os.getpid())

    found = [tuple(map(int, each.split())) for each in do(work, carry(forks))]
    assert [number for number, _ in found] == list(range(ITEMS))
    assert len({pid for _, pid in found}) == 1 + forks
    assert HERE in {pid for _, pid in found}


def test_results_may_be_long_or_empty_and_go_through_dump_and_load() -> None:
    def work(number: int, tell: Advance) -> bytes:
        return bytes([number]) * (number % 3 << 19)

    by = Aside(
        2,
        lambda number, result: bytes([number]) + result,
        lambda number, told: told[1:] if told[0] == number else b"of another item",
    )
    assert do(work, by) == [bytes([number]) * (number % 3 << 19) for number in range(ITEMS)]


FATES: dict[str, Callable[[], object]] = {
    "works": lambda: None,
    "is killed": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "crashes": lambda: os.kill(os.getpid(), signal.SIGSEGV),
    "ends": lambda: os._exit(0),
    "fails": lambda: 1 // 0,
    "exits": sys.exit,
    "closes everything": lambda: os.closerange(3, 1 << 12),
}


@pytest.mark.parametrize("fate", FATES)
def test_whatever_becomes_of_a_fork_the_work_is_done_and_told_of_once(fate: str) -> None:
    told: list[int] = []
    assert do(in_fork(FATES[fate]), report=told.append) == EXPECTED
    assert sum(told) == 3 * ITEMS


def test_what_a_fork_cannot_tell_is_found_here() -> None:
    def work(number: int, tell: Advance) -> bytes:
        time.sleep(0.01)
        return b"%d %d" % (number, os.getpid())

    by: Aside[bytes] = Aside(
        2,
        lambda number, result: None if number % 2 else result,
        lambda _, result: result,
    )
    found = [tuple(map(int, each.split())) for each in do(work, by)]
    assert {pid for number, pid in found if number % 2} == {HERE}


def test_an_error_is_that_of_the_first_item_and_raised_here() -> None:
    def work(number: int, tell: Advance) -> bytes:
        time.sleep(0.001 * (ITEMS - number))
        if number > 3:
            raise FormatError(f"{number} in {os.getpid()}")
        if number == 3:
            raise ChecksumError(f"{number} in {os.getpid()}")
        return b""

    with pytest.raises(ChecksumError, match=f"^3 in {HERE}$"):
        do(work)


@pytest.mark.parametrize("kind", [KeyboardInterrupt, MemoryError, SystemExit])
def test_what_interrupts_the_caller_ends_forks_amid_their_work(kind: type[BaseException]) -> None:
    def interrupt(_: int) -> None:
        raise kind

    def work(number: int, tell: Advance) -> bytes:
        if os.getpid() != HERE:
            time.sleep(PATIENCE)
        tell(8 << 20)
        return b""

    started = time.monotonic()
    with pytest.raises(kind):
        do(work, report=interrupt)
    assert time.monotonic() - started < PATIENCE


@pytest.mark.parametrize("call", ["fork", "pipe"])
@pytest.mark.parametrize("made", [0, 1, 2])
def test_no_more_processes_than_there_can_be(
    call: str, made: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = getattr(os, call)
    left = [made]

    def refuse_in_the_end() -> object:
        left[0] -= 1
        if left[0] < 0:
            raise BlockingIOError(11, "Resource temporarily unavailable")
        return real()

    monkeypatch.setattr(os, call, refuse_in_the_end)
    assert do(in_fork(lambda: None)) == EXPECTED


def test_no_forks_are_asked_for() -> None:
    assert do(in_fork(lambda: pytest.fail("there is one")), carry(0)) == EXPECTED


@needs_proc
def test_forks_end_with_a_parent_that_is_killed() -> None:
    program = """
import os
from gpt2_convert.tensors.aside import Aside
from gpt2_convert.tensors.side_by_side import work_side_by_side

def work(number, tell):
    os.write(1, b"%d\\n" % os.getpid())
    os.read(0, 1)  # a byte for each of three processes
    return b""

by = Aside(2, lambda _, result: result, lambda _, result: result)
work_side_by_side(range(3), work, lambda _: None, 2, "test", by)
"""
    done = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert done.stdin is not None
    assert done.stdout is not None
    with done:
        pids = {int(done.stdout.readline()) for _ in range(3)}
        assert done.pid in pids
        done.kill()
        done.wait(PATIENCE)
        done.stdin.write(b"123")  # what they do ends, and nobody asks them for more
        done.stdin.flush()
        end = time.monotonic() + PATIENCE
        while any(is_running(pid) for pid in pids):
            assert time.monotonic() < end
            time.sleep(0.01)


# How many there are.


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """There are no threads but this one, 16 processors, and little is enough for a fork."""
    monkeypatch.setattr(aside, "active_count", lambda: 1)
    monkeypatch.setattr(aside, "count_processors", lambda: 16)
    monkeypatch.setattr(aside, "SHARE", 100)


def seekable(size: int) -> LazyTensor:
    tensor = raws.lazy("x", np.zeros(size, np.uint8))
    return replace(tensor, read=Seekable(tensor.read, lambda offset, size: iter(())))


@pytest.mark.usefixtures("alone")
def test_as_many_as_there_is_work_for_beside_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    assert count_forks([]) == 0
    assert count_forks([seekable(1000)]) == 0
    assert count_forks([seekable(99)] * 2) == 0
    assert count_forks([seekable(100)] * 2) == 1
    assert count_forks(seekable(100) for _ in range(100)) == aside.MOST_FORKS
    for processors in (1, 2, 3):
        monkeypatch.setattr(aside, "count_processors", lambda count=processors: count)
        assert count_forks([seekable(100)] * 100) == processors - 1


@pytest.mark.usefixtures("alone")
def test_none_where_another_thread_may_hold_a_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aside, "active_count", lambda: 2)
    assert count_forks([seekable(100)] * 2) == 0


@pytest.mark.usefixtures("alone")
def test_none_where_a_tensor_comes_out_of_a_stream() -> None:
    assert count_forks([seekable(100), raws.lazy("x", np.zeros(100, np.uint8))]) == 0
