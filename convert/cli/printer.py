"""Lines on stdout, and how the command line names options."""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING

from .streams import escape

if TYPE_CHECKING:
    from rich.console import Console

    from ..reports.layout import Part


class Printer:
    """Lines on stdout, styled where that is a terminal."""

    def __init__(self) -> None:
        self._console: Console | None = None
        if sys.stdout.isatty():
            from rich.console import Console

            self._console = Console(highlight=False, markup=False, emoji=False)

    def line(self, *parts: Part) -> None:
        """Print parts in a row; a part may be a (text, style) pair."""
        pairs = [(part, "") if isinstance(part, str) else part for part in parts]
        safe = [(escape(text, sys.stdout), style) for text, style in pairs]
        if self._console is None:
            sys.stdout.write("".join(text for text, _ in safe).rstrip() + "\n")
            return
        from rich.text import Text

        row = Text.assemble(*safe)
        row.rstrip()
        self._console.print(row, soft_wrap=True)


def spell_flag(option: str, value: object) -> str:
    """Name a keyword of the verbs as the command line does: ``--n-head 12``, ``--no-verify``."""
    name = option.replace("_", "-")
    if value is False:
        return f"--no-{name}"
    if value is None or value is True:
        return f"--{name}"
    # A shell would expand a pattern.
    return f"--{name} {shlex.quote(str(value))}"
