"""Which tensor of a target is which of a source that was taken as it is: that of the same name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import FormatError
from ..model.as_is import find_unread, split
from ..quoting import clip
from ..reports.verification import Finding, Kind
from .pairs import Pairs, describe_dtype, describe_shape

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..checkpoint.collection import TensorCollection
    from ..checkpoint.raw import RawCheckpoint
    from ..tensors.tensor import LazyTensor


def pair_as_is(source: TensorCollection, target: RawCheckpoint, drop: Sequence[str] = ()) -> Pairs:
    """Pair the tensors of a source with those of a target; ``drop`` leaves out of the target."""
    findings: list[Finding] = []
    targets: dict[str, LazyTensor] = {}
    for config in target.configs:
        try:
            config.fields()
        except FormatError as error:
            findings.append(Finding(Kind.CONFIG, "config", str(error)))
    for stored in split(target, drop)[0]:
        if stored.name in targets:
            findings.append(Finding(Kind.DUPLICATE, clip(stored.name), "it stands twice"))
        elif stored.name not in source:
            text = f"{list(stored.shape)} {stored.dtype} is not in the source"
            findings.append(Finding(Kind.EXTRA, clip(stored.name), text))
        targets.setdefault(stored.name, stored)
    findings += [
        Finding(Kind.EXTRA, clip(each.name), clip(each.reason))
        for each in find_unread(target, drop)
    ]
    pairs: list[tuple[LazyTensor, LazyTensor]] = []
    for name, tensor in source.items():
        if (found := targets.get(name)) is None:
            text = f"{list(tensor.shape)} {tensor.dtype} is not in the target"
            findings.append(Finding(Kind.MISSING, name, text))
        elif found.shape != tensor.shape:
            findings.append(describe_shape(name, tensor.shape, found.shape))
        elif found.dtype != tensor.dtype:
            findings.append(describe_dtype(name, tensor.dtype, found.dtype))
        else:
            pairs.append((tensor, found))
    return Pairs(tuple(findings), tuple(pairs), targets)
