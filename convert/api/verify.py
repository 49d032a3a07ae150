"""The proof on its own: any two checkpoints compared."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from ..compare.checkpoints import compare
from ..compare.logits import TOKENS, Bounds, compare_logits
from ..errors import Advice, UsageError
from ..formats.opening import open_raw
from ..tensors.loss import CastLoss
from ..tensors.tolerance import Tolerance
from .companions import compare_companions
from .sample import Sample
from .source import Source, build_source, refuse_faults

if TYPE_CHECKING:
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
    as_is: bool = False,
    atol: float = 0.0,
    rtol: float = 0.0,
    weights_only: bool = False,
    logits: bool = False,
    text: str | os.PathLike[str] | None = None,
    tokenizer: str | os.PathLike[str] | None = None,
    tokens: int | None = None,
    max_kl: float | None = None,
    min_agreement: float | None = None,
    progress: Progress | None = None,
) -> VerificationReport:
    """Compare any two checkpoints that the tool reads.

    Values count as equal where ``|source - target| <= atol + rtol * |source|``; by default every
    bit counts. Where both are folders, the files beside the weights that both have are compared,
    too, unless ``weights_only``. The other keywords are those of :func:`.open` and say how the
    source is to be read; the target is read as it is. With ``as_is``, what ``drop`` leaves out of
    the source counts in the target neither. ``dtype`` casts the source before it is
    compared, as a conversion with that dtype does. With the ``engine`` "tensorflow" TensorFlow is
    the witness, and no name, shape or value of the source is taken from the native reader.

    With ``logits`` both models are run, and nothing is compared but what they say: the report's
    ``logits`` tell how far they agree, and findings are the bounds that are missed. ``max_kl`` is
    one for the largest divergence after any token, in nats, and ``min_agreement`` one for the share
    of tokens, 0 to 1, after which both find the same id likeliest. With ``dtype`` the source is
    rounded before, so that a model compared with itself tells what a cast would cost. The tokens
    are the first ``tokens`` (1,024 by default) of the file ``text``, by the tokenizer beside the
    source or the one at ``tokenizer``; without a text they are drawn, the same ones each time.

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
        as_is=as_is,
    )
    tolerance = Tolerance(atol, rtol)
    loss = CastLoss() if origin.dtype else None
    if logits:
        if as_is:
            raise UsageError("logits are what a GPT-2 says, and as it is a checkpoint may be any")
        if not tolerance.exact:
            raise UsageError(
                "atol and rtol are for weights, and logits are compared in their place"
            )
        bounds = Bounds(max_kl, min_agreement)
        sample = Sample(text, tokenizer, TOKENS if tokens is None else tokens)
        with origin.open_model(loss) as checkpoint, Source(target).open_model() as other:
            return compare_logits(
                checkpoint,
                other,
                sample.read(checkpoint),
                text=None if text is None else os.fspath(text),
                bounds=bounds,
                loss=loss,
                progress=progress,
            )
    _refuse_idle(
        text=text, tokenizer=tokenizer, tokens=tokens, max_kl=max_kl, min_agreement=min_agreement
    )
    with origin.open(loss) as checkpoint, open_raw(target, beside=not as_is) as raw:
        refuse_faults(raw)
        report = compare(
            checkpoint, raw, drop=origin.drop, tolerance=tolerance, loss=loss, progress=progress
        )
        if weights_only or as_is:
            return report
        compared, findings, alone = compare_companions(checkpoint.raw, raw)
        return replace(
            report,
            findings=(*report.findings, *findings),
            companions=compared,
            not_compared=(*report.not_compared, *alone),
        )


def _refuse_idle(**keywords: object) -> None:
    """Refuse keywords that mean nothing unless logits are compared.

    Raises:
        UsageError: one of them is not None.
    """
    for name, value in keywords.items():
        if value is not None:
            advice = Advice("ask for one with {}", "logits", True)
            raise UsageError(f"{name} is for a comparison of logits", advice)
