"""One fetch at a time in a folder: a lock that ends with the process that holds it (flock).

Another one waits as long as this one gets on, which the time of the file that is locked shows: it
finds the work done, or does it. The file goes with the folder that it lies in, so whoever gets the
lock looks whether both still have their names. Everything is reached through descriptors, since in
a folder that others may write a name belongs to nobody.
"""

from __future__ import annotations

import fcntl
import os
import stat
import time
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple

from ..errors import TargetError
from ..io.private_folder import identify, open_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Final

    from ..progress import Progress

LOCK: Final = ".lock"
WAITING: Final = "waiting"
"""The phase in which another fetch is at work in the folder."""
PATIENCE_SECONDS: float = 60
"""Another fetch that does nothing for so long is not waited for."""
POLL_SECONDS: Final = 0.1
_SIGN_SECONDS: Final = 1
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Held(NamedTuple):
    """A folder, the private one within it that is locked, and the lock; all are open."""

    outer: int
    fd: int
    lock: int


@contextmanager
def hold_lock(folder: Path, name: str, progress: Progress) -> Iterator[Held]:
    """Be the one fetch that is at work in ``folder / name``; both are made if they are missing.

    Raises:
        TargetError: it is somebody else's, or another fetch does not get on.
        OSError: it cannot be made, or the file system knows no locks.
    """
    while True:
        with ExitStack() as opened:
            # Whoever was at work may have removed it again, if it was made for nothing.
            os.makedirs(folder, exist_ok=True)
            outer = opened.enter_context(open_folder(folder))
            try:
                fd = _open_private(outer, name, folder / name)
                opened.callback(os.close, fd)
                flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
                lock = os.open(LOCK, flags, 0o600, dir_fd=fd)
            except FileNotFoundError:
                continue  # removed at this moment
            opened.callback(os.close, lock)
            _wait(lock, folder, progress)
            if _is_named(outer, name, fd) and _is_named(fd, LOCK, lock):
                yield Held(outer, fd, lock)
                return


def show_life(held: Held, progress: Progress) -> Progress:
    """Return ``progress`` that also shows those who wait for the lock that this fetch gets on."""
    last = 0.0

    def watch(phase: str, done: int, total: int) -> None:
        nonlocal last
        progress(phase, done, total)
        if (now := time.monotonic()) - last >= _SIGN_SECONDS:
            last = now
            with suppress(OSError):
                os.utime(held.lock)

    return watch


def _open_private(outer: int, name: str, path: Path) -> int:
    """Return the descriptor of a folder that this user alone can enter."""
    with suppress(FileExistsError):
        os.mkdir(name, 0o700, dir_fd=outer)
    try:
        fd = os.open(name, _FOLDER, dir_fd=outer)
    except NotADirectoryError:
        raise _is_not_ours(path) from None
    except OSError:
        if os.path.islink(path):
            raise _is_not_ours(path) from None
        raise
    status = os.fstat(fd)
    if status.st_uid != os.geteuid():
        os.close(fd)
        raise _is_not_ours(path)
    if stat.S_IMODE(status.st_mode) & 0o077:
        with suppress(OSError):  # some file systems know no modes
            os.fchmod(fd, 0o700)
    return fd


def _is_not_ours(path: Path) -> TargetError:
    return TargetError(f"{path}: is not a folder of this user; remove it")


def _wait(lock: int, folder: Path, progress: Progress) -> None:
    """Wait for the lock as long as the one who has it gets on."""
    seen, since = None, time.monotonic()
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pass
        else:
            return
        if (sign := os.fstat(lock).st_mtime_ns) != seen:
            seen, since = sign, time.monotonic()
        if time.monotonic() - since > PATIENCE_SECONDS:
            raise TargetError(
                f"{folder}: another fetch is at work there and has done nothing for "
                f"{PATIENCE_SECONDS:g} s; end it, or name another folder"
            )
        progress(WAITING, 0, 0)
        time.sleep(POLL_SECONDS)


def _is_named(folder: int, name: str, fd: int) -> bool:
    """Whether what is open is what has that name, and not something that was removed."""
    try:
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return identify(found) == identify(os.fstat(fd))
