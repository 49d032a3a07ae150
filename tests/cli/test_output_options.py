"""A command gets one value that says how it tells what comes of it, whatever was asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import pytest

from gpt2_convert.cli.help import Command
from gpt2_convert.cli.output_options import output_options, sums_option
from gpt2_convert.cli.report_files import ReportFile

if TYPE_CHECKING:
    from gpt2_convert.cli.results import Output


def take(*arguments: str) -> Output:
    """Return what a command gets that has these options and a source."""
    got: list[Output] = []

    @click.command("job", cls=Command)
    @click.argument("source")
    @sums_option
    @output_options
    def job(source: str, output: Output) -> int:
        got.append(output)
        return 0

    job.main(["x", *arguments], prog_name="job", standalone_mode=False)
    return got[0]


def test_nothing_asked_for_is_a_text() -> None:
    output = take()
    assert (output.command, output.as_json, output.quiet) == ("job", False, False)
    assert (output.reports, output.sums) == ((), None)


def test_reports_are_taken_apart_in_their_order() -> None:
    output = take("--report", "a.json", "--report", "github:-", "--sums", "SUMS", "-q")
    assert output.reports == (ReportFile("json", "a.json"), ReportFile("github", "-"))
    assert (output.sums, output.quiet) == ("SUMS", True)


@pytest.mark.parametrize("report", ["a.txt", "pdf:a", "json:", "-"])
def test_a_report_that_makes_no_sense_is_a_usage_error(report: str) -> None:
    with pytest.raises(click.BadParameter):
        take("--report", report)
