"""Ctrl-C and its relatives: the job unwinds once, so that partial files are removed on the way."""

from __future__ import annotations

import signal
import sys
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


def catch_signals() -> None:
    """Let SIGNALS raise KeyboardInterrupt, the first of them only: a second disturbs no clean-up.

    Under nohup, or in the background of a shell without job control, a signal arrives ignored and
    stays so.
    """
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)
    _have_warning_of_the_last_second()
    # An exception in a destructor cannot go anywhere, and Python would print it with a traceback.
    sys.unraisablehook = _complain_unless_interrupted


def received() -> int | None:
    """Return the number of the signal that has arrived first, if any has."""
    return _received[0] if _received else None


def describe_interruption() -> str:
    """Return the words for what has ended the job, other than Ctrl-C's with the signal's name."""
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


def _have_warning_of_the_last_second() -> None:
    """Get SIGXCPU a second before SIGKILL, where both would come at once, as after ulimit -t."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_CPU)
    if hard != resource.RLIM_INFINITY and hard > 1 and soft in (hard, resource.RLIM_INFINITY):
        resource.setrlimit(resource.RLIMIT_CPU, (hard - 1, hard))


def _interrupt(number: int, frame: FrameType | None) -> None:
    first = not _received
    _received.append(number)
    if first:
        raise KeyboardInterrupt


def _complain_unless_interrupted(problem: sys.UnraisableHookArgs) -> None:
    if not _received:
        sys.__unraisablehook__(problem)
