"""Files that a job writes beside its target: reports, and the sums of what it has written.

None of them may damage a source or a target. So before the job, and again when one is written, it
is looked at what is there: a file that is not of the same kind is never replaced, one of a model
not even appended to, and no new one takes a name that means something in a model's folder. They
appear whole or not at all, but for what is no regular file: a pipe gets what comes.
"""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import TargetError, UsageError
from ..io.atomic import blame, check_target, partial_file
from ..io.source import check_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Final

    from .places import Places

_BEGINNING: Final = 1000
"""Bytes of a file that are looked at."""
_MOST_NAMES: Final = 10_000
"""Names of a folder that are compared: more than a model's folder has."""


@dataclass(frozen=True, slots=True)
class SideFile:
    """A file to be written: ``what`` it is in words, and what tells one of the kind that is there.

    ``recognise`` says of the beginning of a file whether it is of the same kind. What ``appends``
    is added to any text.
    """

    path: str
    what: str
    recognise: Callable[[bytes], bool]
    appends: bool = False

    def check(self, places: Places) -> None:
        """Find out whether it may be written.

        Raises:
            UsageError: it is a source or the target, or lies in the target.
            TargetError: it cannot be written, or would replace or change what is something else.
        """
        path = check_path(self.path, self.what)
        with blame(path):
            self._check(path, places)

    def _check(self, path: Path, places: Places) -> None:
        _check_target(self, places)
        if _is_special(path):
            return
        final = check_target(path, force=True, sources=())
        there = path.exists()
        # What is replaced need not be writable itself.
        place = final if there and self.appends else final.parent
        if not os.access(place, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        if _is_stdout(path):
            raise UsageError(f"{path}: stdout goes there already")
        beginning = None
        if there:
            with open(path, "rb") as file:
                beginning = file.read(_BEGINNING)
        ours = beginning is not None and self.recognise(beginning)
        _check_sources(self, final, places, there=there, ours=ours)
        if beginning and not ours:
            if not self.appends:
                raise TargetError(f"{path}: is no {self.what}, and would be replaced by one")
            if b"\0" in beginning:
                raise TargetError(f"{path}: is no text to which a {self.what} could be added")

    def write(self, pieces: Iterable[bytes], places: Places) -> None:
        """Write it.

        Raises:
            UsageError, TargetError: it cannot be written, or may not be any more.
        """
        self.check(places)
        path = Path(self.path)
        if _is_special(path):
            with blame(path), suppress(BrokenPipeError):  # who reads it has seen enough
                _write_special(path, pieces)
        elif self.appends and path.exists():
            with blame(path):
                _append(path, pieces)
        else:
            with (
                partial_file(Path(os.path.realpath(path)), force=True) as partial,
                open(partial.path, "wb") as file,
            ):
                file.writelines(pieces)


def _check_target(file: SideFile, places: Places) -> None:
    final = os.path.realpath(file.path)
    if any(final == os.path.realpath(path) for path in places.paths):
        raise UsageError(f"{file.path}: is a source or the target of the job, not a {file.what}")
    if places.target is not None and _lies_in(final, os.path.realpath(places.target)):
        raise UsageError(
            f"{file.path}: lies in the target, which holds nothing but a model; "
            f"name a {file.what} beside it"
        )


def _check_sources(file: SideFile, final: Path, places: Places, *, there: bool, ours: bool) -> None:
    """Refuse what is, or would become, a part of a model that the job was given.

    Raises:
        TargetError: it is.
    """
    from ..formats.companion_kinds import is_model_file

    for given in places.paths:
        real = os.path.realpath(given)
        folder = real if os.path.isdir(real) else os.path.dirname(real)
        whole = folder == real
        prefix = f"{os.path.basename(real)}."
        inside = _lies_in(str(final), folder)
        if inside and is_model_file(final.name):
            link = f"leads to {final}, which " if Path(file.path).name != final.name else ""
            raise TargetError(
                f"{file.path}: {link}has the name of a model's file, and lies beside {given}; "
                f"name the {file.what} otherwise"
            )
        related = inside and (whole or final.name.startswith(prefix))
        if there and not ours and (related or _is_linked(final, folder, prefix, whole=whole)):
            raise TargetError(f"{file.path}: is a file of {given}, and no {file.what}")


def _is_linked(final: Path, folder: str, prefix: str, *, whole: bool) -> bool:
    """Whether a file is one of a model by another name: by a link in the model's folder."""
    from ..formats.companion_kinds import is_model_file

    with suppress(OSError), os.scandir(folder) as entries:
        status = os.stat(final)
        for entry in islice(entries, _MOST_NAMES):
            name = entry.name
            if not (whole or name.startswith(prefix) or is_model_file(name)):
                continue
            with suppress(OSError):
                if os.path.samestat(status, os.stat(entry.path)):
                    return True
    return False


def _lies_in(path: str, folder: str) -> bool:
    return path.startswith(os.path.join(folder, ""))


def _is_special(path: Path) -> bool:
    """Whether it is a pipe, a terminal or the like, of which nothing is kept."""
    return path.exists() and not path.is_file() and not path.is_dir()


def _is_stdout(path: Path) -> bool:
    """Whether what is printed ends in that file, too."""
    with suppress(OSError):
        return os.path.samestat(os.stat(path), os.fstat(1))
    return False


def _write_special(path: Path, pieces: Iterable[bytes]) -> None:
    """Write to a pipe or device as it comes; a pipe that nobody reads would block for ever."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ENXIO:
            raise TargetError(f"{path}: cannot be written: nobody reads it") from None
        raise
    os.set_blocking(fd, True)
    with open(fd, "wb") as file:
        file.writelines(pieces)


def _append(path: Path, pieces: Iterable[bytes]) -> None:
    """Add to the end of a file; of what a full disk or Ctrl-C cuts short nothing stays."""
    with open(path, "ab", buffering=0) as file:
        before = os.fstat(file.fileno()).st_size
        try:
            for piece in _batch(pieces):
                view = memoryview(piece)
                while view:
                    view = view[file.write(view) :]
        except BaseException:
            file.truncate(before)
            raise


def _batch(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield pieces joined to some 64 KB."""
    waiting = bytearray()
    for piece in pieces:
        waiting += piece
        if len(waiting) >= 1 << 16:
            yield bytes(waiting)
            waiting.clear()
    if waiting:
        yield bytes(waiting)
