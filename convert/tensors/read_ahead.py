"""Tensors streamed by a thread of its own, a few chunks ahead of whoever uses them.

Reading, checksums and writing all release the GIL, so the two sides really run side by side. No
more than DEPTH chunks wait at any time, which bounds memory.
"""

from __future__ import annotations

import threading
from queue import Full, Queue
from typing import TYPE_CHECKING

from ..io.memory import keep_freed_memory

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Final

    from .tensor import LazyTensor

DEPTH: Final = 4
"""Chunks that may wait."""
PATIENCE: Final = 1.0
"""Seconds in which a thread that is no longer needed should have ended."""


class _Ended:
    """The end of a tensor's chunks, or the error that ended them."""

    __slots__ = ("error",)

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


def read_ahead(tensors: Iterable[LazyTensor]) -> Iterator[tuple[LazyTensor, Iterator[bytes]]]:
    """Yield each tensor with an iterator over its chunks; what is not used of them is passed over.

    An error of a tensor is raised where its chunks would have gone on. The thread ends with the
    iteration, also when the caller abandons it; only one that is stuck in a read is left to end
    with it.
    """
    tensors = tuple(tensors)
    keep_freed_memory()
    queue: Queue[bytes | _Ended] = Queue(DEPTH)
    abandoned = threading.Event()

    def put(item: bytes | _Ended) -> bool:
        while not abandoned.is_set():
            try:
                queue.put(item, timeout=0.1)
            except Full:
                continue
            return True
        return False

    def produce() -> None:
        for tensor in tensors:
            try:
                for chunk in tensor.chunks():
                    if not put(chunk):
                        return
            except BaseException as error:  # noqa: BLE001 - raised again by the consumer
                put(_Ended(error))
                return
            if not put(_Ended()):
                return

    def consume() -> Iterator[bytes]:
        while True:
            item = queue.get()
            if isinstance(item, bytes):
                yield item
            elif item.error is not None:
                raise item.error
            else:
                return

    thread = threading.Thread(target=produce, name="gpt2-convert read-ahead", daemon=True)
    thread.start()
    try:
        for tensor in tensors:
            chunks = consume()
            yield tensor, chunks
            for _ in chunks:
                pass
    finally:
        abandoned.set()
        # A read may never end before the caller closes what it reads.
        thread.join(PATIENCE)
