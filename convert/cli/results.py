"""A job around its report: progress while it runs, then a text, documents and files, or silence."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import click

import gpt2_convert

from .exit_codes import COULD_NOT, DIFFERENT, EQUAL
from .interruption import received, stop_if_interrupted
from .last_words import outlive_exits, release_memory
from .printer import Printer, spell_flag
from .streams import in_foreground, print_error, print_result

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from ..progress import Progress
    from ..reports.outcome import Failure, Outcome, Report
    from .report_files import ReportFile


@dataclass(frozen=True, slots=True)
class Output:
    """How a job tells what comes of it: on stdout, and in which files.

    ``paths`` are its sources and targets, which no report may replace. ``started`` is when it
    began, on the clock of time.monotonic.
    """

    command: str
    as_json: bool = False
    quiet: bool = False
    reports: tuple[ReportFile, ...] = ()
    paths: tuple[str, ...] = ()
    started: float = field(default_factory=time.monotonic)

    @property
    def replaces_text(self) -> bool:
        """Whether a document or a report goes to stdout in place of the text."""
        return self.as_json or any(each.path == "-" for each in self.reports)

    def tell(self, report: Report | None, failure: Failure | None = None) -> Outcome:
        """Return what came of the job, which ends now."""
        from ..reports.outcome import Outcome

        seconds = time.monotonic() - self.started
        return Outcome(self.command, gpt2_convert.__version__, seconds, report, failure)


def show_verification(
    output: Output, report: gpt2_convert.VerificationReport, failure: Failure | None = None
) -> int:
    """Print what a comparison found, and return the exit code that says so."""

    def show() -> None:
        from ..reports.text import write_verification

        write_verification(Printer(), report, spell_flag)

    return print_report(output, EQUAL if report.ok else DIFFERENT, report, show, failure=failure)


def print_report(
    output: Output,
    code: int,
    report: Report,
    show: Callable[[], None],
    done: str = "",
    failure: Failure | None = None,
) -> int:
    """Print a report in the form that was asked for, write its files, and return the exit code.

    ``done`` is as in :func:`.print_result`.
    """
    outcome = output.tell(report, failure) if output.as_json or output.reports else None
    written = outcome is None or write_files(output, outcome, done)
    if outcome is not None and output.as_json:
        from .documents import make_document

        show = make_document(outcome)
    elif outcome is not None and output.replaces_text:
        show = partial(_print_reports, output, outcome)
    elif output.quiet:
        return code if written else COULD_NOT
    code = print_result(code, show, done)
    return code if written else COULD_NOT


def write_files(output: Output, outcome: Outcome, done: str = "") -> bool:
    """Write the files that --report names, tell of those that cannot be, and return if all were."""
    if not output.reports:
        return True
    from .report_files import write_reports

    errors = list(write_reports(output.reports, outcome, spell_flag))
    for error in errors:
        print_error(error.spell(spell_flag) + done)
    return not errors


def _print_reports(output: Output, outcome: Outcome) -> None:
    from .report_files import print_reports

    print_reports(output.reports, outcome, spell_flag)


@contextmanager
def working(
    output: Output, *, silent: bool = False, one_by_one: bool = False
) -> Iterator[Progress]:
    """Prepare the process for a job and report its failure; yield what is told of its progress.

    ``silent`` says that there is no progress to show; ``one_by_one`` is as in `progress_bar`.
    """
    from ..io.memory import collect_seldom, share_one_arena
    from ..io.source import allow_many_files

    outlive_exits()
    collect_seldom()
    share_one_arena()
    allow_many_files()
    if output.reports:
        _check_reports(output)
    with (
        reporting_failures(output),
        watching(output.quiet or silent, one_by_one=one_by_one) as progress,
    ):
        yield progress


def _check_reports(output: Output) -> None:
    """Refuse reports that could not be written, before the job, and without writing any."""
    from dataclasses import replace

    from .report_files import check_reports

    with reporting_failures(replace(output, reports=())):
        check_reports(output.reports, output.as_json, output.paths)


def watching(quiet: bool, *, one_by_one: bool = False) -> AbstractContextManager[Progress]:
    """Return a context that shows progress on stderr if that is a terminal and nobody objects."""
    if quiet or not in_foreground(sys.stderr):
        return nullcontext(lambda phase, done, total: stop_if_interrupted())
    from .progress_bar import progress_bar

    return progress_bar(one_by_one=one_by_one)


@contextmanager
def reporting_failures(output: Output) -> Iterator[None]:
    """Tell of what ends the job, and exit with the code of that.

    A failed proof is told by its report; of an interruption it is for others to tell.

    Raises:
        click.exceptions.Exit: the job failed, and that was told.
    """
    try:
        yield
    except gpt2_convert.VerificationError as error:
        from .failures import describe_failure

        code = show_verification(output, error.report, describe_failure(error, ""))
        print_error(error.spell(spell_flag))
        raise click.exceptions.Exit(code) from None
    except Exception as error:
        if received() and not isinstance(error, gpt2_convert.Gpt2ConvertError):
            raise
        release_memory(error)
        from .failures import describe_failure, print_failure

        failure = describe_failure(error, "the operating system")
        if output.reports:
            _report_failure(output, failure)
        code = print_failure(failure, output.as_json, output.command, output.started)
        raise click.exceptions.Exit(code) from None


def _report_failure(output: Output, failure: Failure) -> None:
    """Write the reports of an error; its line on stderr follows."""
    outcome = output.tell(None, failure)
    write_files(output, outcome)
    print_result(COULD_NOT, partial(_print_reports, output, outcome))
