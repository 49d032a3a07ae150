"""A source's tensors beside the target's: those whose values can be compared, and what cannot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import Advice
from ..reports.findings import Finding, Kind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..checkpoint.collection import TensorCollection
    from ..tensors.dtype import DType
    from ..tensors.tensor import LazyTensor


@dataclass(frozen=True, slots=True)
class Pairs:
    """What two checkpoints have in common, and the findings where they differ before any value.

    A pair is a source tensor and the target's of the same name, shape and dtype. ``targets`` are
    the target's by the names of the source, in the layout of the canonical tree if they are a
    model's. ``not_compared`` is what only one side states.
    """

    findings: tuple[Finding, ...]
    pairs: tuple[tuple[LazyTensor, LazyTensor], ...]
    targets: Mapping[str, LazyTensor]
    not_compared: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def pair_up(
    source: TensorCollection, targets: Mapping[str, LazyTensor]
) -> tuple[list[Finding], list[tuple[LazyTensor, LazyTensor]]]:
    """Return what the target lacks, or has in another shape or dtype, and the pairs that are left.

    ``targets`` are as in :class:`Pairs`.
    """
    findings: list[Finding] = []
    pairs: list[tuple[LazyTensor, LazyTensor]] = []
    for name, tensor in source.items():
        stored = targets.get(name)
        if stored is None:
            text = f"{list(tensor.shape)} {tensor.dtype} is not in the target"
            findings.append(Finding(Kind.MISSING, name, text))
        elif stored.shape != tensor.shape:
            findings.append(describe_shape(name, tensor.shape, stored.shape))
        elif stored.dtype != tensor.dtype:
            findings.append(describe_dtype(name, tensor.dtype, stored.dtype))
        else:
            pairs.append((tensor, stored))
    return findings, pairs


def describe_shape(name: str, expected: tuple[int, ...], found: tuple[int, ...]) -> Finding:
    """Return the finding of a tensor that has another shape in the target."""
    hint = "transposed" if expected == found[::-1] else None
    text = f"{list(expected)} in the source, {list(found)} in the target"
    return Finding(Kind.SHAPE, name, text, hint=hint)


def describe_dtype(name: str, expected: DType, found: DType) -> Finding:
    """Return the finding of a tensor that has another dtype in the target."""
    text = f"{expected} in the source, {found} in the target"
    advice = Advice("{} compares with the source cast to it", "dtype", found.value)
    castable = expected.is_floating and found.is_floating
    return Finding(Kind.DTYPE, name, text, advice=advice if castable else None)
