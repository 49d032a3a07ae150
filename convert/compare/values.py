"""Pairs of tensors compared by threads, chunk by chunk; forks do what is cast meanwhile."""

from __future__ import annotations

import hashlib
import json
from itertools import zip_longest
from typing import TYPE_CHECKING

from ..io.memory import keep_freed_memory
from ..tensors.aside import Aside, count_forks
from ..tensors.loss import TensorLoss
from ..tensors.side_by_side import work_side_by_side
from .difference import Difference

if TYPE_CHECKING:
    from typing import Final

    from ..progress import Progress
    from ..tensors.loss import CastLoss
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
    loss: CastLoss | None = None,
) -> list[Difference]:
    """Compare the pairs and return a difference for each, in their order; true where there is one.

    ``workers`` threads compare a pair each; a single one is that of the caller. With ``hashed`` the
    target's bytes are digested, too. ``loss`` is what collects the errors of the casts that the
    sources go through, if they do.

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
    aside = None
    # Of what is within a tolerance a fork would have as much to tell as of what differs.
    if workers > 1 and loss is not None and tolerance.exact:
        aside = _set_aside(pairs, loss)
    # In their order, in which a disk has them next to each other.
    return work_side_by_side(range(len(pairs)), compare, advance, workers, "compare", aside)


def _set_aside(pairs: list[tuple[LazyTensor, LazyTensor]], loss: CastLoss) -> Aside[Difference]:
    """Return how forks tell that a pair is equal, with the digest and what the cast has lost."""

    def dump(number: int, difference: Difference) -> bytes | None:
        if difference:
            return None
        lost = loss.tensors.get(pairs[number][0].name)
        return json.dumps([difference.sha256, lost and lost.as_json()]).encode("ascii")

    def load(number: int, result: bytes) -> Difference:
        difference = Difference(*pairs[number])
        difference.sha256, lost = json.loads(result)
        if lost is not None:
            loss.tensors[difference.source.name] = TensorLoss(**lost)
        return difference

    return Aside(count_forks(tensor for pair in pairs for tensor in pair), dump, load)


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
