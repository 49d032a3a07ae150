"""Print hashes that a model has in any container."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

import gpt2_convert

from ..exit_codes import DIFFERENT, EQUAL
from ..help import Command, Group, option
from ..options import SOURCE_TABLE, as_is_option, common_options, path_argument
from ..paths import PathType
from ..printer import Printer, spell_flag
from ..results import print_report, working
from ..streams import print_error

if TYPE_CHECKING:
    from typing import Any, Final

    from ..results import Output


@click.command(cls=Command, tables=[SOURCE_TABLE])
@path_argument("source")
@option(
    "--check",
    type=PathType("listing"),
    metavar="FILE",
    group=Group.COMPARISON,
    help="Compare with a listing that was printed earlier; exit with 1 if something changed.",
)
@common_options
@as_is_option
def digest(source: str, output: Output, **options: Any) -> int:  # noqa: ANN401
    """Print a SHA-256 of each tensor, of the configuration and, last, of the whole model.

    They are equal for equal models, whatever the container.
    """
    with working(output) as progress:
        report = gpt2_convert.digest(source, progress=progress, **options)

    def show() -> None:
        from ...reports.text import write_check, write_digests

        if options["check"] is None:
            write_digests(Printer(wrapped=False), report)  # lines for other programs
        else:
            write_check(Printer(), report, spell_flag)
        for note in report.notes:
            print_error(note)

    return print_report(output, EQUAL if report.ok else DIFFERENT, report, show)


COMMANDS: Final = {"digest": digest}
