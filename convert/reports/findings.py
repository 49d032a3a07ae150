"""Findings as a report shows itself in a line, and in a notebook as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..display.line import count
from ..display.table import draw_rows
from ..errors import spell_keyword

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Protocol

    from ..errors import Spell

    class Finding(Protocol):
        """A finding, of which the module that has its class is imported for comparisons alone."""

        @property
        def kind(self) -> str:
            """The kind of the difference."""

        @property
        def tensor(self) -> str:
            """What differs."""

        @property
        def message(self) -> str:
            """In which way."""

        def spell_hint(self, spell: Spell) -> str | None:
            """Return what would explain it, or help."""


def describe_findings(findings: Sequence[Finding]) -> str:
    """Return whether there are differences, and how many."""
    return f"different ({count(len(findings), 'finding')})" if findings else "equal"


def draw_findings(findings: Sequence[Finding]) -> str:
    """Return findings as a table for a notebook; nothing where there are none."""
    rows = [
        (each.kind, each.tensor, each.message, each.spell_hint(spell_keyword) or "")
        for each in findings
    ]
    return draw_rows("findings", ("kind", "of", "difference", "hint"), rows)
