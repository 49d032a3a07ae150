"""Signals that wait: none is lost, none comes too early, and every handler is given back."""

from __future__ import annotations

import os
import signal
import threading
from typing import TYPE_CHECKING

import pytest
from support.console import PATIENCE

from gpt2_convert.io.signals import hold_signals

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType


class Arrived(Exception):  # noqa: N818
    """Raised by a handler; its argument is the signal's number."""


def arrive(number: int, frame: FrameType | None) -> None:
    raise Arrived(number)


@pytest.fixture
def handled() -> Iterator[tuple[int, int]]:
    """Two signals whose handlers raise."""
    numbers = (signal.SIGINT, signal.SIGUSR1)
    before = [signal.signal(number, arrive) for number in numbers]
    yield numbers
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


@pytest.fixture
def bystander() -> Iterator[None]:
    """A second thread, to which the system may give a signal that the main one does not want."""
    end = threading.Event()
    thread = threading.Thread(target=end.wait)
    thread.start()
    yield
    end.set()
    thread.join()


@pytest.mark.usefixtures("bystander")
def test_a_signal_waits_until_the_block_has_ended(handled: tuple[int, int]) -> None:
    for number in handled:
        steps = []
        with pytest.raises(Arrived) as arrived, hold_signals():  # noqa: PT012
            os.kill(os.getpid(), number)
            steps.append("first")
            os.kill(os.getpid(), number)
            steps.append("second")
        assert steps == ["first", "second"]
        assert arrived.value.args == (number,)
        assert signal.getsignal(number) is arrive


def test_a_signal_does_not_hide_the_error_of_the_block(handled: tuple[int, int]) -> None:
    with pytest.raises(Arrived) as arrived, hold_signals():  # noqa: PT012
        os.kill(os.getpid(), handled[0])
        raise LookupError
    assert isinstance(arrived.value.__context__, LookupError)


def test_of_two_signals_the_first_to_raise_ends_it_and_all_is_as_before(
    handled: tuple[int, int],
) -> None:
    first, second = handled
    with pytest.raises(Arrived) as arrived, hold_signals():  # noqa: PT012
        os.kill(os.getpid(), second)
        os.kill(os.getpid(), first)
    assert arrived.value.args == (second,)
    assert [signal.getsignal(number) for number in handled] == [arrive, arrive]


def test_a_handler_that_could_not_be_given_back_is_still_called(
    handled: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(number: int, handler: object) -> None:
        raise Arrived(number)

    def use() -> None:
        with hold_signals():
            monkeypatch.setattr(signal, "signal", fail)

    with pytest.raises(Arrived):
        use()
    monkeypatch.undo()
    for number in handled:
        assert signal.getsignal(number) is not arrive
        with pytest.raises(Arrived) as arrived:
            os.kill(os.getpid(), number)
        assert arrived.value.args == (number,)


@pytest.mark.parametrize("handler", [signal.SIG_IGN, signal.SIG_DFL])
def test_what_runs_no_python_code_is_left_alone(handler: signal.Handlers) -> None:
    before = signal.signal(signal.SIGUSR2, handler)
    try:
        with hold_signals():
            assert signal.getsignal(signal.SIGUSR2) is handler
    finally:
        signal.signal(signal.SIGUSR2, before)


def test_another_thread_holds_nothing_up(handled: tuple[int, int]) -> None:
    entered, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with hold_signals():
            entered.set()
            leave.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    assert entered.wait(PATIENCE)
    try:
        assert signal.getsignal(handled[0]) is arrive
        with pytest.raises(Arrived):
            os.kill(os.getpid(), handled[0])
    finally:
        leave.set()
        thread.join()
