"""The step in which a new folder takes the place of an older one, and the end of that.

Every name is looked up in a folder that is open, so that nobody can put another one in between.
"""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import TargetError, UsageError
from ..quoting import os_reason
from .atomic import require_force, sync_names
from .private_folder import beside, identify, open_folder
from .rename import Entry, exchange, rename
from .signals import hold_signals

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Final

    from .atomic import Identities
    from .private_folder import PrivateFolder

NO_LINK: Final = os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
"""How a folder is opened that must be one itself."""
_OLD: Final = ".old"
_TAKEN: Final = (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR)
"""What rename says of a folder whose new name belongs to something that it cannot replace."""


@dataclass(frozen=True, slots=True)
class Replacement:
    """A new folder, made in ``private``, that takes the place of an older one if there is one.

    An older one must hold ``replaceable`` files alone, and none of the ``sources``.
    """

    private: PrivateFolder
    sources: Identities
    replaceable: Callable[[str], bool]

    def give_name(self, *, force: bool) -> None:
        """Give the new folder its name, where ``force`` by replacing what has it."""
        private = self.private
        try:
            # rename replaces an empty folder, and fails on one that was filled meanwhile.
            rename(private.inside, private.outside)
        except OSError as error:
            if error.errno not in _TAKEN:
                raise
            require_force(private.target, force, "was created meanwhile")
            self._check(private.outside)
            with hold_signals():
                older = self._replace()
                sync_names(private.target.parent)
                self._remove(older)

    def _check(self, older: Entry) -> None:
        """Make sure that the older folder may be replaced.

        Raises:
            TargetError: something in it is not replaceable.
            UsageError: a source lies in it.
            OSError: it is no folder, or may not be listed or emptied.
        """
        with open_folder(older.name, NO_LINK, older.folder) as fd:
            if identify(os.fstat(fd)) in self.sources:
                raise UsageError(f"{self.private.target}: the source lies in the target folder")
            check_contents(fd, self.private.target, self.replaceable)

    def _replace(self) -> Entry:
        """Put the new folder in the place of the older one, and return where that is then.

        Raises:
            Gpt2ConvertError, OSError: it cannot be done, or the older one holds something else by
                now. It has its name again.
        """
        inside, outside = self.private.inside, self.private.outside
        aside = Entry(self.private.parent, beside(outside.name, _OLD))
        if exchange(inside, outside):
            try:
                self._check(inside)
            except BaseException:
                if not exchange(inside, outside):
                    with suppress(FileNotFoundError):
                        rename(inside, aside)
                    self._put_back(aside)
                raise
            return inside
        try:
            rename(outside, aside)
            rename(inside, outside)
            self._check(aside)
        except BaseException:
            self._put_back(aside)
            raise
        return aside

    def _put_back(self, aside: Entry) -> None:
        """Undo what has been done of renaming the older folder to ``aside`` and the new one."""
        inside, outside = self.private.inside, self.private.outside
        if not _is_there(aside):
            return
        try:
            if not _is_there(inside):
                rename(outside, inside)
            rename(aside, outside)
        except OSError as error:
            raise TargetError(
                f"{self.private.target}: cannot be written: {os_reason(error)}; the older folder "
                f"is now {self.private.target.with_name(aside.name)}"
            ) from None

    def _remove(self, older: Entry) -> None:
        """Remove the older folder; what cannot be removed stays under a name that says so."""
        aside = Entry(self.private.parent, beside(self.private.outside.name, _OLD))
        if older.folder != self.private.fd:  # others could put something into it there
            aside, here = older, older
            with suppress(OSError):
                rename(older, self.private.inside)
                here = self.private.inside
            older = here
        try:
            remove_folder(older, self.replaceable)
        except OSError as error:
            where = self.private.path / older.name
            with suppress(OSError):
                if older != aside:
                    rename(older, aside)
                where = self.private.target.with_name(aside.name)
            self.private.leave(str(where), error)


def check_contents(fd: int, target: Path, replaceable: Callable[[str], bool]) -> bool:
    """Whether the folder open as ``fd`` holds anything; ``target`` is its name in an error.

    Raises:
        TargetError: something in it is not replaceable.
        OSError: it may not be listed or emptied.
    """
    with os.scandir(fd) as entries:
        found = sorted((entry.name, entry.is_file(follow_symlinks=False)) for entry in entries)
    for name, is_file in found:
        if not replaceable(name):
            raise TargetError(
                f"{target}: holds {name!r}, which this conversion does not write, so it is "
                "never replaced; name a new folder"
            )
        if not is_file:
            raise TargetError(
                f"{target}: holds {name!r}, which is no regular file, so it is never "
                "replaced; name a new folder"
            )
    effective = os.access in os.supports_effective_ids
    if found and not os.access(".", os.W_OK | os.X_OK, dir_fd=fd, effective_ids=effective):
        # It could be replaced, but not removed afterwards.
        read_only = os.fstatvfs(fd).f_flag & os.ST_RDONLY
        reason = errno.EROFS if read_only else errno.EACCES
        raise OSError(reason, os.strerror(reason))
    return bool(found)


def remove_folder(entry: Entry, replaceable: Callable[[str], bool]) -> None:
    """Remove a folder and never what somebody else has put into it.

    Raises:
        OSError: something is left of it.
    """
    with suppress(OSError):
        # An empty one needs no descriptor, of which there may be none left.
        os.rmdir(entry.name, dir_fd=entry.folder)
        return
    try:
        with open_folder(entry.name, NO_LINK, entry.folder) as fd:
            failures: list[OSError] = []
            for name in os.listdir(fd):
                if replaceable(name):
                    try:
                        os.unlink(name, dir_fd=fd)
                    except FileNotFoundError:
                        pass
                    except OSError as error:
                        failures.append(error)
            if failures:
                raise failures[0]
        os.rmdir(entry.name, dir_fd=entry.folder)
    except FileNotFoundError:
        pass  # it was not made, or is removed


def _is_there(entry: Entry) -> bool:
    try:
        os.stat(entry.name, dir_fd=entry.folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True
