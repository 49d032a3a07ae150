"""The stage: a hidden folder within the target's, in which files are whole before they land.

``FOLDER/.gpt2-convert-fetch`` holds each file under its own name, however much of it has come, and
``.resume.json``, which says of each what the server called it, so that a later run can ask for the
rest (:mod:`.transfer`). Files that are in FOLDER already are linked there, so that the stage is the
whole model and can be proven as such. Then the new files are moved to FOLDER, which no file reaches
in another way, and the stage is removed. It stays where a fetch broke off after some bytes; it may
be deleted.

Nobody else can enter it, and all is reached through descriptors (:mod:`..io.private_folder`): what
gets its name is what was proven. One fetch at a time is at work in it (:mod:`.lock`).
"""

from __future__ import annotations

import json
import os
import stat
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from ..errors import Advice, FormatError, Gpt2ConvertError, TargetError, TargetExistsError
from ..io.os_errors import os_errors_as
from ..io.permissions import keep_permissions
from ..io.private_folder import identify, reach_folder
from ..io.rename import Entry, rename, rename_new
from ..io.signals import hold_signals
from ..io.source import read_small
from ..io.strict_json import parse_object
from .lock import LOCK, hold_lock

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path
    from typing import Final

    from ..progress import Progress
    from .lock import Held

NAME: Final = ".gpt2-convert-fetch"
_RESUME: Final = ".resume.json"
_NEW: Final = f"{_RESUME}.new"
_MAX_RESUME_BYTES: Final = 8 << 20
_FORCE: Final = Advice("{} replaces it", "force", True)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the bytes of a partial file came from.

    ``identity`` is the digest that the whole is to have, or its address where there is none;
    ``validator`` is what If-Range takes, and ``nbytes`` the size of the whole, if it was stated.
    """

    identity: str
    validator: str | None
    nbytes: int | None


class Stage:
    """The stage of a folder, for the one fetch that is at work there."""

    def __init__(self, folder: Path, held: Held) -> None:
        self.folder = folder
        self.held = held
        self.path = reach_folder(held.fd, folder / NAME)
        self._origins = self._read_origins()
        self._names = set(self._origins)

    def origin(self, name: str) -> Origin | None:
        """Return where the partial file of that name came from; None if that is not known."""
        return self._origins.get(name)

    def size(self, name: str) -> int:
        """Return how many bytes of a file have come."""
        try:
            status = os.stat(name, dir_fd=self.held.fd, follow_symlinks=False)
        except FileNotFoundError:
            return 0
        return status.st_size if stat.S_ISREG(status.st_mode) else 0

    @property
    def nbytes(self) -> int:
        """The bytes of all partial files that a later run can make use of."""
        return sum(self.size(name) for name in self._origins)

    @contextmanager
    def partial(self, name: str, start: int) -> Iterator[int]:
        """Yield a descriptor of the file that is being fetched, cut at ``start`` and set there."""
        self._names.add(name)
        if not start:
            self._remove(name)  # it may be a link to a file that is there already
        flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        fd = os.open(name, flags, 0o666, dir_fd=self.held.fd)
        try:
            os.ftruncate(fd, start)
            os.lseek(fd, start, os.SEEK_SET)
            yield fd
            os.fsync(fd)
        finally:
            os.close(fd)

    def remember(self, name: str, origin: Origin) -> None:
        """Note where a file comes from; before the first of its bytes is written."""
        self._origins[name] = origin
        self._write_origins()

    def forget(self, name: str) -> None:
        """Discard what has come of a file."""
        self._origins.pop(name, None)
        self._write_origins()
        self._remove(name)

    def link(self, name: str) -> None:
        """Let a file of the folder stand on the stage, too."""
        self.forget(name)  # or a later run might write into what is linked now
        self._names.add(name)
        present = os.path.realpath(self.folder / name)
        try:
            os.link(present, name, dst_dir_fd=self.held.fd)
        except OSError:  # another file system, or one without hard links
            os.symlink(present, name, dir_fd=self.held.fd)

    def land(self, names: Iterable[str], *, force: bool) -> None:
        """Move files to the folder, in that order; no signal comes between two of them.

        Raises:
            TargetExistsError: one is there by now and ``force`` is off.
            TargetError: the stage is not where it was, or a file cannot be moved.
        """
        here = os.stat(self.path)
        if identify(here) != identify(os.fstat(self.held.fd)):
            raise TargetError(
                f"{self.folder}: cannot be written: another program has moved {NAME} meanwhile; "
                "name a folder that only you may write to"
            )
        with hold_signals():
            for name in names:
                inside, outside = Entry(self.held.fd, name), Entry(self.held.outer, name)
                if force:
                    _replace(inside, outside)
                else:
                    _move(inside, outside, self.folder / name)
            with suppress(OSError):  # the files have their names; not every system can do this
                os.fsync(self.held.outer)

    def discard(self) -> None:
        """Remove the stage, and of what is in it what a fetch has put there."""
        with suppress(OSError):
            for name in (*self._names, _RESUME, _NEW, LOCK):
                with suppress(FileNotFoundError):
                    os.unlink(name, dir_fd=self.held.fd)
            os.rmdir(NAME, dir_fd=self.held.outer)

    def _remove(self, name: str) -> None:
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self.held.fd)

    def _read_origins(self) -> dict[str, Origin]:
        """Return what an earlier run noted; nothing where that makes no sense."""
        try:
            text = read_small(self.path / _RESUME, _MAX_RESUME_BYTES)
            fields = parse_object(text, _RESUME)
            return {name: _parse_origin(name, value) for name, value in fields.items()}
        except Gpt2ConvertError:
            return {}

    def _write_origins(self) -> None:
        text = json.dumps({name: asdict(origin) for name, origin in self._origins.items()})
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
        fd = os.open(_NEW, flags, 0o600, dir_fd=self.held.fd)
        with open(fd, "w", encoding="ascii") as file:
            file.write(text)
        rename(Entry(self.held.fd, _NEW), Entry(self.held.fd, _RESUME))


@contextmanager
def open_stage(folder: Path, progress: Progress) -> Iterator[Stage]:
    """Yield the stage of ``folder``, which is made if it is missing, once nobody else is at work.

    At the end the stage is removed, and so are folders that were made for nothing; it stays where
    the block fails and a later run can go on, and the error is noted to say so.

    Raises:
        TargetError: it cannot be made or written, or another fetch does not get on.
    """
    where = f"{folder}: cannot be written"
    with os_errors_as(TargetError, where):
        made = _list_missing(folder)
    try:
        with os_errors_as(TargetError, where), hold_lock(folder, NAME, progress) as held:
            stage = Stage(folder, held)
            try:
                with os_errors_as(TargetError, where):
                    yield stage
            except BaseException as error:
                if stage.nbytes:
                    error.add_note(
                        f"the {stage.nbytes:,} bytes that have come are kept, and the next fetch "
                        "goes on from there"
                    )
                else:
                    stage.discard()
                raise
            stage.discard()
    finally:
        for each in made:
            with suppress(OSError):  # it is not empty, or was not made
                os.rmdir(each)


def _list_missing(folder: Path) -> list[Path]:
    """Return the folder and those above it that are not there, the innermost first."""
    return [each for each in (folder, *folder.parents) if not os.path.lexists(each)]


def _replace(inside: Entry, outside: Entry) -> None:
    """Give a new file its name, and the permissions of the file that has it now, if one has."""
    with suppress(FileNotFoundError):
        older = os.stat(outside.name, dir_fd=outside.folder, follow_symlinks=False)
        if stat.S_ISREG(older.st_mode):
            flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW
            fd = os.open(inside.name, flags, dir_fd=inside.folder)
            try:
                keep_permissions(fd, older)
            finally:
                os.close(fd)
    rename(inside, outside)


def _move(inside: Entry, outside: Entry, target: Path) -> None:
    """Give a new file its name, if nothing has it.

    Raises:
        TargetExistsError: something has it.
        TargetError: the file system cannot do that.
    """
    try:
        if rename_new(inside, outside):
            return
        os.link(
            inside.name,
            outside.name,
            src_dir_fd=inside.folder,
            dst_dir_fd=outside.folder,
            follow_symlinks=False,
        )
    except FileExistsError:
        raise TargetExistsError(f"{target}: was created meanwhile", _FORCE) from None
    except OSError:
        raise TargetError(
            f"{target}: cannot be written: this file system has neither hard links nor a rename "
            "that replaces nothing",
            Advice("{} replaces what is there", "force", True),
        ) from None
    os.unlink(inside.name, dir_fd=inside.folder)


def _parse_origin(name: str, value: object) -> Origin:
    fields = value if isinstance(value, dict) else {}
    identity, validator, nbytes = (fields.get(key) for key in Origin.__slots__)
    if os.sep in name or name in ("", os.curdir, os.pardir):
        raise FormatError("the name of a file expected")
    if not isinstance(identity, str) or not isinstance(validator, str | None):
        raise FormatError("a text expected")
    if not isinstance(nbytes, int | None):
        raise FormatError("a number expected")
    return Origin(identity, validator, nbytes)
