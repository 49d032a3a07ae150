"""A job around its report: progress while it runs, then a text, a JSON document or silence."""

from __future__ import annotations

import sys
from contextlib import contextmanager, nullcontext
from itertools import chain, islice
from typing import TYPE_CHECKING

import gpt2_convert

from .exit_codes import COULD_NOT, DIFFERENT, EQUAL
from .interruption import stop_if_interrupted
from .printer import Printer, spell_flag
from .streams import in_foreground, print_result

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from typing import Any, Final, Protocol

    from ..errors import Advice, Spell
    from ..progress import Progress

    class Report(Protocol):
        """Any report."""

        def as_json(self, spell: Spell = ...) -> dict[str, Any]:
            """Return the document that --json prints."""


_PIECES: Final = 4096
"""Pieces of a JSON document that are written together: a name, a number, a comma."""


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
        return print_json(report.as_json(spell_flag), code, done)
    return code if quiet else print_result(code, show, done)


@contextmanager
def working(as_json: bool, quiet: bool, *, silent: bool = False) -> Iterator[Progress]:
    """Prepare the process for a job and report its failure; yield what is told of its progress."""
    from ..io.memory import collect_seldom, share_one_arena
    from ..io.source import allow_many_files

    collect_seldom()
    share_one_arena()
    allow_many_files()
    with reporting_failures(as_json, quiet), watching(quiet or silent) as progress:
        yield progress


def watching(quiet: bool) -> AbstractContextManager[Progress]:
    """Return a context that shows progress on stderr if that is a terminal and nobody objects."""
    if quiet or not in_foreground(sys.stderr):
        return nullcontext(lambda phase, done, total: stop_if_interrupted())
    from .progress_bar import progress_bar

    return progress_bar()


@contextmanager
def reporting_failures(as_json: bool, quiet: bool) -> Iterator[None]:
    """Print the report of a failed proof, and the document of any error if one was asked for."""
    try:
        yield
    except gpt2_convert.VerificationError as error:
        show_verification(error.report, as_json, quiet)
        raise
    except gpt2_convert.Gpt2ConvertError as error:
        if as_json:
            problems = error.disagreements if isinstance(error, gpt2_convert.SchemaError) else ()
            print_error_document(
                type(error).__name__,
                error.spell(spell_flag),
                tuple(problem.spell(spell_flag) for problem in problems),
                error.advice,
            )
        raise


def print_error_document(
    kind: str, message: str, problems: tuple[str, ...] = (), advice: Advice | None = None
) -> None:
    """Print the JSON document of an error; its line on stderr follows."""
    description = {
        "type": kind,
        "message": message,
        "problems": problems,
        "option": advice.option if advice else None,
        "value": advice.value if advice else None,
    }
    print_json({"kind": "error", "ok": False, "findings": [], "error": description}, COULD_NOT)


def print_json(document: dict[str, Any], code: int, done: str = "") -> int:
    """Print a document in ASCII, so that any name survives any terminal and pipe.

    ``done`` is as in :func:`.print_result`.
    """
    import json

    # Piece by piece: the text of 40,000 tensors takes more memory than all of them.
    pieces = chain(json.JSONEncoder(indent=2, allow_nan=False).iterencode(document), ["\n"])

    def write() -> None:
        while batch := "".join(islice(pieces, _PIECES)):
            sys.stdout.write(batch)

    return print_result(code, write, done)
