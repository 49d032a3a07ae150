"""Lines on stdout, and how the command line names options."""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING

from .color import has_color, paint
from .streams import escape

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..reports.layout import Part


class Printer:
    """Lines on stdout, with styles where that has colours, and broken where it is a terminal.

    ``width`` is the number of its columns, None where lines have no end: in a file, in a pipe, or
    if they are not to be ``wrapped``.
    """

    def __init__(self, *, wrapped: bool = True) -> None:
        self._styled = has_color(sys.stdout)
        self.width: int | None = None
        if wrapped and sys.stdout.isatty():
            from shutil import get_terminal_size

            self.width = get_terminal_size().columns

    def line(self, *parts: Part) -> None:
        """Print parts in a row; a part may be a (text, style) pair."""
        pairs = [(part, "") if isinstance(part, str) else part for part in parts]
        safe = [(escape(text, sys.stdout), style) for text, style in pairs]
        if self.width is None:
            self._write(safe)
            return
        from .wrapping import wrap

        for row in wrap(safe, self.width):
            self._write(row)

    def _write(self, row: Sequence[tuple[str, str]]) -> None:
        text = "".join(text for text, _ in row).rstrip()
        if self._styled:
            left = len(text)
            painted: list[str] = []
            for piece, style in row:
                shown = piece[: max(left, 0)]
                left -= len(piece)
                painted.append(paint(shown, style) if style and shown else shown)
            text = "".join(painted)
        sys.stdout.write(text + "\n")


def spell_flag(option: str, value: object) -> str:
    """Name a keyword of the verbs as the command line does: ``--n-head 12``, ``--no-verify``."""
    name = option.replace("_", "-")
    if value is False:
        return f"--no-{name}"
    if value is None or value is True:
        return f"--{name}"
    # A shell would expand a pattern.
    return f"--{name} {shlex.quote(str(value))}"
