"""Findings: one for each way in which two checkpoints differ, in a line, a table or a document."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from ..display.line import count, show_text
from ..display.table import draw_rows
from ..errors import spell_keyword

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..errors import Advice, Spell
    from .difference_map import DifferenceMap
    from .summary import Json


class Kind(StrEnum):
    """The kinds of difference between two checkpoints."""

    MISSING = "missing"
    EXTRA = "extra"
    DUPLICATE = "duplicate"
    SHAPE = "shape"
    DTYPE = "dtype"
    VALUES = "values"
    HPARAMS = "hparams"
    CONFIG = "config"
    COMPANION = "companion"
    LOGITS = "logits"


@dataclass(frozen=True, slots=True, repr=False)
class Finding:
    """One difference.

    ``tensor`` is the canonical name, or the file's own for an extra one; where no tensor differs,
    it is the field of the configuration, the name of the companion or what of the logits is beyond
    its bound. The numbers are of values findings only: how many of ``elements`` differ, the largest
    absolute difference (None if one of the two is no finite number there), and the first index;
    the ``map`` of where they are is None where no element differs or very many tensors do.
    ``hint`` is the mistake that would explain it; ``advice`` is the option that would help.
    """

    kind: Kind
    tensor: str
    message: str
    differing: int | None = None
    elements: int | None = None
    max_abs_diff: float | None = None
    first_index: tuple[int, ...] | None = None
    hint: str | None = None
    advice: Advice | None = None
    map: DifferenceMap | None = None

    def __repr__(self) -> str:
        return f"<Finding {show_text(f'{self.kind} {self.tensor}: {self.message}')}>"

    def as_json(self, spell: Spell = spell_keyword) -> Json:
        """Return the finding as it stands in a report."""
        found: Json = {"kind": self.kind.value, "tensor": self.tensor, "message": self.message}
        if self.kind is Kind.VALUES:
            found["differing"] = self.differing
            found["elements"] = self.elements
            found["max_abs_diff"] = self.max_abs_diff
            found["first_index"] = None if self.first_index is None else list(self.first_index)
            found["map"] = self.map.as_json() if self.map else None
        if (hint := self.spell_hint(spell)) is not None:
            found["hint"] = hint
        return found

    def spell_hint(self, spell: Spell) -> str | None:
        """Return the hint, or else the advice in that voice, if there is one of them."""
        return self.hint or (self.advice.spell(spell) if self.advice else None)


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
