"""A target that appears whole or not at all; here what holds for any, and the file.

It is written under another name beside the target (``<target>.<random>.partial``), made durable
with fsync, and given its name only when the caller's block has ended without an error; until then
an older target is untouched. After an error or Ctrl-C the partial one is removed. Only SIGKILL or a
power cut can leave one; nothing ever reads or reuses it, so it may be deleted.
"""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import Advice, TargetError, TargetExistsError, UsageError
from .os_errors import os_errors_as
from .signals import hold_signals

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from contextlib import AbstractContextManager
    from typing import Final

PARTIAL: Final = ".partial"
_MAX_NAME: Final = 255
"""Bytes of a file name on every common file system."""


def check_target(target: Path, *, force: bool, sources: Collection[tuple[int, int]]) -> Path:
    """Return where ``target`` really lies, symbolic links followed, if it may be written.

    ``sources`` are the (device, inode) pairs of files that must not be replaced.

    Raises:
        TargetExistsError: it exists and ``force`` is off.
        TargetError: it is no regular file, or its folder is missing.
        UsageError: it is one of the sources.
    """
    with blame(target):
        final, status = locate(target)
        if status is not None:
            if (status.st_dev, status.st_ino) in sources:
                raise UsageError(f"{target}: source and target are the same file")
            if stat.S_ISDIR(status.st_mode):
                raise TargetError(f"{target}: is a folder; name a file in it")
            if not stat.S_ISREG(status.st_mode):
                raise TargetError(f"{target}: is not a regular file, and would be replaced by one")
            require_force(target, force)
    return final


@contextmanager
def partial_file(target: Path, *, force: bool) -> Iterator[Path]:
    """Yield the path of a new empty file that becomes ``target`` when the block ends well.

    Its permissions are what the umask leaves of rw-rw-rw-. With ``force`` it replaces a file that
    is there by then; without, it does not.

    Raises:
        TargetError: it cannot be created, written or renamed (the disk is full, for example).
        TargetExistsError: another program has put a file there in the meantime.
    """
    partial = beside(target, PARTIAL)
    with blame(target), removing_at_the_end(partial, os.unlink):
        os.close(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666))
        yield partial
        sync(partial)
        _rename(partial, target, force=force)
        sync_names(target.parent)


@contextmanager
def removing_at_the_end(partial: Path, remove: Callable[[Path], None]) -> Iterator[None]:
    """Take away what has the partial name when the block has ended, in whatever way it did."""
    try:
        yield
    finally:
        try:
            with hold_signals():
                clear(partial, remove)
        except BaseException:
            clear(partial, remove)  # for a signal that came before they were held
            raise


def blame(target: Path) -> AbstractContextManager[None]:
    """Turn an OSError of the block into a TargetError that names ``target``."""
    return os_errors_as(TargetError, f"{target}: cannot be written")


def locate(target: Path) -> tuple[Path, os.stat_result | None]:
    """Return where ``target`` really lies, symbolic links followed, and what is there, if anything.

    Raises:
        TargetError: its folder is missing.
        OSError: the operating system will not tell.
    """
    try:
        final = Path(os.path.realpath(target))
    except FileNotFoundError:  # only from asking for the working directory
        raise TargetError(
            f"{target}: cannot be written: the working directory was deleted; name a full path"
        ) from None
    try:
        return final, os.stat(target)
    except FileNotFoundError:
        if not final.parent.is_dir():
            raise TargetError(
                f"{target}: cannot be written: there is no folder {final.parent}"
            ) from None
        return final, None


def require_force(target: Path, force: bool, what: str = "exists already") -> None:
    """Refuse a target that exists, unless it may be replaced.

    Raises:
        TargetExistsError: ``force`` is off.
    """
    if not force:
        raise TargetExistsError(f"{target}: {what}", Advice("{} replaces it", "force", True))


def beside(target: Path, suffix: str) -> Path:
    """Return a new name beside ``target``: its own, cut where it must be, and a random suffix."""
    suffix = f".{os.urandom(4).hex()}{suffix}"
    stem = target.name
    while len(os.fsencode(stem)) + len(suffix) > _MAX_NAME:
        stem = stem[:-1]
    return target.with_name(stem + suffix)


def sync(path: Path) -> None:
    """Have the operating system put a file, or the names in a folder, on the disk."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def sync_names(folder: Path) -> None:
    """Put a target's new name on the disk, where the file system can sync a folder.

    An error is not reported: the target is whole, and an older one cannot be had back.
    """
    with suppress(OSError):
        sync(folder)


def clear(path: Path, remove: Callable[[Path], None]) -> None:
    """Remove what is in the way, if that can be done.

    An error is none of the conversion's: by now the target is whole, or a better reason is on its
    way to the caller. What stays behind says by its name what it is.
    """
    with suppress(OSError):
        remove(path)


def _rename(partial: Path, target: Path, *, force: bool) -> None:
    if force:
        os.replace(partial, target)
        return
    try:
        # link fails where rename would replace a file that another program has put there.
        os.link(partial, target)
    except OSError:
        if os.path.lexists(target):
            require_force(target, force, "was created meanwhile")
        os.rename(partial, target)  # a file system without hard links
