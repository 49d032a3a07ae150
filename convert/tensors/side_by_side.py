"""Tensors worked on by as many threads as there are processors, each tensor by one of them.

Reading, checksums and NumPy's arithmetic release the GIL, so the threads really run side by side.
Where the arithmetic is many small steps, forks do it for them (:mod:`.aside`).
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, TypeVar

from ..errors import Gpt2ConvertError
from ..io.feed import Feed
from ..io.processors import count_processors
from .aside import start_forks
from .watched import watch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any, Final

    import numpy.typing as npt

    from .aside import Aside
    from .tensor import LazyTensor

    Advance = Callable[[int], None]

T = TypeVar("T")

MOST_WORKERS: Final = 8
"""Threads: each may hold some chunks, and memory is filled no faster by more."""
SHARE: Final = 4 << 20
"""Bytes for a thread: where there are fewer, to start one costs more than it saves."""
_STEP: Final = 8 << 20
"""Bytes between two reports of progress: each wakes up another thread."""
_EVENTS: Final = 64
"""Reports of progress that may wait."""


class _UnwantedError(Exception):
    """Nobody waits for the work any more."""


def count_workers(tensors: Sequence[LazyTensor]) -> int:
    """Return how many threads work on them at the same time; one is that of the caller."""
    return max(1, min(count_processors(), MOST_WORKERS, len(tensors), count_shares(tensors)))


def count_shares(tensors: Iterable[LazyTensor]) -> int:
    """Return how many threads have enough to do with them; 0 where a single one has not."""
    return sum(tensor.nbytes for tensor in tensors) // SHARE


def read_arrays(
    tensors: Sequence[LazyTensor], advance: Advance | None = None
) -> list[npt.NDArray[Any]]:
    """Return all tensors as arrays, in their order; as :func:`work_on_tensors` otherwise."""
    return work_on_tensors(tensors, lambda tensor: tensor.array(), advance)


def work_on_tensors(
    tensors: Sequence[LazyTensor],
    work: Callable[[LazyTensor], T],
    advance: Advance | None = None,
    passes: int = 1,
    aside: Aside[T] | None = None,
) -> list[T]:
    """Return what ``work`` returns for each tensor, in their order.

    It is called in several threads at the same time, for the largest tensors first. ``advance`` is
    called in that of the caller, with numbers of bytes that add up to those of all tensors;
    ``passes`` is how often ``work`` reads each of them. It may have forks do it, ``aside``.

    Raises:
        Gpt2ConvertError: that of the first tensor, in their order, which cannot be read.
    """
    # The largest first: one that is begun last would keep one thread when the others are done.
    return work_side_by_side(
        sorted(range(len(tensors)), key=lambda number: -tensors[number].nbytes),
        lambda number, tell: _tell_all(tensors[number], work, tell, passes),
        advance or (lambda _: None),
        count_workers(tensors),
        "reading",
        aside,
    )


def work_side_by_side(
    order: Sequence[int],
    work: Callable[[int, Advance], T],
    report: Advance,
    workers: int,
    name: str,
    aside: Aside[T] | None = None,
) -> list[T]:
    """Return what ``work`` returns for each number from 0 on, in their order.

    It is called in so many threads called ``name``, for the numbers in ``order``; a single one is
    that of the caller, and takes them as they follow each other. ``work`` is given a function that
    it tells of the bytes it is done with. ``report`` is called in the thread of the caller, with
    numbers of bytes that add up to these. If there are forks ``aside``, each has a thread that
    waits for it, and one more works itself.

    Raises:
        Gpt2ConvertError: that of the least number for which ``work`` raises one.
    """
    if workers < 2:
        return [work(number, report) for number in range(len(order))]
    results: dict[int, T] = {}
    errors: dict[int, Gpt2ConvertError] = {}
    waiting: SimpleQueue[int] = SimpleQueue()
    for number in order:
        waiting.put(number)
    feed: Feed[int | None] = Feed(_EVENTS)  # bytes that were used; None from each thread at the end

    def check_wanted(number: int) -> None:
        # What comes after one that fails is not wanted; what comes before may fail, too.
        if not feed.wanted or (errors and number > min([*errors])):  # a copy: the others go on
            raise _UnwantedError

    def run(do: Callable[[int, Advance], T]) -> None:
        untold = 0

        def tell_of(number: int, nbytes: int) -> None:
            nonlocal untold
            untold += nbytes
            if untold >= _STEP:
                feed.put(untold)
                untold = 0
            check_wanted(number)

        while feed.wanted:
            try:
                number = waiting.get_nowait()
            except Empty:
                break
            with suppress(_UnwantedError):
                check_wanted(number)
                try:
                    results[number] = do(number, partial(tell_of, number))
                except Gpt2ConvertError as error:
                    errors[number] = error
        if untold:
            feed.put(untold)
        feed.put(None)

    with start_forks(work, aside) as forks:
        threads = [*(fork.do for fork in forks), work] if forks else [work] * workers
        left = min(len(threads), len(order))
        try:
            for do in threads[:left]:
                feed.start(partial(run, do), name)
            while left:
                nbytes = feed.take()
                if nbytes is None:
                    left -= 1
                else:
                    report(nbytes)
        finally:
            for fork in forks:
                fork.kill()
            feed.close()
    if errors:
        raise errors[min(errors)]
    return [results[number] for number in range(len(order))]


def _tell_all(tensor: LazyTensor, work: Callable[[LazyTensor], T], tell: Advance, passes: int) -> T:
    """Do the work, and tell of just as many bytes as the tensor has, however many were read."""
    read, told, most = 0, 0, tensor.nbytes * passes

    def advance(nbytes: int) -> None:
        nonlocal read, told
        read = min(read + nbytes, most)
        tell(read // passes - told)
        told = read // passes

    result = work(watch(tensor, advance))
    if told < tensor.nbytes:
        tell(tensor.nbytes - told)
    return result
