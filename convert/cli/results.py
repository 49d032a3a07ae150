"""A job around its report: progress while it runs, then a text, a JSON document or silence."""

from __future__ import annotations

import sys
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

import click

import gpt2_convert

from .exit_codes import DIFFERENT, EQUAL
from .interruption import received, stop_if_interrupted
from .last_words import outlive_exits, release_memory
from .printer import Printer, spell_flag
from .streams import in_foreground, print_error, print_result

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from typing import Any, Protocol

    from ..errors import Spell
    from ..progress import Progress

    class Report(Protocol):
        """Any report."""

        def as_json(self, spell: Spell = ...) -> dict[str, Any]:
            """Return the document that --json prints."""


def show_verification(report: gpt2_convert.VerificationReport, as_json: bool, quiet: bool) -> int:
    """Print what a comparison found, and return the exit code that says so."""

    def show() -> None:
        from ..reports.text import write_verification

        write_verification(Printer(), report, spell_flag)

    return print_report(EQUAL if report.ok else DIFFERENT, report, show, as_json, quiet)


def print_report(
    code: int,
    report: Report,
    show: Callable[[], None],
    as_json: bool,
    quiet: bool,
    done: str = "",
) -> int:
    """Print a report in the form that was asked for, and return the exit code.

    ``done`` is as in :func:`.print_result`.
    """
    if as_json:
        from .documents import print_document

        return print_document(report.as_json(spell_flag), code, done)
    return code if quiet else print_result(code, show, done)


@contextmanager
def working(
    as_json: bool, quiet: bool, *, silent: bool = False, one_by_one: bool = False
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
    with (
        reporting_failures(as_json, quiet),
        watching(quiet or silent, one_by_one=one_by_one) as progress,
    ):
        yield progress


def watching(quiet: bool, *, one_by_one: bool = False) -> AbstractContextManager[Progress]:
    """Return a context that shows progress on stderr if that is a terminal and nobody objects."""
    if quiet or not in_foreground(sys.stderr):
        return nullcontext(lambda phase, done, total: stop_if_interrupted())
    from .progress_bar import progress_bar

    return progress_bar(one_by_one=one_by_one)


@contextmanager
def reporting_failures(as_json: bool, quiet: bool) -> Iterator[None]:
    """Tell of what ends the job, and exit with the code of that.

    A failed proof is told by its report; of an interruption it is for others to tell.

    Raises:
        click.exceptions.Exit: the job failed, and that was told.
    """
    try:
        yield
    except gpt2_convert.VerificationError as error:
        show_verification(error.report, as_json, quiet)
        print_error(error.spell(spell_flag))
        raise click.exceptions.Exit(DIFFERENT) from None
    except Exception as error:
        if received() and not isinstance(error, gpt2_convert.Gpt2ConvertError):
            raise
        release_memory(error)
        from .failures import report_failure

        code = report_failure(error, as_json, "the operating system")
        raise click.exceptions.Exit(code) from None
