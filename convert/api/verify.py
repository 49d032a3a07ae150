"""The proof on its own: any two checkpoints compared."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ..compare.checkpoints import compare
from ..formats.opening import open_raw
from ..tensors.casting import CastLoss
from ..tensors.tolerance import Tolerance
from .companions import compare_companions
from .source import build_source, refuse_faults

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from ..formats.engines import EngineName
    from ..formats.readers import SourceFormat
    from ..progress import Progress
    from ..reports.verification import VerificationReport
    from ..tensors.dtype import DTypeName


def verify(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    format: SourceFormat | None = None,
    step: int | None = None,
    scope: str | None = None,
    drop: Sequence[str] = (),
    n_head: int | None = None,
    dtype: DTypeName | None = None,
    allow_overflow: bool = False,
    engine: EngineName | None = None,
    atol: float = 0.0,
    rtol: float = 0.0,
    weights_only: bool = False,
    progress: Progress | None = None,
) -> VerificationReport:
    """Compare any two checkpoints that the tool reads.

    Values count as equal where ``|source - target| <= atol + rtol * |source|``; by default every
    bit counts. Where both are folders, the files beside the weights that both have are compared,
    too, unless ``weights_only``. The other keywords are those of :func:`.open` and say how the
    source is to be read; the target is read as it is. ``dtype`` casts the source before it is
    compared, as a conversion with that dtype does. With the ``engine`` "tensorflow" TensorFlow is
    the witness, and no name, shape or value of the source is taken from the native reader.

    Raises:
        Gpt2ConvertError: one of the two cannot be read, or the source is no GPT-2. Differences
            are not errors; they are the report's findings.
    """
    origin = build_source(
        source,
        format=format,
        step=step,
        scope=scope,
        drop=drop,
        n_head=n_head,
        dtype=dtype,
        allow_overflow=allow_overflow,
        engine=engine,
    )
    tolerance = Tolerance(atol, rtol)
    loss = CastLoss() if origin.dtype else None
    with origin.open(loss) as checkpoint, open_raw(target) as raw:
        refuse_faults(raw)
        report = compare(checkpoint, raw, tolerance=tolerance, loss=loss, progress=progress)
        if weights_only:
            return report
        compared, findings, alone = compare_companions(checkpoint.raw, raw)
        return replace(
            report,
            findings=(*report.findings, *findings),
            companions=compared,
            not_compared=(*report.not_compared, *alone),
        )
