"""Show what is in a checkpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

import gpt2_convert

from ..exit_codes import COULD_NOT, EQUAL
from ..help import Command, Group, option
from ..options import SOURCE_TABLE, as_is_option, common_options, path_argument
from ..printer import Printer, spell_flag
from ..results import print_report, working
from ..streams import print_error

if TYPE_CHECKING:
    from typing import Any, Final

    from ..results import Output


@click.command(cls=Command, tables=[SOURCE_TABLE])
@path_argument("source")
@option(
    "--flat",
    is_flag=True,
    group=Group.OUTPUT,
    idle_with=("as_json", "quiet"),
    help="Print a table, one line a tensor, and no tree.",
)
@option(
    "--stats",
    is_flag=True,
    group=Group.OUTPUT,
    help="Read the weights and print statistics of them.",
)
@common_options
@as_is_option
def inspect(source: str, flat: bool, output: Output, **options: Any) -> int:  # noqa: ANN401
    """Show what is in a checkpoint, without reading its weights."""
    with working(output, silent=not options["stats"]) as progress:
        report = gpt2_convert.inspect(source, progress=progress, **options)

    def show() -> None:
        from ...reports.text import write_inspection

        out = Printer()
        write_inspection(out, report, flat=flat, spell=spell_flag, width=out.width)

    code = print_report(output, EQUAL if report.ok else COULD_NOT, report, show)
    if not report.ok:
        left = len(report.errors) - 1
        print_error(report.errors[0].spell(spell_flag) + (f" (and {left:,} more)" if left else ""))
    return code


COMMANDS: Final = {"inspect": inspect}
