"""What may get in the way of a conversion."""

from __future__ import annotations

import ctypes
import os
import resource
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def at(phase: str, action: Callable[[], object]) -> Callable[[str, int, int], None]:
    """Return a progress callback that acts once, when ``phase`` begins."""
    acted = False

    def watch(now: str, done: int, total: int) -> None:
        nonlocal acted
        if now == phase and not acted:
            acted = True
            action()

    return watch


@contextmanager
def ordinary_user() -> Iterator[None]:
    """Act without the super-user's rights, which know no unwritable folder."""
    if os.geteuid():
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


_PR_CAPBSET_DROP = 24
_CAP_DAC_OVERRIDE = 1
_CAP_SYS_ADMIN = 21
_CAP_SYS_RESOURCE = 24


def _drop(*capabilities: int) -> None:
    """Do without what the super-user may beyond others, from the next program on."""
    for number in capabilities:
        ctypes.CDLL(None).prctl(_PR_CAPBSET_DROP, number, 0, 0, 0)


def keep_permissions() -> None:
    """Be stopped by permissions, as a program that is about to start; they do not stop root."""
    if not os.geteuid() and sys.platform == "linux":
        _drop(_CAP_DAC_OVERRIDE)


def allow_processes(count: int) -> Callable[[], None]:
    """Return what allows a program that is about to start so many processes and threads.

    They are counted by user, and not for root. So root becomes a user who has no others, and keeps
    the rights to its files. Another user may have more already, who then can start none.
    """
    user = 60_000 + os.getpid() % 5_000

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_NPROC, (count, count))
        if not os.geteuid() and sys.platform == "linux":
            _drop(_CAP_SYS_ADMIN, _CAP_SYS_RESOURCE)
            os.setresuid(user, 0, 0)

    return limit


def can_limit_processes() -> bool:
    """Whether `allow_processes` has an effect here."""
    program = "import threading; threading.Thread(target=int).start()"
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, check=False, preexec_fn=allow_processes(1))
    return done.returncode != 0


def can_be_stopped_by_permissions(folder: str | os.PathLike[str]) -> bool:
    """Whether `keep_permissions` has an effect here, on a folder that may not be written."""
    program = "import os, sys; os.mkdir(os.path.join(sys.argv[1], 'x'))"
    command = [sys.executable, "-c", program, folder]
    done = subprocess.run(command, capture_output=True, check=False, preexec_fn=keep_permissions)
    return done.returncode != 0
