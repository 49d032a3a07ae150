"""A folder that appears whole or not at all, as :mod:`.atomic` does it for a file.

It is filled under another name beside the target (``<target>.<random>.partial``), made durable, and
renamed when the caller's block has ended without an error. With ``force`` an older folder is
exchanged for it in one step where the system can (renameat2 on Linux). Elsewhere it is renamed
first, and renamed back if the second step fails; a crash between the two leaves no target, but the
older folder as ``<target>.<random>.old``. The same name stays after a crash while the older folder,
already replaced, is being removed.

A folder that holds anything but the regular files of a model folder is never replaced, and nothing
but these is ever removed: it is listed at the start, right before it is replaced, and once more
when it has lost its name.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import TargetError, UsageError
from ..quoting import os_reason
from .atomic import (
    PARTIAL,
    beside,
    blame,
    clear,
    locate,
    removing_at_the_end,
    require_force,
    sync,
    sync_names,
)
from .signals import hold_signals

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from typing import Final

_OLD: Final = ".old"
_TAKEN: Final = (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR)
"""What rename says of a folder whose new name belongs to something that it cannot replace."""
_AT_FDCWD: Final = -100
_RENAME_EXCHANGE: Final = 2


def check_folder_target(
    target: Path, *, force: bool, sources: Collection[Path], replaceable: Callable[[str], bool]
) -> Path:
    """Return where ``target`` really lies, symbolic links followed, if it may be written.

    ``sources`` are files that must not be replaced; ``replaceable`` says of a name whether a
    regular file of that name may be in a folder that is replaced with ``force``.

    Raises:
        TargetExistsError: it exists and ``force`` is off.
        TargetError: it is no folder, holds something else, or its parent is missing.
        UsageError: a source lies in it.
    """
    with blame(target):
        final, status = locate(target)
        if status is not None:
            if not stat.S_ISDIR(status.st_mode):
                raise TargetError(f"{target}: is a file; name a folder")
            if any(Path(os.path.realpath(source)).is_relative_to(final) for source in sources):
                raise UsageError(f"{target}: the source lies in the target folder")
            if _check_contents(final, target, replaceable):
                require_force(target, force)
    return final


@contextmanager
def partial_folder(
    target: Path, *, force: bool, replaceable: Callable[[str], bool]
) -> Iterator[Path]:
    """Yield the path of a new empty folder that becomes ``target`` when the block ends well.

    The block writes files of names that are ``replaceable`` only. With ``force``, a folder that is
    there by then is replaced under the same condition as in `check_folder_target`.

    Raises:
        TargetError: it cannot be created, written or renamed, or what would be replaced holds
            something else by now.
        TargetExistsError: another program has put something there in the meantime.
    """
    partial = beside(target, PARTIAL)
    with blame(target), removing_at_the_end(partial, lambda path: _remove(path, replaceable)):
        os.mkdir(partial)
        yield partial
        _sync_contents(partial)
        _rename(partial, target, force=force, replaceable=replaceable)
        sync_names(target.parent)


def _check_contents(folder: Path, target: Path, replaceable: Callable[[str], bool]) -> bool:
    """Whether ``folder`` holds anything; ``target`` is what it is called in an error.

    Raises:
        TargetError: something in it is not replaceable.
        OSError: it is no folder, or may not be listed or emptied.
    """
    if not stat.S_ISDIR(os.lstat(folder).st_mode):  # a link would be replaced itself
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
    with os.scandir(folder) as entries:
        found = sorted((entry.name, entry.is_file(follow_symlinks=False)) for entry in entries)
    for name, is_file in found:
        if not replaceable(name):
            raise TargetError(
                f"{target}: holds {name!r}, which this tool does not write, so it is never "
                "replaced; name a new folder"
            )
        if not is_file:
            raise TargetError(
                f"{target}: holds {name!r}, which is no regular file, so it is never "
                "replaced; name a new folder"
            )
    effective = os.access in os.supports_effective_ids
    if found and not os.access(folder, os.W_OK | os.X_OK, effective_ids=effective):
        # It could be replaced, but not removed afterwards.
        read_only = os.statvfs(folder).f_flag & os.ST_RDONLY
        reason = errno.EROFS if read_only else errno.EACCES
        raise OSError(reason, os.strerror(reason))
    return bool(found)


def _sync_contents(folder: Path) -> None:
    for path in folder.iterdir():
        sync(path)
    try:
        sync(folder)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some file systems cannot sync a folder
            raise


def _rename(
    partial: Path, target: Path, *, force: bool, replaceable: Callable[[str], bool]
) -> None:
    try:
        # rename replaces an empty folder, and fails on one that was filled meanwhile.
        os.rename(partial, target)
    except OSError as error:
        if error.errno not in _TAKEN:
            raise
        require_force(target, force, "was created meanwhile")
        _check_contents(target, target, replaceable)
        with hold_signals():
            aside = _replace(partial, target, replaceable)
            sync_names(target.parent)
            clear(aside, lambda folder: _remove(folder, replaceable))


def _replace(partial: Path, target: Path, replaceable: Callable[[str], bool]) -> Path:
    """Put the new folder in the place of the older one, and return where that is then.

    Raises:
        TargetError, OSError: it cannot be done, or the older one holds something else by now. It
            has its name again.
    """
    aside = beside(target, _OLD)
    if _exchange(partial, target):
        try:
            _check_contents(partial, target, replaceable)
            os.rename(partial, aside)
        except BaseException:
            if not _exchange(partial, target):
                with suppress(FileNotFoundError):
                    os.rename(partial, aside)
                _put_back(partial, target, aside)
            raise
        return aside
    try:
        os.rename(target, aside)
        os.rename(partial, target)
        _check_contents(aside, target, replaceable)
    except BaseException:
        _put_back(partial, target, aside)
        raise
    return aside


def _put_back(partial: Path, target: Path, aside: Path) -> None:
    """Undo what has been done of renaming ``target`` to ``aside`` and ``partial`` to ``target``."""
    if not os.path.lexists(aside):
        return
    try:
        if not os.path.lexists(partial):
            os.rename(target, partial)
        os.rename(aside, target)
    except OSError as error:
        raise TargetError(
            f"{target}: cannot be written: {os_reason(error)}; the older folder is now {aside}"
        ) from None


def _exchange(first: Path, second: Path) -> bool:
    """Exchange two folders in one step; False where the system cannot."""
    if sys.platform != "linux":
        return False
    import ctypes

    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if renameat2 is None:
        return False
    result: int = renameat2(
        _AT_FDCWD, os.fsencode(first), _AT_FDCWD, os.fsencode(second), _RENAME_EXCHANGE
    )
    return result == 0


def _remove(folder: Path, replaceable: Callable[[str], bool]) -> None:
    """Remove a folder and never what somebody else has put into it."""
    for name in os.listdir(folder):
        if replaceable(name):
            with suppress(FileNotFoundError):
                os.unlink(folder / name)
    os.rmdir(folder)
