"""What a model has gone on with, and how fast."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..display.table import draw_facts
from ..errors import spell_keyword
from ..quoting import quote

if TYPE_CHECKING:
    from ..errors import Spell
    from .summary import Json


@dataclass(frozen=True, slots=True, repr=False)
class GenerationReport:
    """The ids with which the model at ``path`` went on after those of a prompt.

    ``text`` is what the ids spell, None where no tokenizer was asked. ``ended_by`` is "n",
    "end_of_text" or "n_ctx", None where nobody wanted to read on. ``seconds`` are those from the
    first computation to the last, without loading the model.
    """

    path: str
    prompt: tuple[int, ...]
    ids: tuple[int, ...]
    text: str | None
    ended_by: str | None
    seconds: float
    notes: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Nothing can be wrong with a text."""
        return True

    def __repr__(self) -> str:
        return f"<GenerationReport {self._describe()}>"

    def _describe(self) -> str:
        tokens = f"{len(self.prompt):,} tokens and {len(self.ids):,} more"
        return f"{quote(self.path)}: {tokens}, {self.rate:.1f} a second"

    def _repr_html_(self) -> str:
        facts = [("ids", str(list(self.ids))) if self.text is None else ("text", self.text)]
        facts += [("note", note) for note in self.notes]
        return draw_facts(f"GenerationReport {self._describe()}", facts)

    @property
    def rate(self) -> float:
        """Tokens per second."""
        return len(self.ids) / max(self.seconds, 1e-6)

    def as_json(self, spell: Spell = spell_keyword) -> Json:
        """Return the document; schemas/report.schema.json describes it."""
        return {
            "kind": "generation",
            "ok": self.ok,
            "path": self.path,
            "prompt": list(self.prompt),
            "ids": list(self.ids),
            "text": self.text,
            "ended_by": self.ended_by,
            "seconds": self.seconds,
            "tokens_per_second": self.rate,
            "notes": list(self.notes),
            "findings": [],
        }
