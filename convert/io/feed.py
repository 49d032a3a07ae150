"""What threads produce for one consumer, a few items ahead of it.

Either side waits for the other only as long as that is there: a thread gives up once nobody wants
its items any more, and whatever ends a thread, be it an interruption or a lack of memory, is raised
in the consumer.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from queue import Empty, Full, Queue
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final

T = TypeVar("T")

PATIENCE: Final = 1.0
"""Seconds in which threads that are no longer needed should have ended."""
POLL: Final = 0.1
"""Seconds after which who waits looks whether the other side is still there."""


class _End:
    """In the place of an item: a thread has ended."""


class Feed(Generic[T]):
    """Items from threads; the consumer starts these, takes the items and closes it."""

    __slots__ = ("_abandoned", "_error", "_queue", "_threads")

    def __init__(self, depth: int) -> None:
        """Let no more than ``depth`` items wait."""
        self._queue: Queue[T | _End] = Queue(depth)
        self._abandoned = threading.Event()
        self._threads: list[threading.Thread] = []
        self._error: BaseException | None = None

    def start(self, produce: Callable[[], object], name: str) -> None:
        """Have a thread call ``produce``, which is to put items.

        Raises:
            RuntimeError: no thread can be started.
        """
        thread = threading.Thread(
            target=self._run, args=(produce,), name=f"gpt2-convert {name}", daemon=True
        )
        thread.start()
        self._threads.append(thread)

    @property
    def wanted(self) -> bool:
        """Whether anybody is there to take items."""
        return not self._abandoned.is_set()

    def put(self, item: T) -> bool:
        """Add an item, in a thread, once there is room; False if nobody wants it any more."""
        while not self._abandoned.is_set():
            try:
                self._queue.put(item, timeout=POLL)
            except Full:
                continue
            return True
        return False

    def take(self) -> T:
        """Return the next item, once there is one.

        Raises:
            BaseException: what has ended a thread, after all items that it had put.
            RuntimeError: the threads have ended, and nothing is left.
        """
        while True:
            alone = not any(thread.is_alive() for thread in self._threads)
            try:
                item = self._queue.get(timeout=0 if alone else POLL)
            except Empty:
                if alone:
                    raise self._error or RuntimeError(
                        "a thread has ended before its work was done"
                    ) from None
                continue
            if not isinstance(item, _End):
                return item
            if self._error is not None:
                raise self._error

    def close(self) -> None:
        """Let the threads end, at their next item at the latest.

        One that is stuck in a read, which may never end before the caller closes what it reads, is
        left to end with it.
        """
        self._abandoned.set()
        end = time.monotonic() + PATIENCE
        for thread in self._threads:
            thread.join(max(0, end - time.monotonic()))

    def _run(self, produce: Callable[[], object]) -> None:
        try:
            produce()
        except BaseException as error:  # noqa: BLE001 - raised again by the consumer
            if self._error is None:
                self._error = error
        # Without it the consumer finds out a little later that this thread has ended.
        with suppress(Full, MemoryError):
            self._queue.put_nowait(_End())
