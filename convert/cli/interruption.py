"""Ctrl-C and its relatives: the job unwinds once, so that partial files are removed on the way."""

from __future__ import annotations

import signal
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType
    from typing import Final

_NOT_CAUGHT: Final = frozenset(
    getattr(signal, name)
    for name in (
        # Nobody can.
        "SIGKILL", "SIGSTOP",
        # They do not end a program.
        "SIGCHLD", "SIGCONT", "SIGINFO", "SIGTSTP", "SIGTTIN", "SIGTTOU", "SIGURG", "SIGWINCH",
        # Python ignores them: the write fails instead.
        "SIGPIPE", "SIGXFSZ",
        # Python runs a handler later, and would go back to what the processor cannot do.
        "SIGBUS", "SIGFPE", "SIGILL", "SIGSEGV",
    )
    if hasattr(signal, name)
)  # fmt: skip
SIGNALS: Final = tuple(sorted(signal.valid_signals() - _NOT_CAUGHT))
"""All that end a program, as long as it may have a say in that."""
_received: Final[list[int]] = []
_OUT_OF_TIME: Final = (signal.SIGPROF, signal.SIGXCPU)
"""Our own timer's signal, and the system's where it comes first."""
_timed = False


def catch_signals() -> None:
    """Let SIGNALS raise KeyboardInterrupt, the first of them only: a second disturbs no clean-up.

    Under nohup, or in the background of a shell without job control, a signal arrives ignored and
    stays so.
    """
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)
    _set_timer()
    # An exception in a destructor cannot go anywhere, and Python would print it with a traceback.
    sys.unraisablehook = _complain_unless_interrupted


def received() -> int | None:
    """Return the number of the signal that has arrived first, if any has."""
    return _received[0] if _received else None


def is_out_of_time() -> bool:
    """Whether what has arrived says that the limit of processor time is near."""
    return _timed and received() in _OUT_OF_TIME


def describe_interruption() -> str:
    """Return the words for what has ended the job, other than Ctrl-C's with the signal's name."""
    if is_out_of_time():
        return "no processor time is left; allow more (ulimit -t)"
    number = received() or signal.SIGINT
    if number == signal.SIGINT:
        return "interrupted"
    try:
        name = signal.Signals(number).name
    except ValueError:  # a real-time signal without a name
        return f"stopped by signal {number}"
    said = signal.strsignal(number)
    return f"stopped by {name} ({said.lower()})" if said else f"stopped by {name}"


def stop_if_interrupted() -> None:
    """Raise the interruption again, if a destructor or another program's callback swallowed it."""
    if _received:
        raise KeyboardInterrupt


def _set_timer() -> None:
    """Be told a second before the limit of processor time, or half-way to a limit of one second.

    After ulimit -t, which sets the soft limit and the hard one, the system kills and does not tell.
    """
    import resource

    global _timed
    limits = resource.getrlimit(resource.RLIMIT_CPU)
    finite = [limit for limit in limits if limit != resource.RLIM_INFINITY]
    if finite:
        left = max(min(finite) - 1, min(finite) / 2) - time.process_time()
        signal.setitimer(signal.ITIMER_PROF, max(left, 0.001))
        _timed = True


def _interrupt(number: int, frame: FrameType | None) -> None:
    first = not _received
    _received.append(number)
    if first:
        raise KeyboardInterrupt


def _complain_unless_interrupted(problem: sys.UnraisableHookArgs) -> None:
    if not _received:
        sys.__unraisablehook__(problem)
