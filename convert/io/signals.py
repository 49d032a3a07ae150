"""Steps that no signal may cut in two."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType
    from typing import Any


@contextmanager
def hold_signals() -> Iterator[None]:
    """Let signals that would run Python code, and so might raise, wait until the block has ended.

    A signal that kills is not held back: what it may leave behind is the caller's concern, as
    after SIGKILL. In another thread than the main one there is nothing to do, since Python runs
    handlers in the main thread only. That is also why a signal mask would not do: another thread
    would take the signal, and the handler would interrupt the block all the same.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers: dict[int, Callable[[int, FrameType | None], Any]] = {}
    waiting: list[int] = []
    holding = True

    def hold(number: int, frame: FrameType | None) -> None:
        if holding:
            waiting.append(number)
        else:  # its handler could not be given back, because another handler raised at that moment
            handlers[number](number, frame)

    try:
        for number in signal.valid_signals():
            handler = signal.getsignal(number)
            if callable(handler):
                handlers[number] = handler
                signal.signal(number, hold)
        yield
    finally:
        holding = False
        for held, handler in handlers.items():
            signal.signal(held, handler)
        for held in dict.fromkeys(waiting):
            signal.raise_signal(held)
