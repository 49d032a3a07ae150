"""A fork of this process, which works for it and never goes on where this one does.

It has the memory and the open files of the moment at which it began, and of the threads only the
one that began it: a lock that another held is never released there.
"""

from __future__ import annotations

import gc
import os
import signal
import warnings
from contextlib import suppress
from typing import TYPE_CHECKING

from .signals import hold_signals

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final, NoReturn

CRASHES: Final = (
    signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGFPE, signal.SIGILL, signal.SIGTRAP,
)  # fmt: skip
_ITS_OWN: Final = {
    *CRASHES, signal.SIGPROF, signal.SIGXCPU, signal.SIGSYS, signal.SIGCHLD, signal.SIGCONT,
    signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU,
}  # fmt: skip
"""Signals that mean the fork. All others are sent to both processes, by a terminal for example,
and it is for the parent to act upon them."""
_ENDED: Final = 3
"""The exit code of a fork that has come to its end; how it did, it has said itself."""


class Fork:
    """The process, from its start to its end."""

    __slots__ = ("_code", "_pid")

    def __init__(self) -> None:
        self._pid = 0
        self._code: int | None = None

    def start(self, run: Callable[[], object]) -> None:
        """Fork, and call ``run`` there; with that the fork ends, and tells nobody of an exception.

        Raises:
            OSError: no process is to be had.
        """
        # No handler of this process is to run in the fork, or before its number is known.
        with hold_signals(), warnings.catch_warnings():
            # Python 3.12 warns of threads whose locks a fork would wait for. What a fork does here
            # takes none that it did not make.
            warnings.simplefilter("ignore", DeprecationWarning)
            mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
            try:
                self._pid = os.fork()
                if not self._pid:
                    _be_fork(run)
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    def kill(self) -> None:
        """End it at once, if it has not ended; nothing is waited for."""
        if self._pid:
            # One that has ended keeps its own exit code.
            with suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)

    def end(self) -> int | None:
        """End it, if it has not; return its exit code, None where nobody can tell."""
        self.kill()
        if self._pid:
            # Where SIGCHLD is ignored, or somebody waits for any child, there is none any more.
            with suppress(ChildProcessError):
                self._code = os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])
            self._pid = 0
        return self._code


def _be_fork(run: Callable[[], object]) -> NoReturn:
    try:
        gc.freeze()  # what is garbage here is for the parent to finalize
        _leave_signals_to_parent()
        run()
    finally:
        os._exit(_ENDED)


def _leave_signals_to_parent() -> None:
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_DFL if number in _ITS_OWN else signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
