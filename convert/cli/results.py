"""A job around its report: progress while it runs, then a text, documents and files, or silence."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

import click

import gpt2_convert

from .exit_codes import COULD_NOT, DIFFERENT, EQUAL
from .interruption import received, stop_if_interrupted
from .last_words import outlive_exits, release_memory
from .places import STDOUT, Places, name_place
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

    ``sums`` is where the SHA-256 of all that was written go. ``places`` are its sources and its
    target, which no report may replace. ``started`` is when it began, on the clock of
    time.monotonic.
    """

    command: str
    as_json: bool = False
    quiet: bool = False
    reports: tuple[ReportFile, ...] = ()
    sums: str | None = None
    places: Places = field(default_factory=Places)
    started: float = field(default_factory=time.monotonic)

    @property
    def replaces_text(self) -> bool:
        """Whether a document, a report or sums go to stdout in place of the text."""
        return self.as_json or self.prints_sums or any(each.to_stdout for each in self.reports)

    @property
    def prints_sums(self) -> bool:
        """Whether the sums go to stdout."""
        return self.sums is not None and name_place(self.sums) == STDOUT

    def making(self, target: str) -> Output:
        """Return the output of a job that makes ``target``."""
        paths = tuple(path for path in self.places.paths if path != target)
        return replace(self, places=Places((*paths, target), target))

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
    written = (failure is not None or _write_sums(output, report, done)) and written
    if outcome is not None and output.as_json:
        from .documents import make_document

        show = make_document(outcome)
    elif output.prints_sums:
        show = partial(_print_sums, report)
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

    errors = list(write_reports(output.reports, outcome, spell_flag, output.places))
    for error in errors:
        print_error(error.spell(spell_flag) + done)
    return not errors


def _write_sums(output: Output, report: Report, done: str) -> bool:
    """Write the file that --sums names, tell why if it cannot be, and return if it was."""
    if output.sums is None or output.prints_sums:
        return True
    from ..reports.outcome import list_written
    from ..reports.sums import list_sums
    from .sums_file import sums_file

    try:
        sums_file(output.sums).write(list_sums(list_written(report)), output.places)
    except (gpt2_convert.TargetError, gpt2_convert.UsageError) as error:
        print_error(error.spell(spell_flag) + done)
        return False
    return True


def _print_sums(report: Report) -> None:
    from ..reports.outcome import list_written
    from .sums_file import print_sums

    print_sums(list_written(report))


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
    if output.reports or output.sums is not None:
        _check_files(output)
    with (
        reporting_failures(output),
        watching(output.quiet or silent, one_by_one=one_by_one) as progress,
    ):
        yield progress


def _check_files(output: Output) -> None:
    """Refuse files that could not be written, before the job, and without writing any."""
    from .report_files import check_reports
    from .sums_file import sums_file

    with reporting_failures(replace(output, reports=())):
        _refuse_one_place_for_two(output)
        check_reports(output.reports, output.places)
        if output.sums is not None and not output.prints_sums:
            sums_file(output.sums).check(output.places)


def _refuse_one_place_for_two(output: Output) -> None:
    """Refuse what would have one thing replace another, or stdout be of two.

    Raises:
        UsageError: two would go to one place.
    """
    given = [each.path for each in output.reports]
    given += [STDOUT] if output.as_json else []
    given += [] if output.sums is None else [output.sums]
    places = [name_place(path) for path in given]
    for place in places:
        if places.count(place) > 1:
            where = "stdout" if place == STDOUT else place
            raise gpt2_convert.UsageError(
                f"two things would go to {where}; name another file for one of them"
            )


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
        outcome = output.tell(None, failure)
        if output.reports:
            _report_failure(output, outcome)
        code = print_failure(failure, output.as_json, output.command, outcome.seconds)
        raise click.exceptions.Exit(code) from None


def _report_failure(output: Output, outcome: Outcome) -> None:
    """Write the reports of an error; its line on stderr follows."""
    write_files(output, outcome)
    print_result(COULD_NOT, partial(_print_reports, output, outcome))
