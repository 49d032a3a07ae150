"""What a conversion has to say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..display.line import count
from ..display.table import draw_facts
from ..errors import spell_keyword
from .findings import describe_findings, draw_findings

if TYPE_CHECKING:
    from ..checkpoint.collection import Dropped
    from ..checkpoint.config import Config
    from ..checkpoint.hparams import HParams
    from ..errors import Spell
    from ..tensors.loss import CastLoss
    from .digest import DigestReport
    from .findings import Finding
    from .summary import Json, Side, Totals
    from .sums import WrittenFile
    from .verification import VerificationReport


@dataclass(frozen=True, slots=True)
class CopiedFile:
    """A companion that was copied, with the name that the source has for it."""

    name: str
    source_name: str
    nbytes: int
    sha256: str

    def as_json(self) -> Json:
        """Return it as it stands in a report."""
        return {
            "name": self.name,
            "source_name": self.source_name,
            "bytes": self.nbytes,
            "sha256": self.sha256,
        }


@dataclass(frozen=True, slots=True)
class LeftFile:
    """A file or folder beside the weights that stayed behind, and why."""

    name: str
    reason: str

    def as_json(self) -> Json:
        """Return it as it stands in a report."""
        return {"name": self.name, "reason": self.reason}


@dataclass(frozen=True, slots=True, repr=False)
class ConversionReport:
    """What was written, and what became of every source tensor.

    ``mapped`` are (source name, canonical name) pairs. Where the checkpoint was taken as it is, the
    two are the same, and ``config`` and ``hparams_from`` are None. ``notes`` are what else should
    be known of the tensors. ``verification`` is None if it was waived, ``digests`` if they were not
    asked for. ``engine`` is what read the bytes that were written; ``verification`` knows who read
    the source for the proof. ``companions`` are the files beside the weights that were copied, and
    ``left`` those that stayed behind. ``files`` are all that were written, with their SHA-256; None
    if that was not asked for.
    """

    source: Side
    target: Side
    target_nbytes: int
    config: Config | None
    hparams_from: str | None
    totals: Totals
    mapped: tuple[tuple[str, str], ...]
    dropped: tuple[Dropped, ...]
    notes: tuple[str, ...]
    verification: VerificationReport | None
    digests: DigestReport | None = None
    engine: str = "native"
    companions: tuple[CopiedFile, ...] = ()
    left: tuple[LeftFile, ...] = ()
    files: tuple[WrittenFile, ...] | None = None

    @property
    def hparams(self) -> HParams | None:
        """The sizes that OpenAI's hparams.json has; None of what was taken as it is."""
        return None if self.config is None else self.config.hparams

    @property
    def written(self) -> tuple[WrittenFile, ...]:
        """The files of which sums were taken."""
        return self.files or ()

    @property
    def ok(self) -> bool:
        """Whether nothing speaks against the target."""
        return self.verification is None or self.verification.ok

    def __bool__(self) -> bool:
        return self.ok

    def __repr__(self) -> str:
        return f"<ConversionReport {self._describe()}>"

    def _describe(self) -> str:
        proof = "not verified" if self.verification is None else describe_findings(self.findings)
        state = "verified" if self.ok and self.verification is not None else proof
        return f"{self.source} to {self.target}: {count(self.totals.tensors, 'tensor')}, {state}"

    def _repr_html_(self) -> str:
        facts = [*self.totals.list_facts(), ("bytes written", f"{self.target_nbytes:,}")]
        if self.hparams is not None:
            facts.append(("hparams", f"{self.hparams.known()} from {self.hparams_from}"))
        if self.dropped:
            facts.append(("dropped", count(len(self.dropped), "tensor")))
        if self.digests is not None:
            facts.append(("sha256", self.digests.sha256))
        facts += [("copied", each.name) for each in self.companions]
        facts += [("note", note) for note in self.notes]
        caption = f"ConversionReport {self._describe()}"
        return draw_facts(caption, facts) + draw_findings(self.findings)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What the verification found."""
        return self.verification.findings if self.verification is not None else ()

    @property
    def loss(self) -> CastLoss | None:
        """What a cast to another dtype changed, if there was one and it was verified."""
        return self.verification.loss if self.verification is not None else None

    def as_json(self, spell: Spell = spell_keyword) -> Json:
        """Return the document; schemas/report.schema.json describes it."""
        return {
            "kind": "conversion",
            "ok": self.ok,
            "verified": self.verification is not None,
            "engine": self.engine,
            "proof_engine": self.verification.engine if self.verification is not None else None,
            "source": self.source.as_json(),
            "target": {**self.target.as_json(), "bytes": self.target_nbytes},
            "as_is": self.config is None,
            "hparams": self.config.hparams.known() if self.config else None,
            "hparams_from": self.hparams_from,
            "config": self.config.as_json() if self.config else None,
            "config_from": self.config.places() if self.config else None,
            "tensors": self.totals.tensors,
            **self.totals.as_json(),
            "mapped": [{"source_name": source, "name": name} for source, name in self.mapped],
            "dropped": [
                {"source_name": drop.source_name, "reason": drop.reason} for drop in self.dropped
            ],
            "notes": list(self.notes),
            "companions": [each.as_json() for each in self.companions],
            "left": [each.as_json() for each in self.left],
            "cast": self.loss.as_json() if self.loss else None,
            "digest": self.digests.sha256 if self.digests is not None else None,
            "files": None if self.files is None else [each.as_json() for each in self.files],
            "findings": [finding.as_json(spell) for finding in self.findings],
        }
