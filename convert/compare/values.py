"""Pairs of tensors compared by threads, chunk by chunk."""

from __future__ import annotations

import hashlib
import threading
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import zip_longest
from queue import Full, Queue
from typing import TYPE_CHECKING

from ..io.memory import keep_freed_memory
from ..tensors.read_ahead import PATIENCE
from .difference import Difference

if TYPE_CHECKING:
    from concurrent.futures import Future
    from typing import Final

    from ..progress import Progress
    from ..tensors.tensor import LazyTensor
    from ..tensors.tolerance import Tolerance

_EVENTS: Final = 64
"""Reports of progress that may wait."""


def compare_values(
    pairs: list[tuple[LazyTensor, LazyTensor]],
    tolerance: Tolerance,
    progress: Progress,
    workers: int,
    *,
    hashed: bool = False,
) -> list[Difference]:
    """Compare the pairs and return a difference for each, in their order; true where there is one.

    ``workers`` threads compare a pair each. With ``hashed`` the target's bytes are digested, too.

    Raises:
        Gpt2ConvertError: a tensor cannot be read.
    """
    total, done = sum(tensor.nbytes for tensor, _ in pairs), 0
    events: Queue[int | _Compared] = Queue(_EVENTS)
    abandoned = threading.Event()
    keep_freed_memory()
    progress("verifying", 0, total)
    found: list[_Compared] = []
    futures: list[Future[None]] = []
    pool = ThreadPoolExecutor(workers)
    try:
        for number, (tensor, stored) in enumerate(pairs):
            difference = Difference(tensor, stored, tolerance)
            futures.append(
                pool.submit(_compare_pair, number, difference, events, abandoned, hashed)
            )
        while len(found) < len(pairs):
            event = events.get()
            if isinstance(event, int):
                done += event
                progress("verifying", done, total)
            else:
                found.append(event)
                if event.error is not None:
                    break
    finally:
        # After an error, or Ctrl-C, the others stop at their next chunk. One may be stuck in a read
        # that never ends before the caller closes what it reads.
        abandoned.set()
        pool.shutdown(wait=False, cancel_futures=True)
        wait([future for future in futures if not future.cancelled()], PATIENCE)
    for compared in found:
        if compared.error is not None:
            raise compared.error
    found.sort(key=lambda compared: compared.number)
    return [compared.difference for compared in found]


@dataclass(frozen=True, slots=True)
class _Compared:
    """A pair that was compared, or the error that ended that."""

    number: int
    difference: Difference
    error: BaseException | None = None


def _compare_pair(
    number: int,
    difference: Difference,
    events: Queue[int | _Compared],
    abandoned: threading.Event,
    hashed: bool,
) -> None:
    def put(event: int | _Compared) -> bool:
        while not abandoned.is_set():
            try:
                events.put(event, timeout=0.1)
            except Full:
                continue
            return True
        return False

    try:
        source, target = difference.source.chunks(), difference.target_chunks()
        running = hashlib.sha256()
        for expected, found in zip_longest(source, target, fillvalue=b""):
            difference.compare(expected, found)
            if hashed:
                running.update(found)
            if not put(len(expected)):
                return
        difference.finish()
        if hashed:
            difference.sha256 = running.hexdigest()
        put(_Compared(number, difference))
    except BaseException as error:  # noqa: BLE001 - raised again by the caller
        put(_Compared(number, difference, error))
