"""The files that --report names: in which format each is to be, and writing them."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import TargetError, UsageError
from ..io.source import check_path
from ..reports.renderers import RENDERERS, starts_as_report
from .places import STDOUT, name_place
from .side_files import SideFile

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ..errors import Gpt2ConvertError, Spell
    from ..reports.outcome import Outcome
    from .places import Places


@dataclass(frozen=True, slots=True)
class ReportFile:
    """A report to be written: a key of RENDERERS, and a path or STDOUT."""

    format: str
    path: str

    @property
    def to_stdout(self) -> bool:
        """Whether it is printed."""
        return name_place(self.path) == STDOUT

    @property
    def file(self) -> SideFile:
        """The file that it becomes."""
        appends = RENDERERS[self.format].appends
        return SideFile(self.path, "report", starts_as_report, appends)


def parse_report(text: str) -> ReportFile:
    """Take apart ``[FORMAT:]FILE``.

    Raises:
        UsageError: there is no such format, or none was named and the suffix tells none; or it is
            an address of the network.
    """
    word, colon, path = text.partition(":")
    if path.startswith("//") and word not in RENDERERS:
        check_path(text, "report")
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


def check_reports(reports: Sequence[ReportFile], places: Places) -> None:
    """Find out before the job what would keep its reports from being written.

    Raises:
        UsageError: a library is missing that only an extra installs; or as :meth:`.SideFile.check`.
        TargetError: as there.
    """
    for each in reports:
        needs = RENDERERS[each.format].needs
        if needs is not None and not _is_installed(needs):
            raise UsageError(
                f"a report in {each.format} needs {needs}: "
                "install it with pip install 'gpt2-convert[report]'"
            )
        if not each.to_stdout:
            each.file.check(places)


def write_reports(
    reports: Sequence[ReportFile], outcome: Outcome, spell: Spell, places: Places
) -> Iterator[Gpt2ConvertError]:
    """Write the reports to their files, and yield what kept one from being written.

    Those for stdout are left out.
    """
    for each in reports:
        if not each.to_stdout:
            pieces = RENDERERS[each.format].load()(outcome, spell)
            encoded = (piece.encode("utf-8", "backslashreplace") for piece in pieces)
            try:
                each.file.write(encoded, places)
            except (TargetError, UsageError) as error:
                yield error


def print_reports(reports: Sequence[ReportFile], outcome: Outcome, spell: Spell) -> None:
    """Print the report that goes to stdout, if one does."""
    for each in (each for each in reports if each.to_stdout):
        for piece in RENDERERS[each.format].load()(outcome, spell):
            encoding = sys.stdout.encoding or "ascii"
            sys.stdout.write(piece.encode(encoding, "backslashreplace").decode(encoding))


def _is_installed(module: str) -> bool:
    from importlib.util import find_spec

    return find_spec(module) is not None


def _formats() -> str:
    return ", ".join(RENDERERS)
