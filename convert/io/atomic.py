"""A target that appears whole or not at all; here what holds for any, and the file.

It is written in a folder beside the target that nobody else can enter (:mod:`.private_folder`),
made durable with fsync, and given its name only when the caller's block has ended without an error;
until then an older target is untouched. After an error or Ctrl-C the folder is removed. Only
SIGKILL or a power cut can leave one; nothing ever reads or reuses it, so it may be deleted.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import Advice, TargetError, TargetExistsError, UsageError
from .os_errors import os_errors_as
from .permissions import keep_permissions
from .private_folder import PrivateFolder, identify, open_folder, private_folder
from .rename import rename_new

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from contextlib import AbstractContextManager
    from typing import Final, TypeAlias

    Identities: TypeAlias = Collection[tuple[int, int]]
    """Devices and inodes of what must not be replaced."""

_NO_LINKS: Final = (
    errno.EACCES, errno.EINVAL, errno.EMLINK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM,
    errno.EXDEV,
)  # fmt: skip
"""What file systems say that have no hard links, or none between two folders."""


@dataclass(frozen=True, slots=True)
class Partial:
    """A target while it is made: a path by which it can be opened until the block ends.

    ``left`` says, when the block has ended, what could not be removed.
    """

    path: Path
    left: list[str]


def protect(sources: Iterable[Path]) -> frozenset[tuple[int, int]]:
    """Return the identities of files and of all folders above them.

    A path would not do: a folder may have two, by a bind mount.
    """
    found = set()
    for source in sources:
        real = Path(os.path.realpath(source))
        for path in (real, *real.parents):
            with suppress(OSError):  # gone meanwhile, so nothing can replace it
                found.add(identify(os.stat(path)))
    return frozenset(found)


def check_target(target: Path, *, force: bool, sources: Identities) -> Path:
    """Return where ``target`` really lies, symbolic links followed, if it may be written.

    Raises:
        TargetExistsError: it exists and ``force`` is off.
        TargetError: it is no regular file, or its folder is missing.
        UsageError: it is one of the ``sources``.
    """
    with blame(target):
        final, status = locate(target)
        if status is not None:
            _check_file(target, status, sources)
            require_force(target, force)
    return final


@contextmanager
def partial_file(target: Path, *, force: bool, sources: Identities = ()) -> Iterator[Partial]:
    """Yield a new empty file that becomes ``target`` when the block ends well.

    With ``force`` it replaces a file that is there by then, whose owner, group and permissions it
    takes over as far as that is allowed; without, it replaces nothing, and its permissions are what
    the umask leaves of rw-rw-rw-.

    Raises:
        TargetError: it cannot be created, written or renamed (the disk is full, for example), or
            another user has a hand in it.
        TargetExistsError: another program has put a file there in the meantime.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with blame(target), private_folder(target, _remove_file) as private:
        fd = os.open(private.inside.name, flags, 0o666, dir_fd=private.fd)
        try:
            yield Partial(private.reach(), private.left)
            if force:
                _take_over(private, fd, sources)
            os.fsync(fd)
            private.check(fd)
            _give_name(private, force=force)
        finally:
            os.close(fd)
        sync_names(target.parent)


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


def sync_names(folder: Path) -> None:
    """Put a target's new name on the disk, where the file system can sync a folder.

    An error is not reported: the target is whole, and an older one cannot be had back.
    """
    with suppress(OSError), open_folder(folder) as fd:
        os.fsync(fd)


def _check_file(target: Path, status: os.stat_result, sources: Identities) -> None:
    if identify(status) in sources and not stat.S_ISDIR(status.st_mode):
        raise UsageError(f"{target}: source and target are the same file")
    if stat.S_ISDIR(status.st_mode):
        raise TargetError(f"{target}: is a folder; name a file in it")
    if not stat.S_ISREG(status.st_mode):
        raise TargetError(f"{target}: is not a regular file, and would be replaced by one")


def _take_over(private: PrivateFolder, fd: int, sources: Identities) -> None:
    """Give the new file the permissions of the one that it will replace, if that is still one."""
    outside = private.outside
    with suppress(FileNotFoundError):
        older = os.stat(outside.name, dir_fd=outside.folder, follow_symlinks=False)
        _check_file(private.target, older, sources)
        keep_permissions(fd, older)


def _give_name(private: PrivateFolder, *, force: bool) -> None:
    inside, outside = private.inside, private.outside
    if force:
        os.replace(inside.name, outside.name, src_dir_fd=inside.folder, dst_dir_fd=outside.folder)
        return
    try:
        # link fails where rename would replace a file that another program has put there.
        os.link(
            inside.name,
            outside.name,
            src_dir_fd=inside.folder,
            dst_dir_fd=outside.folder,
            follow_symlinks=False,
        )
    except FileExistsError:
        require_force(private.target, False, "was created meanwhile")
    except OSError as error:
        try:
            renamed = rename_new(inside, outside)
        except FileExistsError:
            require_force(private.target, False, "was created meanwhile")
        if renamed:
            return
        if error.errno in _NO_LINKS:
            raise TargetError(
                f"{private.target}: cannot be written: this file system has neither hard links nor "
                "a rename that replaces nothing, so that a file which another program puts there "
                "could be lost",
                Advice("{} allows that", "force", True),
            ) from None
        raise


def _remove_file(private: PrivateFolder) -> None:
    with suppress(FileNotFoundError):
        os.unlink(private.inside.name, dir_fd=private.fd)
