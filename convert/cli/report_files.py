"""The files that --report names: what each is to be, whether it may be written, and writing it."""

from __future__ import annotations

import os
import stat
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import TargetError, UsageError
from ..io.atomic import blame, check_target, partial_file
from ..reports.renderers import RENDERERS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Final

    from ..errors import Spell
    from ..reports.outcome import Outcome

STDOUT: Final = "-"
_OURS: Final = b"gpt2-convert"
"""What the beginning of every report holds."""
_BEGINNING: Final = 1000
"""Bytes of a file that are looked at."""


@dataclass(frozen=True, slots=True)
class ReportFile:
    """A report to be written: a key of RENDERERS, and a path or STDOUT."""

    format: str
    path: str


def parse_report(text: str) -> ReportFile:
    """Take apart ``[FORMAT:]FILE``.

    Raises:
        UsageError: there is no such format, or none was named and the suffix tells none.
    """
    word, colon, path = text.partition(":")
    if colon and word.isalnum():
        if word not in RENDERERS:
            raise UsageError(
                f"{text}: no such format of reports: {word!r}; there are: {_formats()} "
                f"(a file of that name is ./{text})"
            )
        if not path:
            raise UsageError(f"{text}: name a file after the colon, or - for stdout")
        return ReportFile(word, path)
    for name, renderer in RENDERERS.items():
        if text.lower().endswith(renderer.suffixes or ("\0",)):
            return ReportFile(name, text)
    raise UsageError(
        f"{text}: a report in which format? name one in front of it, as json:{text}; "
        f"there are: {_formats()}"
    )


def check_reports(reports: Sequence[ReportFile], as_json: bool, paths: Iterable[str]) -> None:
    """Find out before the job what would keep its reports from being written.

    ``paths`` are the sources and targets of the job.

    Raises:
        UsageError: two would go to one place, or one to a source or target, or a library is missing
            that only an extra installs.
        TargetError: one cannot be written, or would replace what is no report.
    """
    places = [each.path if each.path == STDOUT else os.path.realpath(each.path) for each in reports]
    if as_json:
        places.append(STDOUT)
    for place in places:
        if places.count(place) > 1:
            where = "stdout" if place == STDOUT else place
            raise UsageError(f"two reports would go to {where}; name another file for one of them")
    taken = {os.path.realpath(path): path for path in paths}
    for each in reports:
        needs = RENDERERS[each.format].needs
        if needs is not None and not _is_installed(needs):
            raise UsageError(
                f"a report in {each.format} needs {needs}: "
                "install it with pip install 'gpt2-convert[report]'"
            )
        if each.path == STDOUT:
            continue
        if os.path.realpath(each.path) in taken:
            raise UsageError(f"{each.path}: is a source or the target of the job, not a report")
        _check_file(each)


def write_reports(
    reports: Sequence[ReportFile], outcome: Outcome, spell: Spell
) -> Iterator[TargetError]:
    """Write the reports to their files, and yield what kept one from being written.

    Those for stdout are left out.
    """
    for each in reports:
        if each.path != STDOUT:
            try:
                _write(each, RENDERERS[each.format].load()(outcome, spell))
            except TargetError as error:
                yield error


def print_reports(reports: Sequence[ReportFile], outcome: Outcome, spell: Spell) -> None:
    """Print the report that goes to stdout, if one does."""
    for each in (each for each in reports if each.path == STDOUT):
        for piece in RENDERERS[each.format].load()(outcome, spell):
            encoding = sys.stdout.encoding or "ascii"
            sys.stdout.write(piece.encode(encoding, "backslashreplace").decode(encoding))


def _write(report: ReportFile, pieces: Iterable[str]) -> None:
    """Write a report whole or not at all; what is no regular file, a pipe for example, as it comes.

    Raises:
        TargetError: it cannot be written.
    """
    path = Path(report.path)
    if (RENDERERS[report.format].appends and path.exists()) or _is_special(path):
        with blame(path):
            _append(path, pieces)
        return
    with (
        partial_file(Path(os.path.realpath(path)), force=True) as partial,
        open(partial.path, "w", encoding="utf-8", errors="backslashreplace") as file,
    ):
        file.writelines(pieces)


def _append(path: Path, pieces: Iterable[str]) -> None:
    """Add to the end of a file; of what a full disk cuts short nothing stays."""
    with open(path, "ab") as file:
        before = os.fstat(file.fileno())
        try:
            file.writelines(piece.encode("utf-8", "backslashreplace") for piece in pieces)
            file.flush()
        except OSError:
            if stat.S_ISREG(before.st_mode):
                file.truncate(before.st_size)
            raise


def _check_file(report: ReportFile) -> None:
    path = Path(report.path)
    if _is_special(path):
        return
    check_target(path, force=True, sources=())
    if not path.exists():
        return
    with blame(path), open(path, "rb") as file:
        beginning = file.read(_BEGINNING)
    if RENDERERS[report.format].appends:
        if b"\0" in beginning:
            raise TargetError(f"{path}: is no text to which a report could be added")
    elif beginning and _OURS not in beginning:
        raise TargetError(f"{path}: is no report of this tool, and would be replaced by one")


def _is_special(path: Path) -> bool:
    """Whether it is a pipe, a terminal or the like, of which nothing is kept."""
    return path.exists() and not path.is_file() and not path.is_dir()


def _is_installed(module: str) -> bool:
    from importlib.util import find_spec

    return find_spec(module) is not None


def _formats() -> str:
    return ", ".join(RENDERERS)
