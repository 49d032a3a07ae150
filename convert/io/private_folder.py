"""A folder beside a target that nobody else can enter, for what has no name of its own yet.

In a folder that others may write, a name belongs to nobody: between two system calls another user
can put something else there, a file of his or a link to one of ours. So what is to become a target
is made in a folder of mode 0700, ``<target>.<random>.partial``, and everything is reached through
descriptors: that of this folder, and that of the folder in which the target will be. Another user
may move the folder away; what lies in it he can neither see nor change.

Programs that open files by name are given one that leads through the descriptor (``/proc/self/fd``
on Linux). Where there is no such thing they get the plain path, and that it still leads to the same
file is looked at before the target gets its name.
"""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import TargetError
from ..quoting import os_reason
from .rename import Entry
from .signals import hold_signals
from .unfinished import unfinished

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Final

PARTIAL: Final = ".partial"
_MAX_NAME: Final = 255
"""Bytes of a file name on every common file system."""
_DESCRIPTORS: Final = "/proc/self/fd"
_FOLDER: Final = os.O_DIRECTORY | os.O_CLOEXEC
_SEARCH: Final = _FOLDER | getattr(os, "O_PATH", os.O_RDONLY)
"""A folder that need not be listed. With O_PATH, that it may be entered is enough."""
_PROBE: Final = ".probe"


@dataclass(frozen=True, slots=True)
class PrivateFolder:
    """The folder ``target.name`` is made in, and the one it will lie in, both open.

    ``left`` fills up with a line for whatever cannot be removed at the end.
    """

    target: Path
    path: Path
    parent: int
    fd: int
    left: list[str] = field(default_factory=list)

    @property
    def inside(self) -> Entry:
        """The target while it is made."""
        return Entry(self.fd, self.target.name)

    @property
    def outside(self) -> Entry:
        """The target in its place."""
        return Entry(self.parent, self.target.name)

    def reach(self) -> Path:
        """Return a path to the target while it is made, for programs that open files by name."""
        return reach_folder(self.fd, self.path) / self.target.name

    def check(self, fd: int) -> None:
        """Make sure that the names still lead to this folder, and to what is open as ``fd`` in it.

        Raises:
            TargetError: they lead somewhere else, or nowhere.
        """
        for entry, opened in ((Entry(self.parent, self.path.name), self.fd), (self.inside, fd)):
            try:
                found = os.stat(entry.name, dir_fd=entry.folder, follow_symlinks=False)
            except FileNotFoundError:
                found = None
            if found is None or identify(found) != identify(os.fstat(opened)):
                raise TargetError(
                    f"{self.target}: cannot be written: another program has moved or replaced "
                    f"{self.path.name} meanwhile; name a target in a folder that only you may "
                    "write to"
                )

    def leave(self, what: str, error: OSError) -> None:
        """Take down what cannot be removed, and why."""
        line = f"{what}: could not be removed: {os_reason(error)}"
        if line not in self.left:
            self.left.append(line)


def identify(status: os.stat_result) -> tuple[int, int]:
    """Return what tells a file or folder from every other: its device and inode."""
    return status.st_dev, status.st_ino


def reach_folder(fd: int, path: Path) -> Path:
    """Return a path that leads through the descriptor of a folder; its own where there is none."""
    through = Path(_DESCRIPTORS, str(fd))
    with suppress(OSError):
        if identify(os.stat(through)) == identify(os.fstat(fd)):
            return through
    return path


@contextmanager
def private_folder(
    target: Path, remove: Callable[[PrivateFolder], None]
) -> Iterator[PrivateFolder]:
    """Make the folder, and take it away when the block has ended, in whatever way it did.

    ``remove`` takes away what the block may have left in it; an OSError of it is taken down. What
    could not be removed is added to the error that leaves the block, if one does.

    Raises:
        TargetError: another user has a hand in it.
        OSError: it cannot be made.
    """
    name = beside(target.name, PARTIAL)
    path = target.with_name(name)
    left: list[str] = []
    with open_folder(target.parent, _SEARCH) as parent:
        outer = PrivateFolder(target, path, parent, -1, left)
        try:
            with _clearing(lambda: _remove_folder(outer)):
                os.mkdir(name, 0o700, dir_fd=parent)
                with open_folder(name, _FOLDER | os.O_NOFOLLOW, parent) as fd:
                    folder = PrivateFolder(target, path, parent, fd, left)
                    with _clearing(lambda: _empty(folder, remove)):
                        with hold_signals():
                            _check_private(folder)
                        yield folder
        except BaseException as error:
            for line in left:
                error.add_note(line)
            raise


@contextmanager
def open_folder(path: Path | str, flags: int = _FOLDER, parent: int | None = None) -> Iterator[int]:
    """Yield the descriptor of a folder, ``parent`` being that of the one in which it lies."""
    fd = os.open(path, flags, dir_fd=parent)
    try:
        yield fd
    finally:
        os.close(fd)


def beside(name: str, suffix: str) -> str:
    """Return a new name to lie beside ``name``: that one, cut where it must be, and more."""
    suffix = f".{os.urandom(4).hex()}{suffix}"
    while len(os.fsencode(name)) + len(suffix) > _MAX_NAME:
        name = name[:-1]
    return name + suffix


@contextmanager
def _clearing(clear: Callable[[], None]) -> Iterator[None]:
    with unfinished(clear):
        try:
            yield
        finally:
            try:
                with hold_signals():
                    clear()
            except BaseException:
                clear()  # for a signal that came before they were held
                raise


def _empty(folder: PrivateFolder, remove: Callable[[PrivateFolder], None]) -> None:
    try:
        remove(folder)
    except OSError as error:
        folder.leave(str(folder.path / folder.target.name), error)


def _remove_folder(folder: PrivateFolder) -> None:
    try:
        os.rmdir(folder.path.name, dir_fd=folder.parent)
    except FileNotFoundError:
        pass  # it was not made, or another program has moved it
    except OSError as error:
        if not folder.left:  # what is in it says more
            folder.leave(str(folder.path), error)


def _check_private(folder: PrivateFolder) -> None:
    """Make sure that the open folder is the one that was made, and that it is ours alone.

    Another user may have put a folder of his in its place, before it was opened. A new one is
    empty, belongs to whom a new one in it belongs to, and has the mode that it was made with. Some
    file systems know no modes; there the one in it has another mode, too.

    Raises:
        TargetError: it is not.
    """
    made = os.fstat(folder.fd)
    empty = not os.listdir(folder.fd)
    if empty:
        os.mkdir(_PROBE, 0o700, dir_fd=folder.fd)
        try:
            probe = os.stat(_PROBE, dir_fd=folder.fd, follow_symlinks=False)
        finally:
            os.rmdir(_PROBE, dir_fd=folder.fd)
        private = not stat.S_IMODE(made.st_mode) & 0o077 or stat.S_IMODE(probe.st_mode) & 0o077
        if made.st_uid == probe.st_uid and private:
            return
    raise TargetError(
        f"{folder.target}: cannot be written: another user has put a folder of his own in the "
        f"place of {folder.path.name}; name a target in a folder that only you may write to"
    )
