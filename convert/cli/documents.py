"""What --json prints: one document on stdout, whatever happens."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import gpt2_convert

from ..reports.outcome import TOOL, Outcome
from ..reports.renderers.json import render
from .last_words import find_start, has_its_document, note_document
from .printer import spell_flag

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..reports.outcome import Failure


def make_document(outcome: Outcome) -> Callable[[], None]:
    """Return what prints the document of a job, which is made now."""
    pieces = render(outcome, spell_flag)

    def write() -> None:
        sys.stdout.writelines(pieces)
        note_document()

    return write


def print_error_document(
    failure: Failure, command: str = TOOL, seconds: float | None = None
) -> None:
    """Print the document of an error, unless there is one already; its line on stderr follows.

    If it cannot be printed, that line says more than another about it.
    """
    if has_its_document():
        return
    if seconds is None:
        seconds = time.monotonic() - find_start()
    with suppress(OSError):
        make_document(Outcome(command, gpt2_convert.__version__, seconds, None, failure))()
        sys.stdout.flush()
