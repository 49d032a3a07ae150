"""Pairs of tensors compared by threads, chunk by chunk."""

from __future__ import annotations

import hashlib
from itertools import zip_longest
from typing import TYPE_CHECKING

from ..io.memory import keep_freed_memory
from ..tensors.side_by_side import work_side_by_side
from .difference import Difference

if TYPE_CHECKING:
    from typing import Final

    from ..progress import Progress
    from ..tensors.side_by_side import Advance
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

    def advance(nbytes: int) -> None:
        nonlocal done
        done += nbytes
        progress("verifying", done, total)

    def compare(number: int, tell: Advance) -> Difference:
        difference = Difference(*pairs[number], tolerance, mapped=number < _MAPPED)
        _compare(difference, tell, hashed=hashed)
        return difference

    keep_freed_memory()
    progress("verifying", 0, total)
    # In their order, in which a disk has them next to each other.
    return work_side_by_side(range(len(pairs)), compare, advance, workers, "compare")


def _compare(difference: Difference, tell: Advance, *, hashed: bool) -> None:
    """Compare a pair, and tell of the bytes of the source."""
    source, target = difference.source.chunks(), difference.target_chunks()
    running = hashlib.sha256()
    for expected, found in zip_longest(source, target, fillvalue=b""):
        difference.compare(expected, found)
        if hashed:
            running.update(found)
        tell(len(expected))
    difference.finish()
    if hashed:
        difference.sha256 = running.hexdigest()
