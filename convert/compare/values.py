"""Pairs of tensors compared by threads, chunk by chunk."""

from __future__ import annotations

import hashlib
from itertools import zip_longest
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from ..io.feed import Feed
from ..io.memory import keep_freed_memory
from ..tensors.side_by_side import EVENTS, STEP
from .difference import Difference

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final

    from ..progress import Progress
    from ..tensors.tensor import LazyTensor
    from ..tensors.tolerance import Tolerance

_MAPPED: Final = 600
"""Tensors of which it is told where they differ, the first ones: 1558M has 580. A map takes some
20 kB, and of 16,000 there would be too much to hold."""


def compare_values(
    pairs: list[tuple[LazyTensor, LazyTensor]],
    tolerance: Tolerance,
    progress: Progress,
    workers: int,
    *,
    hashed: bool = False,
) -> list[Difference]:
    """Compare the pairs and return a difference for each, in their order; true where there is one.

    ``workers`` threads compare a pair each; a single one is that of the caller. With ``hashed`` the
    target's bytes are digested, too.

    Raises:
        Gpt2ConvertError: a tensor cannot be read.
    """
    total, done = sum(tensor.nbytes for tensor, _ in pairs), 0
    differences = [
        Difference(tensor, stored, tolerance, mapped=number < _MAPPED)
        for number, (tensor, stored) in enumerate(pairs)
    ]

    def advance(nbytes: int) -> bool:
        nonlocal done
        done += nbytes
        progress("verifying", done, total)
        return True

    keep_freed_memory()
    progress("verifying", 0, total)
    if workers < 2:
        for difference in differences:
            _compare(difference, advance, hashed=hashed)
        return differences
    waiting: SimpleQueue[Difference] = SimpleQueue()
    for difference in differences:
        waiting.put(difference)
    feed: Feed[int | None] = Feed(EVENTS)  # bytes that were compared; None after each pair

    def compare() -> None:
        wanted = True
        while wanted:
            try:
                difference = waiting.get_nowait()
            except Empty:  # the rest is done, or others are at it
                return
            wanted = _compare(difference, feed.put, hashed=hashed) and feed.put(None)

    left = len(differences)
    try:
        for _ in range(min(workers, left)):
            feed.start(compare, "compare")
        while left:
            nbytes = feed.take()
            if nbytes is None:
                left -= 1
            else:
                advance(nbytes)
    finally:
        feed.close()
    return differences


def _compare(difference: Difference, tell: Callable[[int], bool], *, hashed: bool) -> bool:
    """Compare a pair; False if nobody wants to know any more, which ``tell`` says."""
    source, target = difference.source.chunks(), difference.target_chunks()
    running = hashlib.sha256()
    untold = 0
    for expected, found in zip_longest(source, target, fillvalue=b""):
        difference.compare(expected, found)
        if hashed:
            running.update(found)
        untold += len(expected)
        if untold >= STEP:
            if not tell(untold):
                return False
            untold = 0
    difference.finish()
    if hashed:
        difference.sha256 = running.hexdigest()
    return not untold or tell(untold)
