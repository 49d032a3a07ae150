"""Comparisons of the small GPT-2 with what is nearly it."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from support import bundles, raws

from gpt2_convert.compare.checkpoints import compare
from gpt2_convert.model.adopt import adopt

if TYPE_CHECKING:
    from typing import Any

    import numpy as np

    from gpt2_convert import Finding, VerificationReport
    from gpt2_convert.checkpoint.raw import RawCheckpoint

    Arrays = dict[str, np.ndarray[Any, Any]]


def compared(
    target: Arrays | list[tuple[str, Any]],
    sizes: dict[str, int] = bundles.TINY,
    hparams: dict[str, int] | None = None,
) -> VerificationReport:
    source = adopt(raws.raw(bundles.gpt2_arrays(sizes), sizes))
    return compare(source, raws.raw(target, sizes if hparams is None else hparams or None))


def only(report: VerificationReport) -> Finding:
    assert not report.ok
    (finding,) = report.findings
    return finding


def with_wte(data: bytes) -> RawCheckpoint:
    """A raw checkpoint whose wte yields ``data``, whatever its shape."""
    raw = raws.raw(raws.canonical(), bundles.TINY)
    tensors = [
        dataclasses.replace(tensor, read=lambda: iter([data] if data else []))
        if tensor.name == "wte"
        else tensor
        for tensor in raw.tensors
    ]
    return dataclasses.replace(raw, tensors=tuple(tensors))
