"""Threads that feed a consumer: neither side waits for one that is gone, and none is left."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from support.threads import ENDS, ended, promptly, threads_of

from gpt2_convert.io.feed import Feed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NAME = "gpt2-convert test"


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert threads_of(before) == []


@pytest.fixture
def feed() -> Iterator[Feed[int]]:
    feed: Feed[int] = Feed(3)
    yield feed
    feed.close()


def counting(feed: Feed[int], numbers: range) -> Callable[[], None]:
    def produce() -> None:
        for number in numbers:
            if not feed.put(number):
                return

    return produce


def test_items_of_a_thread_arrive_in_order(feed: Feed[int]) -> None:
    feed.start(counting(feed, range(100)), "test")
    assert [promptly(feed.take) for _ in range(100)] == list(range(100))


def test_items_of_several_threads_all_arrive(feed: Feed[int]) -> None:
    for start in (0, 100, 200):
        feed.start(counting(feed, range(start, start + 100)), "test")
    assert sorted(promptly(feed.take) for _ in range(300)) == list(range(300))


def test_a_thread_can_see_that_nobody_wants_its_items_any_more(feed: Feed[int]) -> None:
    wanted = [feed.wanted]
    feed.close()
    wanted.append(feed.wanted)
    assert wanted == [True, False]
    assert not feed.put(1)


def test_no_more_than_the_depth_waits(feed: Feed[int]) -> None:
    produced: list[int] = []

    def produce() -> None:
        for number in range(50):
            feed.put(number)
            produced.append(number)

    feed.start(produce, "test")
    for taken in range(1, 51):
        promptly(feed.take)
        # One is being put, and another was put and not noted down yet.
        assert len(produced) <= taken + 3 + 1


@pytest.mark.parametrize("end", ENDS)
def test_what_ends_a_thread_is_raised_after_its_items(end: str, feed: Feed[int]) -> None:
    error = ENDS[end]()

    def produce() -> None:
        feed.put(1)
        feed.put(2)
        raise error

    feed.start(produce, "test")
    assert [promptly(feed.take), promptly(feed.take)] == [1, 2]
    for _ in range(3):  # whoever goes on asking is told again
        with pytest.raises(type(error)) as caught:
            promptly(feed.take)
        assert caught.value is error


def test_what_ends_one_of_several_threads_is_raised_while_the_others_go_on(
    feed: Feed[int],
) -> None:
    error = MemoryError()

    def fail() -> None:
        raise error

    going = threading.Event()
    feed.start(going.wait, "test")
    feed.start(fail, "test")
    with pytest.raises(MemoryError) as caught:
        promptly(feed.take)
    assert caught.value is error
    going.set()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_is_ended_before_it_can_tell_is_missed(feed: Feed[int]) -> None:
    with ended(NAME, 1, MemoryError()) as ending:
        feed.start(counting(feed, range(9)), "test")
        with pytest.raises(RuntimeError, match="ended before its work was done"):
            promptly(feed.take)
    assert ending.place is not None


def test_more_items_than_there_are_is_an_error(feed: Feed[int]) -> None:
    feed.start(counting(feed, range(2)), "test")
    assert [promptly(feed.take), promptly(feed.take)] == [0, 1]
    with pytest.raises(RuntimeError, match="ended before its work was done"):
        promptly(feed.take)


def test_a_thread_that_cannot_be_started_is_an_error_and_the_others_end(
    feed: Feed[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    feed.start(counting(feed, range(1000)), "test")
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError, match="can't start new thread"):
            feed.start(counting(feed, range(1000)), "test")
    promptly(feed.close)


def test_threads_end_when_nobody_wants_their_items(feed: Feed[int]) -> None:
    refused = threading.Event()

    def produce() -> None:
        while feed.put(0):
            pass
        refused.set()

    feed.start(produce, "test")
    promptly(feed.take)
    promptly(feed.close)
    assert refused.is_set()


def test_a_thread_that_is_stuck_is_not_waited_for_long() -> None:
    feed: Feed[int] = Feed(1)
    freed = threading.Event()
    feed.start(freed.wait, "test")
    feed.start(freed.wait, "test")
    promptly(feed.close)
    freed.set()
