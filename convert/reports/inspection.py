"""What an inspection has to say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..display.line import count
from ..display.table import draw_facts, draw_rows
from ..errors import SchemaError, spell_keyword
from ..quoting import quote

if TYPE_CHECKING:
    from ..checkpoint.canonical import Checkpoint
    from ..checkpoint.collection import TensorCollection
    from ..checkpoint.raw import FileInfo
    from ..errors import Gpt2ConvertError, Problem, Spell
    from ..tensors.stats import TensorStats
    from ..tensors.tensor import LazyTensor
    from .summary import Json, Totals


@dataclass(frozen=True, slots=True, repr=False)
class InspectionReport:
    """What is in a checkpoint, from its index and headers alone.

    ``checkpoint`` is None if it is no GPT-2; ``refusal`` is the error that says why then, and
    ``tensors`` are as the file spells them. Where it is taken ``as_is``, ``checkpoint`` is None,
    and ``collection`` is what would be carried over; None where ``refusal`` says why nothing is.
    ``faults`` are what stands in the way of reading it, a missing shard for example. ``errors`` are
    the damage, the missing files and the contradictions that show without reading weights and would
    stop any conversion. ``stats`` are those of each tensor, if they were asked for; None for
    one that has no numbers. ``engine`` is what read it, and ``notes`` are what should be known of
    that.
    """

    path: str
    format: str
    files: tuple[FileInfo, ...]
    tensors: tuple[LazyTensor, ...]
    checkpoint: Checkpoint | None
    refusal: Gpt2ConvertError | None
    faults: tuple[str, ...]
    totals: Totals
    stats: tuple[TensorStats | None, ...] | None = None
    engine: str = "native"
    notes: tuple[str, ...] = ()
    errors: tuple[Gpt2ConvertError, ...] = ()
    as_is: bool = False
    collection: TensorCollection | None = None

    @property
    def ok(self) -> bool:
        """Whether no obstacle was seen; a checkpoint that is no GPT-2 may well be sound."""
        return not self.errors

    def __bool__(self) -> bool:
        return self.ok

    def __repr__(self) -> str:
        return f"<InspectionReport {self._describe()}>"

    def _describe(self) -> str:
        refused = "refused" if self.as_is else "not a GPT-2"
        kind = "gpt2" if self.checkpoint else "taken as it is" if self.collection else refused
        faults = f", {count(len(self.obstacles), 'fault')}" if self.obstacles else ""
        tensors = count(self.totals.tensors, "tensor")
        return f"{quote(self.path)} ({self.format}): {kind}, {tensors}{faults}"

    def _repr_html_(self) -> str:
        facts = self.totals.list_facts()
        if self.checkpoint is not None:
            facts.append(("hparams", str(self.checkpoint.hparams.known())))
        if self.refusal is not None:
            facts.append(("refused", str(self.refusal)))
        facts += [("fault", fault) for fault in dict.fromkeys((*self.faults, *self.obstacles))]
        facts += [("note", note) for note in self.notes]
        header = ["name", "shape", "dtype", "bytes"]
        rows: list[list[object]] = [
            [tensor.name, list(tensor.shape), tensor.dtype, f"{tensor.nbytes:,}"]
            for tensor in self.tensors
        ]
        if self.stats is not None:
            header += ["min", "max", "mean", "std", "NaN", "infinite"]
            for row, found in zip(rows, self.stats, strict=True):
                row += found.list_numbers() if found else [""] * 6
        drawn = draw_rows("tensors", header, rows)
        return draw_facts(f"InspectionReport {self._describe()}", facts) + drawn

    @property
    def obstacles(self) -> tuple[str, ...]:
        """What would stop any conversion, a sentence for each of the errors."""
        return tuple(map(str, self.errors))

    @property
    def not_gpt2(self) -> str | None:
        """Why it is no GPT-2, or cannot be taken as it is; None if it is, or can."""
        return None if self.refusal is None else str(self.refusal)

    @property
    def disagreements(self) -> tuple[Problem, ...]:
        """All the names, shapes and sizes that speak against it."""
        return self.refusal.disagreements if isinstance(self.refusal, SchemaError) else ()

    @property
    def problems(self) -> tuple[str, ...]:
        """The disagreements, a sentence each."""
        return tuple(map(str, self.disagreements))

    def _stats_as_json(self) -> list[Json]:
        if self.stats is None:
            return [{} for _ in self.tensors]
        return [{"stats": found.as_json() if found else None} for found in self.stats]

    def as_json(self, spell: Spell = spell_keyword) -> Json:
        """Return the document; schemas/inspect.schema.json describes it."""
        known = self.checkpoint
        taken = known or self.collection
        return {
            "kind": "inspection",
            "ok": self.ok,
            "findings": [{"kind": "fault", "message": each.spell(spell)} for each in self.errors],
            "format": self.format,
            "path": self.path,
            "engine": self.engine,
            "as_is": self.as_is,
            "family": "gpt2" if known else None,
            "not_gpt2": self.refusal.spell(spell) if self.refusal else None,
            "problems": [problem.spell(spell) for problem in self.disagreements],
            "hparams": known.hparams.known() if known else None,
            "hparams_from": known.hparams_from if known else None,
            "config": known.config.as_json() if known else None,
            "config_from": known.config.places() if known else None,
            **self.totals.as_json(),
            "files": [{"path": file.path, "bytes": file.nbytes} for file in self.files],
            "faults": list(self.faults),
            "dropped": [
                {"source_name": drop.source_name, "reason": drop.reason}
                for drop in (taken.dropped if taken else ())
            ],
            "notes": list(self.notes),
            "tensors": [
                {
                    "name": None if taken is None else tensor.name,
                    "source_name": tensor.source_name,
                    "shape": list(tensor.shape),
                    "dtype": tensor.dtype.value,
                    "bytes": tensor.nbytes,
                    **stats,
                }
                for tensor, stats in zip(self.tensors, self._stats_as_json(), strict=True)
            ],
        }
