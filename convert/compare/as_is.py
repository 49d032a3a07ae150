"""Which tensor of a target is which of a source that was taken as it is: that of the same name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import FormatError
from ..model.as_is import find_unread, split
from ..quoting import clip
from ..reports.findings import Finding, Kind
from .pairs import Pairs, pair_up

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
    structure, pairs = pair_up(source, targets)
    return Pairs((*findings, *structure), tuple(pairs), targets)
