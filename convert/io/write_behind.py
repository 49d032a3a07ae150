"""A file whose large writes are done by a thread of its own, a few chunks behind the caller.

For a writer that computes a checksum of each chunk: the next one is computed while the last is
being written. Moving to another position, as zipfile does to complete a header, waits for nothing.
Small writes that touch each other are handed to the thread as one: to wake it up takes longer than
to write a header. What the thread runs into is raised by the next call. A file that is worth no
thread at all is held, and written at the end.
"""

from __future__ import annotations

import io
import threading
from contextlib import contextmanager
from queue import Full, Queue
from typing import TYPE_CHECKING

from .feed import POLL

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Final, TypeAlias

    from _typeshed import ReadableBuffer

    _Item: TypeAlias = tuple[int, bytes] | threading.Event | None
    """Bytes and where they go, a point that somebody waits for, or the end."""

DEPTH: Final = 4
"""Chunks that may wait."""
LARGE: Final = 1 << 16
"""Bytes from which a write is handed over by itself, and held ones at the latest."""


@contextmanager
def open_behind(path: Path, *, threaded: bool) -> Iterator[io.RawIOBase | io.BytesIO]:
    """Yield a file to be written and sought in, which becomes that at ``path``.

    Where no thread writes it, it is held whole until the end.

    Raises:
        OSError: it cannot be written.
    """
    if threaded:
        with WriteBehind(path) as behind:
            yield behind
        return
    held = io.BytesIO()
    yield held
    path.write_bytes(held.getbuffer())


class WriteBehind(io.RawIOBase):
    """The file at ``path``, emptied and open for writing; a context manager that closes it."""

    def __init__(self, path: Path) -> None:
        self._position = self._end = 0
        self._held = bytearray()
        self._held_at = 0
        self._queue: Queue[_Item] = Queue(DEPTH)
        self._error: BaseException | None = None
        self._complete = False
        self._thread = threading.Thread(
            target=self._work, name="gpt2-convert write-behind", daemon=True
        )
        self._file = open(path, "wb")  # noqa: SIM115 - closed by close()
        try:
            self._thread.start()
        except BaseException:
            self._file.close()
            raise

    def _work(self) -> None:
        try:
            self._write_all()
            self._complete = True
        except BaseException as error:  # noqa: BLE001 - raised again by the next call
            self._error = error
            while self._queue.get() is not None:
                pass  # whoever waits for room goes on, and is told

    def _write_all(self) -> None:
        at = 0
        while (item := self._queue.get()) is not None:
            if isinstance(item, threading.Event):
                item.set()
                continue
            position, data = item
            if position != at:
                self._file.seek(position)
            self._file.write(data)
            at = position + len(data)

    def write(self, data: ReadableBuffer, /) -> int:
        """Have ``data`` written; raises what an earlier write has run into."""
        self._raise()
        chunk = bytes(data)
        if len(chunk) >= LARGE:
            self._hand_over()
            self._put((self._position, chunk))
        else:
            self._hold(chunk)
        self._position += len(chunk)
        self._end = max(self._end, self._position)
        return len(chunk)

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Move to another position; raises what an earlier write has run into."""
        self._raise()
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._end}[whence]
        self._position = origin + offset
        return self._position

    def tell(self) -> int:
        """Return the position behind all that was given to write."""
        return self._position

    def flush(self) -> None:
        """Wait until everything is written."""
        if self._file.closed:
            return
        self._hand_over()
        reached = threading.Event()
        self._put(reached)
        while not reached.wait(POLL):
            self._raise()
        self._raise()
        self._file.flush()

    def close(self) -> None:
        """End the thread and close the file; raises what an earlier write has run into."""
        if self._file.closed:
            return
        self._hand_over()
        self._put(None)
        self._thread.join()
        self._file.close()
        super().close()
        self._raise()

    def writable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def _hold(self, data: bytes) -> None:
        """Put ``data`` beside, or over, what is held, if it touches that."""
        if not 0 <= self._position - self._held_at <= len(self._held):
            self._hand_over()
        if not self._held:
            self._held_at = self._position
        at = self._position - self._held_at
        self._held[at : at + len(data)] = data
        if len(self._held) >= LARGE:
            self._hand_over()

    def _hand_over(self) -> None:
        if self._held:
            self._put((self._held_at, bytes(self._held)))
            self._held.clear()

    def _put(self, item: _Item) -> None:
        """Hand ``item`` to the thread once there is room, as long as there is a thread."""
        while self._thread.is_alive():
            try:
                self._queue.put(item, timeout=POLL)
            except Full:
                continue
            return

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error
        if not (self._complete or self._thread.is_alive()):
            raise RuntimeError("the thread that writes has ended before its work was done")
