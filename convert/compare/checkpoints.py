"""The proof: two checkpoints compared name by name, every bit of every tensor.

The names are those of the canonical tree, or the files' own where a checkpoint is taken as it is
(:mod:`.as_is`).

Floating-point numbers are compared as bits: a NaN equals the same NaN, and -0.0 differs from 0.0.
Equal tensors cost one pass; one that differs gets a second look (:mod:`.hints`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..checkpoint.canonical import Checkpoint
from ..errors import FormatError, SchemaError
from ..model.buffers import find_fault
from ..model.layout import READ_TRANSPOSED, is_linear, lay_out
from ..model.names import match
from ..model.schema import load_family
from ..model.scopes import describe_choice
from ..model.skipped import find_skipped_weights
from ..progress import ignore_progress
from ..reports.findings import Finding, Kind
from ..reports.summary import Side, sum_up
from ..reports.verification import VerificationReport
from ..tensors.side_by_side import count_shares
from ..tensors.tensor import same_bytes
from ..tensors.tolerance import EXACT, Tolerance
from .as_is import pair_as_is
from .config import compare_config, prove_config
from .hints import Twins, describe
from .pairs import Pairs, pair_up
from .values import compare_values

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Final

    from ..checkpoint.collection import TensorCollection
    from ..checkpoint.raw import RawCheckpoint
    from ..model.names import Match
    from ..progress import Progress
    from ..tensors.loss import CastLoss
    from ..tensors.tensor import LazyTensor

_WORKERS: Final = 2
"""Threads that compare. Each reads a source and a target, so two keep four streams going."""


def compare(
    source: TensorCollection,
    target: RawCheckpoint,
    *,
    drop: Sequence[str] = (),
    target_side: Side | None = None,
    tolerance: Tolerance = EXACT,
    loss: CastLoss | None = None,
    expected_config: Mapping[str, object] | None = None,
    hashes: dict[str, str] | None = None,
    progress: Progress | None = None,
) -> VerificationReport:
    """Compare a source with a target as its file spells it; see :func:`verify`.

    ``expected_config`` is for what this tool has just written: every field of the configuration
    that the target has to state. Where the source was taken as it is, ``drop`` are patterns of what
    to leave out of the target, too. ``hashes`` receives the SHA-256 of each tensor of the target.
    """
    findings: list[Finding] = []
    if expected_config is not None:
        findings += prove_config(source, target, expected_config)
    if isinstance(source, Checkpoint):
        found = _pair_models(source, target)
    else:
        found = pair_as_is(source, target, drop)
    findings += found.findings
    compared = compare_values(
        list(found.pairs),
        tolerance,
        progress or ignore_progress,
        workers=min(_WORKERS, count_shares(tensor for tensor, _ in found.pairs)),
        hashed=hashes is not None,
        loss=loss,
    )
    if loss is not None:
        loss.arrange(source)
    twins = Twins(source)
    findings += [
        describe(difference, twins, found.targets) for difference in compared if difference
    ]
    if hashes is not None:
        hashes |= {each.source.name: each.sha256 for each in compared if each.sha256}
    distances = [each.overall for each in compared]
    return VerificationReport(
        source=Side(source.raw.where, source.format),
        target=target_side or Side(target.where, target.format),
        totals=sum_up(list(source.values())),
        findings=tuple(findings),
        loss=loss,
        tolerance=tolerance,
        engine=source.raw.engine,
        notes=(*source.notes, *found.notes),
        max_abs_diff=None if None in distances else max(filter(None, distances), default=0.0),
        not_compared=found.not_compared,
        as_is=not isinstance(source, Checkpoint),
        compared=tuple(tensor.name for tensor, _ in found.pairs),
    )


def _pair_models(source: Checkpoint, target: RawCheckpoint) -> Pairs:
    """Pair the tensors of a GPT-2 with those of a target, whose configuration is compared, too.

    Raises:
        SchemaError: the target has several models.
    """
    if target.no_model is not None:
        raise target.no_model
    found = match(target, load_family())
    if len(found.scopes) > 1 and not found.hits:
        raise SchemaError(
            target.where,
            (describe_choice(found.scopes, "; that is for the source, so pass it first"),),
        )
    config = compare_config(source, target)
    sizes = {"n_embd": source.config.n_embd, "n_inner": source.config.n_inner}
    linear = is_linear(found, sizes)
    targets = lay_out(found, target.where, linear=linear)
    structure, pairs = pair_up(source, targets)
    return Pairs(
        findings=(
            *config.findings,
            *_find_extras(source, found),
            *(
                Finding(Kind.EXTRA, each.name, each.reason)
                for each in find_skipped_weights(target.skipped, found, load_family())
            ),
            *structure,
        ),
        pairs=tuple(pairs),
        targets=targets,
        not_compared=config.not_compared,
        notes=(f"{target.where}: {READ_TRANSPOSED}",) if linear else (),
    )


def _find_extras(source: Checkpoint, found: Match) -> list[Finding]:
    """Return what the target has and the source has not."""
    findings = [
        Finding(Kind.EXTRA, tensor.name, f"{list(tensor.shape)} is not in the source")
        for tensor in found.unknown
    ]
    findings += [
        Finding(Kind.EXTRA, tensor.name, fault)
        for tensor, rule in found.dropped
        if rule.values is not None and (fault := _find_buffer_fault(tensor, rule.values))
    ]
    findings += [
        Finding(Kind.DUPLICATE, tensor.name, "it stands twice") for tensor in found.repeated
    ]
    for name, (slot, stored) in found.tensors.items():
        _, twin = found.tensors.get(slot.row.tied_to or "", (slot, None))
        if name not in source and not (twin and _is_tied(stored, twin)):
            text = f"{list(stored.shape)} is not in the source"
            findings.append(Finding(Kind.EXTRA, name, text))
    return findings


def _find_buffer_fault(tensor: LazyTensor, kind: str) -> str | None:
    """Return what speaks against a buffer of the target; damage does."""
    try:
        return find_fault(tensor, kind)
    except FormatError as error:
        return str(error)


def _is_tied(stored: LazyTensor, twin: LazyTensor) -> bool:
    """Whether two tensors of the target are equal; damaged ones are not."""
    try:
        return same_bytes(stored, twin)
    except FormatError:
        return False
