"""Work that forks of this process do, item by item, each for a thread that waits for it.

NumPy releases the GIL in each of its steps, but where a step takes some microseconds, threads spend
as long on handing it to each other: to round a number to float16 and find what it lost takes 2.0 ns
in one thread, 3.4 in each of two, and 2.2 in each of two processes.

What a fork finds comes back as bytes. What it does not do, because it cannot, is killed, or finds
more than there is a short answer for, the thread does itself. So no result and no error depends on
there being a fork, and there is none where it might wait for a lock that nobody releases.

A request is the number of an item. The answer is how many bytes the work has told of, how long the
result is, and the result; a fork that has none ends.
"""

from __future__ import annotations

import os
import struct
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from threading import active_count
from typing import TYPE_CHECKING, Generic, TypeVar

from ..io.fork import Fork
from ..io.processors import count_processors
from .runs import Seekable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import IO, Final

    from .tensor import LazyTensor

    Advance = Callable[[int], None]

T = TypeVar("T")

MOST_FORKS: Final = 2
"""Forks at a time: each has up to 30 MB of its own, and all of it is to stay below 100."""
SHARE: Final = 16 << 20
"""Bytes for a fork: it takes five milliseconds, and a page fault for whatever it changes."""
_REQUEST: Final = struct.Struct("=I")
_ANSWER: Final = struct.Struct("=QQ")
"""Bytes told of, and those of the result."""


@dataclass(frozen=True, slots=True)
class Aside(Generic[T]):
    """How many forks may do work whose results are of type T, and how a result gets back.

    ``dump`` is called in a fork, with the number of an item and its result, and returns None for
    one that cannot be told; ``load`` makes a result of the bytes here.
    """

    forks: int
    dump: Callable[[int, T], bytes | None]
    load: Callable[[int, bytes], T]


def count_forks(tensors: Iterable[LazyTensor]) -> int:
    """Return how many forks may work on the tensors, beside this process, and have enough to do."""
    tensors = tuple(tensors)
    # Other threads may hold locks. What is not read at offsets comes out of a stream that two
    # processes would both take from.
    if active_count() > 1 or not all(isinstance(each.read, Seekable) for each in tensors):
        return 0
    shares = sum(each.nbytes for each in tensors) // SHARE
    return max(0, min(MOST_FORKS, count_processors() - 1, shares - 1, len(tensors) - 1))


@contextmanager
def start_forks(
    work: Callable[[int, Advance], T], aside: Aside[T] | None
) -> Iterator[list[ForkedWork[T]]]:
    """Yield what has forks do the work; they have the memory of now, and end with the block.

    There may be fewer than asked for, and one that is not there leaves its work to the caller.
    """
    made: list[ForkedWork[T]] = []
    try:
        if aside is not None:
            with suppress(OSError):  # too many processes, or too little memory
                for _ in range(aside.forks):
                    made.append(ForkedWork(work, aside))
                    made[-1].start()
        yield made
    finally:
        for each in made:
            each.end()


class ForkedWork(Generic[T]):
    """Work that a fork does as long as it lives, and the caller if not."""

    __slots__ = ("_answers", "_aside", "_fork", "_requests", "_work")

    def __init__(self, work: Callable[[int, Advance], T], aside: Aside[T]) -> None:
        self._work = work
        self._aside = aside
        self._fork = Fork()
        self._requests: IO[bytes] | None = None
        self._answers: IO[bytes] | None = None

    def start(self) -> None:
        """Fork.

        Raises:
            OSError: no process or no pipe is to be had.
        """
        with ExitStack() as there:
            theirs, requests = os.pipe()
            self._requests = os.fdopen(requests, "wb", 0)
            there.callback(os.close, theirs)
            answers, back = os.pipe()
            self._answers = os.fdopen(answers, "rb")
            there.callback(os.close, back)
            self._fork.start(partial(self._serve, theirs, back))

    def do(self, number: int, tell: Advance) -> T:
        """Return the result for an item; raises what the work raises."""
        answer = self._ask(number)
        if answer is None:
            self._close()  # so that it is asked nothing more
            return self._work(number, tell)
        told, result = answer
        tell(told)
        return self._aside.load(number, result)

    def kill(self) -> None:
        """End the fork at once; who waits for an answer does the work."""
        self._fork.kill()

    def end(self) -> None:
        """End the fork."""
        self._close()
        self._fork.end()

    def _close(self) -> None:
        for pipe in (self._requests, self._answers):
            if pipe is not None:
                pipe.close()

    def _ask(self, number: int) -> tuple[int, bytes] | None:
        if self._requests is None or self._answers is None or self._requests.closed:
            return None
        try:
            self._requests.write(_REQUEST.pack(number))
        except BrokenPipeError:  # it was killed
            return None
        head = self._answers.read(_ANSWER.size)
        if len(head) < _ANSWER.size:
            return None
        told, size = _ANSWER.unpack(head)
        result = self._answers.read(size)
        return (told, result) if len(result) == size else None

    def _serve(self, requests: int, answers: int) -> None:
        """Be the fork: answer as long as somebody asks and there is a result.

        Whatever is raised, the caller runs into it as well, where it can be raised.
        """
        self._close()
        with open(answers, "wb") as file:
            while len(request := os.read(requests, _REQUEST.size)) == _REQUEST.size:
                told, result = self._find(*_REQUEST.unpack(request))
                if result is None:
                    return
                file.write(_ANSWER.pack(told, len(result)) + result)
                file.flush()

    def _find(self, number: int) -> tuple[int, bytes | None]:
        told = 0

        def tell(nbytes: int) -> None:
            nonlocal told
            told += nbytes

        result = self._aside.dump(number, self._work(number, tell))
        return told, result
