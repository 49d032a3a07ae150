"""What a comparison has to say: whether two checkpoints are equal, and of what that was shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..display.line import count
from ..display.table import draw_facts
from ..errors import Gpt2ConvertError, spell_keyword
from ..tensors.tolerance import EXACT, Tolerance
from .findings import describe_findings, draw_findings

if TYPE_CHECKING:
    from ..errors import Spell
    from ..inference.agreement import Agreement
    from ..tensors.loss import CastLoss
    from .findings import Finding
    from .summary import Json, Side, Totals


@dataclass(frozen=True, slots=True, repr=False)
class VerificationReport:
    """Whether the target equals the source, bit for bit, and every way in which it does not.

    Where the source was cast before it was compared, ``loss`` says what the cast changed. Where
    ``tolerance`` is not zero, values within it count as equal. ``engine`` is what read the source:
    "native", or another program and its version; ``notes`` are what should be known of that.
    ``max_abs_diff`` is the largest difference of all values, those within the tolerance included;
    None if some are no finite numbers. ``not_compared`` are the fields of the configuration and the
    companions that only one side has; ``companions`` are those that were compared, and ``compared``
    the names of the tensors whose values were.

    Where the source was taken ``as_is``, tensors were compared by their own names, and nothing else
    was. Where ``logits`` is not None, the two were run and not compared otherwise: it is what came
    of that, findings are the bounds that it misses, and ``max_abs_diff`` is None.
    """

    source: Side
    target: Side
    totals: Totals
    findings: tuple[Finding, ...]
    loss: CastLoss | None = None
    tolerance: Tolerance = EXACT
    engine: str = "native"
    notes: tuple[str, ...] = ()
    max_abs_diff: float | None = 0.0
    not_compared: tuple[str, ...] = ()
    companions: tuple[str, ...] = ()
    logits: Agreement | None = None
    as_is: bool = False
    compared: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether there is no difference."""
        return not self.findings

    def __bool__(self) -> bool:
        return self.ok

    def __repr__(self) -> str:
        return f"<VerificationReport {self._describe()}>"

    def _describe(self) -> str:
        within = "" if self.tolerance.exact else " within the tolerance"
        equal = f"equal{within}" if self.logits is None else "agree in what they say"
        state = equal if self.ok else describe_findings(self.findings)
        tensors = count(self.totals.tensors, "tensor")
        return f"{self.source} and {self.target}: {tensors}, {state}"

    def _repr_html_(self) -> str:
        facts = self.totals.list_facts()
        if not self.tolerance.exact:
            facts.append(("tolerance", f"atol {self.tolerance.atol}, rtol {self.tolerance.rtol}"))
            facts.append(("largest difference", str(self.max_abs_diff)))
        if self.logits is not None:
            facts.append(("tokens", f"{self.logits.tokens:,}"))
            facts.append(("mean divergence", f"{self.logits.kl_mean:.3g} nats"))
        facts += [("not compared", name) for name in self.not_compared]
        facts += [("note", note) for note in self.notes]
        caption = f"VerificationReport {self._describe()}"
        return draw_facts(caption, facts) + draw_findings(self.findings)

    def as_json(self, spell: Spell = spell_keyword) -> Json:
        """Return the document; schemas/report.schema.json describes it."""
        return {
            "kind": "verification",
            "ok": self.ok,
            "source": self.source.as_json(),
            "target": self.target.as_json(),
            "engine": self.engine,
            "as_is": self.as_is,
            "tensors": self.totals.tensors,
            **self.totals.as_json(),
            "atol": self.tolerance.atol,
            "rtol": self.tolerance.rtol,
            "max_abs_diff": self.max_abs_diff,
            "compared": list(self.compared),
            "companions": list(self.companions),
            "not_compared": list(self.not_compared),
            "notes": list(self.notes),
            "cast": self.loss.as_json() if self.loss else None,
            "logits": self.logits.as_json() if self.logits else None,
            "findings": [finding.as_json(spell) for finding in self.findings],
        }


class VerificationError(Gpt2ConvertError, ValueError):
    """The written target differs from its source; it was discarded. ``report`` says how."""

    def __init__(self, message: str, report: VerificationReport) -> None:
        super().__init__(message)
        self.report = report
