"""A folder that appears whole or not at all, as :mod:`.atomic` does it for a file.

It is filled within a folder that nobody else can enter, made durable, and renamed when the caller's
block has ended without an error. With ``force`` an older folder is exchanged for it in one step
where the system can (:mod:`.rename`), and removed where nobody else can put anything into it.
Elsewhere it is renamed first, and renamed back if the second step fails; a crash between the two
leaves no target, but the older folder as ``<target>.<random>.old``.

A folder that holds anything but the regular files of a model folder is never replaced, and nothing
but these is ever removed: it is listed at the start, right before it is replaced, and once more
when it has lost its name. Should something else appear in it even then, it stays as
``<target>.<random>.old``.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from ..errors import TargetError, UsageError
from .atomic import Partial, blame, locate, require_force, sync_names
from .folder_replacement import NO_LINK, Replacement, check_contents, remove_folder
from .permissions import keep_permissions
from .private_folder import identify, open_folder, private_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from .atomic import Identities
    from .private_folder import PrivateFolder


def check_folder_target(
    target: Path, *, force: bool, sources: Identities, replaceable: Callable[[str], bool]
) -> Path:
    """Return where ``target`` really lies, symbolic links followed, if it may be written.

    ``replaceable`` says of a name whether a regular file of that name may be in a folder that is
    replaced with ``force``.

    Raises:
        TargetExistsError: it exists and ``force`` is off.
        TargetError: it is no folder, holds something else, or its parent is missing.
        UsageError: one of the ``sources`` lies in it.
    """
    with blame(target):
        final, status = locate(target)
        if status is not None:
            if not stat.S_ISDIR(status.st_mode):
                raise TargetError(f"{target}: is a file; name a folder")
            if identify(status) in sources:
                raise UsageError(f"{target}: the source lies in the target folder")
            with open_folder(final, NO_LINK) as fd:
                if check_contents(fd, target, replaceable):
                    require_force(target, force)
    return final


@contextmanager
def partial_folder(
    target: Path, *, force: bool, sources: Identities = (), replaceable: Callable[[str], bool]
) -> Iterator[Partial]:
    """Yield a new empty folder that becomes ``target`` when the block ends well.

    The block writes files of names that are ``replaceable`` only. With ``force``, a folder that is
    there by then is replaced under the same condition as in `check_folder_target`; it and the files
    take over the owner, group and permissions of what they replace, as far as that is allowed.

    Raises:
        TargetError: it cannot be created, written or renamed, or what would be replaced holds
            something else by now, or another user has a hand in it.
        TargetExistsError: another program has put something there in the meantime.
    """

    def remove(private: PrivateFolder) -> None:
        remove_folder(private.inside, replaceable)

    with blame(target), private_folder(target, remove) as private:
        os.mkdir(private.inside.name, dir_fd=private.fd)
        with open_folder(private.inside.name, NO_LINK, private.fd) as fd:
            yield Partial(private.reach(), private.left)
            _take_over(private, fd)
            _sync_contents(fd)
            private.check(fd)
            Replacement(private, sources, replaceable).give_name(force=force)
        sync_names(target.parent)


def _take_over(private: PrivateFolder, fd: int) -> None:
    """Give the new folder and its files the permissions of those that they will replace."""
    outside = private.outside
    try:
        older = os.open(outside.name, NO_LINK, dir_fd=outside.folder)
    except OSError:
        return  # there is none, or none that may be replaced
    try:
        keep_permissions(fd, os.fstat(older))
        for name in os.listdir(fd):
            with suppress(FileNotFoundError):
                status = os.stat(name, dir_fd=older, follow_symlinks=False)
                with _open_file(name, fd) as file:
                    keep_permissions(file, status)
    finally:
        os.close(older)


def _sync_contents(fd: int) -> None:
    for name in os.listdir(fd):
        with _open_file(name, fd) as file:
            os.fsync(file)
    try:
        os.fsync(fd)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some file systems cannot sync a folder
            raise


@contextmanager
def _open_file(name: str, folder: int) -> Iterator[int]:
    fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        yield fd
    finally:
        os.close(fd)
