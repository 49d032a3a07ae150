"""A fork ends as it is told to, leaves signals to its parent, and is never lost."""

from __future__ import annotations

import os
import signal
import time
from functools import partial
from typing import TYPE_CHECKING, NoReturn

import pytest
from support.children import list_children
from support.console import PATIENCE

from gpt2_convert.io.fork import CRASHES, Fork

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MEANT_FOR_BOTH = [
    signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGALRM,
]  # fmt: skip


@pytest.fixture(autouse=True)
def no_child_is_left() -> Iterator[None]:
    before = list_children()
    yield
    assert list_children() == before


def forking(act: Callable[[], object]) -> Fork:
    """Return a fork that does ``act`` and exits with 7."""

    def run() -> NoReturn:
        try:
            act()
        finally:
            os._exit(7)

    fork = Fork()
    fork.start(run)
    return fork


def wait_for(fork: Fork) -> int:
    """Return with what code the fork ends of itself."""
    end = time.monotonic() + PATIENCE
    while os.waitid(os.P_PID, fork._pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        assert time.monotonic() < end
        time.sleep(0.001)
    code = fork.end()
    assert code is not None
    return code


def test_one_that_has_ended_keeps_its_code_however_often_it_is_ended() -> None:
    fork = forking(lambda: None)
    assert wait_for(fork) == 7
    fork.kill()
    assert fork.end() == 7


def test_one_that_goes_on_is_killed() -> None:
    started = time.monotonic()
    fork = forking(partial(time.sleep, PATIENCE))
    fork.kill()
    assert fork.end() == -signal.SIGKILL
    assert time.monotonic() - started < PATIENCE


def test_one_that_never_was_has_no_code() -> None:
    fork = Fork()
    fork.kill()
    assert fork.end() is None


def test_nobody_can_tell_the_code_where_somebody_else_was_told() -> None:
    fork = forking(lambda: None)
    os.waitpid(fork._pid, 0)
    assert fork.end() is None


@pytest.mark.parametrize("number", MEANT_FOR_BOTH)
def test_signals_that_are_sent_to_both_are_for_the_parent(number: signal.Signals) -> None:
    def fail(*_: object) -> None:
        os._exit(1)

    before = signal.signal(number, fail)
    try:
        assert wait_for(forking(lambda: os.kill(os.getpid(), number))) == 7
    finally:
        signal.signal(number, before)


@pytest.mark.parametrize("number", [*CRASHES, signal.SIGKILL])
def test_what_the_fork_itself_has_done_ends_it(number: signal.Signals) -> None:
    assert wait_for(forking(lambda: os.kill(os.getpid(), number))) == -number


def test_a_handler_runs_here_alone_and_once_the_fork_is_known() -> None:
    seen: list[tuple[int, int]] = []
    fork = Fork()
    parent = os.getpid()

    def handle(*_: object) -> None:
        seen.append((os.getpid(), fork._pid))

    def run() -> NoReturn:
        os._exit(7 + len(seen))

    real = os.fork

    def fork_amid_signals() -> int:
        os.kill(os.getpid(), signal.SIGUSR1)
        return real()

    before = signal.signal(signal.SIGUSR1, handle)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "fork", fork_amid_signals)
            fork.start(run)
        pid = fork._pid
        assert wait_for(fork) == 7
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert seen == [(parent, pid)]


def test_where_no_process_is_to_be_had_signals_are_as_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse() -> int:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "fork", refuse)
    handlers = {number: signal.getsignal(number) for number in MEANT_FOR_BOTH}
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    fork = Fork()
    with pytest.raises(BlockingIOError):
        fork.start(lambda: os._exit(0))
    assert {number: signal.getsignal(number) for number in MEANT_FOR_BOTH} == handlers
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == mask
    assert fork.end() is None
