"""What a job has to say: plain objects, and the JSON documents that the schemas describe.

``as_json`` returns what ``--json`` prints; ``schemas/report.schema.json`` and
``schemas/inspect.schema.json`` describe it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from ..tensors.tolerance import EXACT, Tolerance

if TYPE_CHECKING:
    from typing import Any

    from ..api.digest import DigestReport
    from ..checkpoint.canonical import Checkpoint, Dropped, FileInfo, HParams
    from ..tensors.casting import CastLoss
    from ..tensors.stats import TensorStats
    from ..tensors.tensor import LazyTensor

    Json = dict[str, Any]


class Kind(StrEnum):
    """The kinds of difference between two checkpoints."""

    MISSING = "missing"
    EXTRA = "extra"
    DUPLICATE = "duplicate"
    SHAPE = "shape"
    DTYPE = "dtype"
    VALUES = "values"
    HPARAMS = "hparams"


@dataclass(frozen=True, slots=True)
class Finding:
    """One difference. ``tensor`` is the canonical name, or the file's own for an extra one.

    The numbers are of values findings only: how many of ``elements`` differ, the largest absolute
    difference (None if one of the two is no finite number there), and the first index.
    """

    kind: Kind
    tensor: str
    message: str
    differing: int | None = None
    elements: int | None = None
    max_abs_diff: float | None = None
    first_index: tuple[int, ...] | None = None
    hint: str | None = None

    def as_json(self) -> Json:
        """Return the finding as it stands in a report."""
        found: Json = {"kind": self.kind.value, "tensor": self.tensor, "message": self.message}
        if self.kind is Kind.VALUES:
            found["differing"] = self.differing
            found["elements"] = self.elements
            found["max_abs_diff"] = self.max_abs_diff
            found["first_index"] = None if self.first_index is None else list(self.first_index)
        if self.hint is not None:
            found["hint"] = self.hint
        return found


@dataclass(frozen=True, slots=True)
class Totals:
    """How many tensors, parameters and bytes, and of which dtype ("mixed" if of several)."""

    tensors: int
    parameters: int
    nbytes: int
    dtype: str

    def as_json(self) -> Json:
        """Return the totals as they stand in a report."""
        return {"parameters": self.parameters, "bytes": self.nbytes, "dtype": self.dtype}


def sum_up(tensors: list[LazyTensor]) -> Totals:
    """Add up ``tensors``."""
    dtypes = sorted({tensor.dtype.value for tensor in tensors})
    return Totals(
        tensors=len(tensors),
        parameters=sum(tensor.size for tensor in tensors),
        nbytes=sum(tensor.nbytes for tensor in tensors),
        dtype=dtypes[0] if len(dtypes) == 1 else "mixed" if dtypes else "none",
    )


@dataclass(frozen=True, slots=True)
class Side:
    """The source or the target of a job."""

    path: str
    format: str

    def as_json(self) -> Json:
        """Return the side as it stands in a report."""
        return {"path": self.path, "format": self.format}


@dataclass(frozen=True, slots=True)
class VerificationReport:
    """Whether the target equals the source, bit for bit, and every way in which it does not.

    Where the source was cast before it was compared, ``loss`` says what the cast changed. Where
    ``tolerance`` is not zero, values within it count as equal. ``engine`` is what read the source:
    "native", or another program and its version; ``notes`` are what should be known of that.
    """

    source: Side
    target: Side
    totals: Totals
    findings: tuple[Finding, ...]
    loss: CastLoss | None = None
    tolerance: Tolerance = EXACT
    engine: str = "native"
    notes: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether there is no difference."""
        return not self.findings

    def as_json(self) -> Json:
        """Return the document that ``verify --json`` prints."""
        return {
            "kind": "verification",
            "ok": self.ok,
            "source": self.source.as_json(),
            "target": self.target.as_json(),
            "engine": self.engine,
            "tensors": self.totals.tensors,
            **self.totals.as_json(),
            "atol": self.tolerance.atol,
            "rtol": self.tolerance.rtol,
            "notes": list(self.notes),
            "cast": self.loss.as_json() if self.loss else None,
            "findings": [finding.as_json() for finding in self.findings],
        }


@dataclass(frozen=True, slots=True)
class ConversionReport:
    """What was written, and what became of every source tensor.

    ``mapped`` are (source name, canonical name) pairs; ``notes`` are what else should be known of
    the tensors. ``verification`` is None if it was waived, ``digests`` if nobody asked for them.
    ``engine`` is what read the bytes that were written; ``verification`` knows who read the source
    for the proof.
    """

    source: Side
    target: Side
    target_nbytes: int
    hparams: HParams
    hparams_from: str
    totals: Totals
    mapped: tuple[tuple[str, str], ...]
    dropped: tuple[Dropped, ...]
    notes: tuple[str, ...]
    verification: VerificationReport | None
    digests: DigestReport | None = None
    engine: str = "native"

    @property
    def ok(self) -> bool:
        """Whether nothing speaks against the target."""
        return self.verification is None or self.verification.ok

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What the verification found."""
        return self.verification.findings if self.verification else ()

    @property
    def loss(self) -> CastLoss | None:
        """What a cast to another dtype changed, if there was one and it was verified."""
        return self.verification.loss if self.verification else None

    def as_json(self) -> Json:
        """Return the document that a conversion with ``--json`` prints."""
        return {
            "kind": "conversion",
            "ok": self.ok,
            "verified": self.verification is not None,
            "engine": self.engine,
            "proof_engine": self.verification.engine if self.verification else None,
            "source": self.source.as_json(),
            "target": {**self.target.as_json(), "bytes": self.target_nbytes},
            "hparams": self.hparams.known(),
            "hparams_from": self.hparams_from,
            "tensors": self.totals.tensors,
            **self.totals.as_json(),
            "mapped": [{"source_name": source, "name": name} for source, name in self.mapped],
            "dropped": [
                {"source_name": drop.source_name, "reason": drop.reason} for drop in self.dropped
            ],
            "notes": list(self.notes),
            "cast": self.loss.as_json() if self.loss else None,
            "digest": self.digests.sha256 if self.digests else None,
            "findings": [finding.as_json() for finding in self.findings],
        }


@dataclass(frozen=True, slots=True)
class InspectionReport:
    """What is in a checkpoint, from its index and headers alone.

    ``checkpoint`` is None if it is no GPT-2; ``not_gpt2`` says why then, ``problems`` are all the
    names, shapes and sizes that speak against it, and ``tensors`` are as the file spells them.
    ``faults`` are what would stop a conversion, a missing shard for example. ``stats`` are those of
    each tensor, if they were asked for; None for one that has no numbers. ``engine`` is what read
    it, and ``notes`` are what should be known of that.
    """

    path: str
    format: str
    files: tuple[FileInfo, ...]
    tensors: tuple[LazyTensor, ...]
    checkpoint: Checkpoint | None
    not_gpt2: str | None
    problems: tuple[str, ...]
    faults: tuple[str, ...]
    totals: Totals
    stats: tuple[TensorStats | None, ...] | None = None
    engine: str = "native"
    notes: tuple[str, ...] = ()

    def _stats_as_json(self) -> list[Json]:
        if self.stats is None:
            return [{} for _ in self.tensors]
        return [{"stats": found.as_json() if found else None} for found in self.stats]

    def as_json(self) -> Json:
        """Return the document that ``inspect --json`` prints."""
        known = self.checkpoint
        return {
            "format": self.format,
            "path": self.path,
            "engine": self.engine,
            "family": "gpt2" if known else None,
            "not_gpt2": self.not_gpt2,
            "problems": list(self.problems),
            "hparams": known.hparams.known() if known else None,
            "hparams_from": known.hparams_from if known else None,
            **self.totals.as_json(),
            "files": [{"path": file.path, "bytes": file.nbytes} for file in self.files],
            "faults": list(self.faults),
            "dropped": [
                {"source_name": drop.source_name, "reason": drop.reason}
                for drop in (known.dropped if known else ())
            ],
            "notes": list(self.notes),
            "tensors": [
                {
                    "name": tensor.name if known else None,
                    "source_name": tensor.source_name,
                    "shape": list(tensor.shape),
                    "dtype": tensor.dtype.value,
                    "bytes": tensor.nbytes,
                    **stats,
                }
                for tensor, stats in zip(self.tensors, self._stats_as_json(), strict=True)
            ],
        }
