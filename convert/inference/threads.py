"""One computation in parts, each on a thread of its own.

BLAS has threads, too. They meet at every matrix, some fifty times a token, and spin while they wait
for each other: where other programs want the processors, they are several times slower than one
thread is. And they part a matrix by columns, so that memory is read in short pieces. Here BLAS is
told to use one thread as long as this program computes, and its number of threads becomes that of
the parts.

That works for OpenBLAS, which NumPy's wheels have. With any other library nothing is parted, and
the threads are its own.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, Final

    Task = Callable[[], None]

_EXTENSIONS: Final = ("numpy._core._multiarray_umath", "numpy.core._multiarray_umath")
"""The part of NumPy that is linked with BLAS, as NumPy 2 and 1 call it."""
_SPELLINGS: Final = (
    "scipy_openblas_{}_num_threads64_",
    "scipy_openblas_{}_num_threads",
    "openblas_{}_num_threads64_",
    "openblas_{}_num_threads",
)
"""The names of OpenBLAS's functions in one build or another."""
_PATIENCE: Final = 1.0
"""Seconds after which a thread that has said nothing is looked after."""


@contextmanager
def computing() -> Iterator[None]:
    """Within it, :func:`share` has threads to share work out to, and NumPy complains of nothing.

    One computation has them at a time; another one, in another thread, does all by itself.
    """
    blas = _find_blas()
    count = blas.get() if blas else 1
    with np.errstate(all="ignore"):
        if blas is None or count < 2 or not _State.lock.acquire(blocking=False):
            yield
            return
        try:
            with suppress(RuntimeError):  # there may be no threads to be had
                _State.team, _State.owner = _State.gather(count), threading.get_ident()
                blas.set(1)
            yield
        except BaseException:
            _State.disband()  # something of it may still be going on
            raise
        finally:
            _State.team = None
            blas.set(count)
            _State.lock.release()


def share(count: int, work: Callable[[slice], None], least: int = 1) -> None:
    """Call ``work`` with parts of range(count) that make up the whole, at the same time.

    Each has ``least`` or more of them; where there are too few for two, it is called once. So it is
    within a part, which has but its own thread.
    """
    team = _State.team
    parts = 1
    if team is not None and not team.busy and _State.owner == threading.get_ident():
        parts = max(1, min(team.count, count // least))
    if parts == 1 or team is None:
        work(slice(0, count))
        return
    bounds = [count * number // parts for number in range(parts + 1)]
    team.run(work, [slice(*pair) for pair in pairwise(bounds)])


class _Worker:
    """A thread that does one thing after the other, until one fails."""

    def __init__(self) -> None:
        self.error: BaseException | None = None
        self._task: Task | None = None
        self._ended = False
        self._ready, self._done = threading.Lock(), threading.Lock()
        self._ready.acquire()
        self._done.acquire()
        self._thread = threading.Thread(target=self._serve, name="gpt2-convert inference")
        self._thread.daemon = True
        self._thread.start()

    def start(self, task: Task) -> None:
        """Begin with a task, while there is no other."""
        self._task = task
        self._ready.release()

    def wait(self) -> None:
        """Return when the task is done; ``error`` is what has ended the thread, if it has ended."""
        while not self._done.acquire(timeout=_PATIENCE):
            if not self._thread.is_alive():
                self.error = self.error or RuntimeError("a thread ended before it had begun")
                return

    def end(self) -> None:
        """Let the thread end, after its task if it has one."""
        self._ended = True
        with suppress(RuntimeError):  # it has not even begun with that
            self._ready.release()

    def _serve(self) -> None:
        try:
            with np.errstate(all="ignore"):  # a matter of each thread
                while True:
                    self._ready.acquire()
                    if self._ended or self._task is None:
                        return
                    self._task()
                    self._task = None  # it holds arrays
                    self._done.release()
        except BaseException as error:  # noqa: BLE001 - raised again by whoever waits
            self.error = error
        finally:
            with suppress(RuntimeError):  # nobody has waited for what was done
                self._done.release()


class _Team:
    """Threads that wait for work, one less than parts: whoever asks does one of them."""

    def __init__(self, count: int) -> None:
        """Start the threads.

        Raises:
            RuntimeError: the system has no more.
        """
        self.count = count
        self.busy = False
        self._workers: list[_Worker] = []
        try:
            for _ in range(count - 1):
                self._workers.append(_Worker())
        except BaseException:
            self.disband()
            raise

    def run(self, work: Callable[[slice], None], parts: list[slice]) -> None:
        """Call ``work`` with each part, and return when all are done.

        Raises:
            BaseException: what the first part raised that failed.
        """
        started: list[_Worker] = []
        self.busy = True
        try:
            for worker, part in zip(self._workers, parts[1:], strict=False):
                worker.start(lambda part=part: work(part))  # type: ignore[misc]
                started.append(worker)
            work(parts[0])
        finally:
            for worker in started:
                worker.wait()
            self.busy = False
        for worker in started:
            if worker.error is not None:
                raise worker.error

    def disband(self) -> None:
        """Let the threads end."""
        for worker in self._workers:
            worker.end()


class _State:
    """What all computations of this process have in common.

    ``kept`` is the team of the last one, and ``team`` that of the one that is going on, in the
    thread ``owner``.
    """

    lock = threading.Lock()
    kept: _Team | None = None
    team: _Team | None = None
    owner = 0

    @classmethod
    def gather(cls, count: int) -> _Team:
        """Return a team for that many parts."""
        if cls.kept is None or cls.kept.count != count:
            cls.disband()
            cls.kept = _Team(count)
        return cls.kept

    @classmethod
    def disband(cls) -> None:
        """Let the threads end."""
        if cls.kept is not None:
            cls.kept.disband()
        cls.kept = None


def _forget_threads() -> None:
    """Begin anew in a process that was forked, which has none of the threads."""
    _State.lock = threading.Lock()
    _State.kept = _State.team = None


os.register_at_fork(after_in_child=_forget_threads)


@dataclass(frozen=True, slots=True)
class _Blas:
    """How many threads BLAS uses, to be asked and told."""

    get: Callable[[], int]
    set: Callable[[int], Any]


@cache
def _find_blas() -> _Blas | None:
    """Return the OpenBLAS that NumPy uses, or None if it uses another library."""
    module = next((sys.modules[name] for name in _EXTENSIONS if name in sys.modules), None)
    path = getattr(module, "__file__", None)
    if path is None:
        return None
    library = ctypes.CDLL(path)
    for spelling in _SPELLINGS:
        getter = getattr(library, spelling.format("get"), None)
        setter = getattr(library, spelling.format("set"), None)
        if getter is not None and setter is not None:
            setter.argtypes, setter.restype = [ctypes.c_int], None
            return _Blas(getter, setter)
    return None
