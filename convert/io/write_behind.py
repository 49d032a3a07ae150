"""A file whose large writes are done by a thread of its own, a few chunks behind the caller.

For a writer that computes a checksum of each chunk: the next one is computed while the last is
being written. Moving to another position, as zipfile does to complete a header, waits for nothing.
What the thread runs into is raised by the next call.
"""

from __future__ import annotations

import io
import threading
from queue import Queue
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Final

    from _typeshed import ReadableBuffer

DEPTH: Final = 4
"""Chunks that may wait."""


class WriteBehind(io.RawIOBase):
    """The file at ``path``, emptied and open for writing; a context manager that closes it."""

    def __init__(self, path: Path) -> None:
        self._file = open(path, "wb")  # noqa: SIM115 - closed by close()
        self._position = self._end = 0
        self._queue: Queue[tuple[int, bytes] | None] = Queue(DEPTH)
        self._error: OSError | None = None
        self._thread = threading.Thread(target=self._work, name="gpt2-convert write-behind")
        self._thread.start()

    def _work(self) -> None:
        at = 0
        while (item := self._queue.get()) is not None:
            position, data = item
            try:
                if self._error is None:
                    if position != at:
                        self._file.seek(position)
                    self._file.write(data)
                    at = position + len(data)
            except OSError as error:
                self._error = error
            finally:
                self._queue.task_done()

    def write(self, data: ReadableBuffer, /) -> int:
        """Have ``data`` written; raises the OSError of an earlier write."""
        self._raise()
        chunk = bytes(data)
        self._queue.put((self._position, chunk))
        self._position += len(chunk)
        self._end = max(self._end, self._position)
        return len(chunk)

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Move to another position; raises the OSError of an earlier write."""
        self._raise()
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._end}[whence]
        self._position = origin + offset
        return self._position

    def tell(self) -> int:
        """Return the position behind all that was given to write."""
        return self._position

    def flush(self) -> None:
        """Wait until everything is written."""
        if not self._file.closed:
            self._queue.join()
            self._raise()
            self._file.flush()

    def close(self) -> None:
        """End the thread and close the file; raises the OSError of an earlier write."""
        if self._file.closed:
            return
        self._queue.put(None)
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

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error
