"""The proof: two checkpoints compared through the canonical tree, every bit of every tensor.

Floating-point numbers are compared as bits: a NaN equals the same NaN, and -0.0 differs from 0.0.
Equal tensors cost one pass; one that differs gets a second look (:mod:`.hints`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import Advice, FormatError, SchemaError
from ..model.buffers import find_fault
from ..model.names import match
from ..model.schema import load_family
from ..model.scopes import describe_choice
from ..progress import ignore_progress
from ..reports.summary import Side, sum_up
from ..reports.verification import Finding, Kind, VerificationReport
from ..tensors.tensor import same_bytes
from ..tensors.tolerance import EXACT, Tolerance
from .config import compare_config, prove_config
from .hints import Twins, describe
from .values import compare_values

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Final

    from ..checkpoint.canonical import Checkpoint
    from ..checkpoint.raw import RawCheckpoint
    from ..model.names import Match
    from ..progress import Progress
    from ..tensors.casting import CastLoss
    from ..tensors.tensor import LazyTensor

_WORKERS: Final = 2
"""Threads that compare. Each reads a source and a target, so two keep four streams going."""


def compare(
    source: Checkpoint,
    target: RawCheckpoint,
    *,
    target_side: Side | None = None,
    tolerance: Tolerance = EXACT,
    loss: CastLoss | None = None,
    expected_config: Mapping[str, object] | None = None,
    hashes: dict[str, str] | None = None,
    progress: Progress | None = None,
) -> VerificationReport:
    """Compare an adopted source with a target as its file spells it; see :func:`verify`.

    ``expected_config`` is for what this tool has just written: every field of the configuration
    that the target has to state. ``hashes`` receives the SHA-256 of each tensor of the target.
    """
    found = match(target, load_family())
    if len(found.scopes) > 1 and not found.hits:
        raise SchemaError(
            target.where,
            (describe_choice(found.scopes, "; that is for the source, so pass it first"),),
        )
    config = compare_config(source, target)
    findings = list(config.findings)
    if expected_config is not None:
        findings += prove_config(source, target, expected_config)
    findings += _find_extras(source, found)
    structure, pairs = _pair_up(source, found)
    findings += structure
    compared = compare_values(
        pairs,
        tolerance,
        progress or ignore_progress,
        # The loss is one for all tensors, and made by one thread.
        workers=_WORKERS if loss is None else 1,
        hashed=hashes is not None,
    )
    twins = Twins(source)
    targets = {name: stored for name, (_, stored) in found.tensors.items()}
    findings += [describe(difference, twins, targets) for difference in compared if difference]
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
        notes=source.notes,
        max_abs_diff=None if None in distances else max(filter(None, distances), default=0.0),
        not_compared=config.not_compared,
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


def _pair_up(
    source: Checkpoint, found: Match
) -> tuple[list[Finding], list[tuple[LazyTensor, LazyTensor]]]:
    """Return what the target lacks, or has in another shape or dtype, and the pairs that are left.

    A pair is a source tensor and the target's of the same name, shape and dtype.
    """
    family = load_family()
    findings: list[Finding] = []
    pairs: list[tuple[LazyTensor, LazyTensor]] = []
    for name, tensor in source.items():
        if name not in found.tensors:
            text = f"{list(tensor.shape)} {tensor.dtype} is not in the target"
            findings.append(Finding(Kind.MISSING, name, text))
            continue
        slot, stored = found.tensors[name]
        shape = family.stored_shape(slot, tensor.shape, found.spelling)
        if stored.shape != shape:
            found_shape = stored.shape
            if len(shape) > len(tensor.shape) and found_shape[:1] == shape[:1]:
                found_shape = found_shape[1:]  # people do not know of conv1d's leading axis
            findings.append(_describe_shape(name, tensor.shape, found_shape))
        elif stored.dtype != tensor.dtype:
            text = f"{tensor.dtype} in the source, {stored.dtype} in the target"
            advice = Advice("{} compares with the source cast to it", "dtype", stored.dtype.value)
            findings.append(
                Finding(Kind.DTYPE, name, text, advice=advice if stored.dtype.is_floating else None)
            )
        else:
            pairs.append((tensor, stored))
    return findings, pairs


def _describe_shape(name: str, expected: tuple[int, ...], found: tuple[int, ...]) -> Finding:
    hint = "transposed" if expected == found[::-1] else None
    text = f"{list(expected)} in the source, {list(found)} in the target"
    return Finding(Kind.SHAPE, name, text, hint=hint)
