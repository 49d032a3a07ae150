"""Tensors streamed by a thread of its own, a few chunks ahead of whoever uses them.

Reading, checksums and writing all release the GIL, so the two sides really run side by side. No
more than DEPTH chunks wait at any time, which bounds memory. For tensors that are small together
there is no thread.
"""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from ..io.feed import Feed
from ..io.memory import keep_freed_memory
from .side_by_side import count_shares

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator
    from typing import Final

    from .tensor import LazyTensor

DEPTH: Final = 4
"""Chunks that may wait."""


def run_ahead(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield chunks that a thread of its own takes from where they come, as in :func:`read_ahead`.

    Whoever does something of its own with each has the other processors for that.
    """
    feed: Feed[bytes | None] = Feed(DEPTH)

    def produce() -> None:
        for chunk in chunks:
            if not feed.put(chunk):
                return
        feed.put(None)

    feed.start(produce, "read-ahead")
    try:
        while (chunk := feed.take()) is not None:
            yield chunk
    finally:
        feed.close()


def read_ahead(tensors: Iterable[LazyTensor]) -> Iterator[tuple[LazyTensor, Iterator[bytes]]]:
    """Yield each tensor with an iterator over its chunks; what is not used of them is passed over.

    An error of a tensor is raised where its chunks would have gone on. The thread ends with the
    iteration, also when the caller abandons it; only one that is stuck in a read is left to end
    with it.
    """
    tensors = tuple(tensors)
    keep_freed_memory()
    streams = _stream(tensors) if count_shares(tensors) else (each.chunks() for each in tensors)
    with closing(streams):
        for tensor, chunks in zip(tensors, streams, strict=True):
            yield tensor, chunks
            for _ in chunks:
                pass


def _stream(tensors: Iterable[LazyTensor]) -> Generator[Iterator[bytes]]:
    """Yield the chunks of each tensor, which a thread reads; each has to be used to its end."""
    feed: Feed[bytes | None] = Feed(DEPTH)  # None after the last chunk of each tensor

    def produce() -> None:
        for tensor in tensors:
            for chunk in tensor.chunks():
                if not feed.put(chunk):
                    return
            if not feed.put(None):
                return

    def consume() -> Iterator[bytes]:
        while (chunk := feed.take()) is not None:
            yield chunk

    feed.start(produce, "read-ahead")
    try:
        for _ in tensors:
            yield consume()
    finally:
        feed.close()
