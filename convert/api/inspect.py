"""What is in a checkpoint, from its index and headers alone: instant at any size."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ..errors import ChecksumError, FormatError, SchemaError, SourceNotFoundError, UnsupportedError
from ..formats.detect import open_raw
from ..model.adopt import adopt
from ..progress import ignore_progress
from ..reports.verification import InspectionReport, sum_up
from ..tensors.stats import compute_stats

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..checkpoint.canonical import Checkpoint, RawCheckpoint
    from ..progress import Progress
    from ..tensors.stats import TensorStats
    from ..tensors.tensor import LazyTensor


def inspect(
    source: str | os.PathLike[str],
    *,
    step: int | None = None,
    scope: str | None = None,
    drop: Sequence[str] = (),
    stats: bool = False,
    engine: str | None = None,
    progress: Progress | None = None,
) -> InspectionReport:
    """List the tensors, hparams and files of a checkpoint.

    No weights are read, unless ``stats`` asks for statistics of each tensor. A readable checkpoint
    that is no GPT-2, or holds several, or lacks a shard, is listed too; the report says so.
    ``step`` chooses in a folder of several checkpoints, ``scope`` in a checkpoint of several
    models; ``drop`` are patterns of unknown tensors to leave out; ``engine`` reads it, as in
    :func:`.open`.

    Raises:
        SourceNotFoundError, UnreadableError, FormatError, UnsupportedError, UsageError: its index
            or headers cannot be read.
    """
    with open_raw(source, step, engine=engine) as raw:
        checkpoint: Checkpoint | None = None
        not_gpt2 = None
        problems: tuple[str, ...] = ()
        tensors = raw.tensors
        try:
            checkpoint = adopt(raw, drop, scope)
        except (SchemaError, FormatError, UnsupportedError) as error:
            not_gpt2 = str(error)
            problems = error.problems if isinstance(error, SchemaError) else ()
        else:
            tensors = tuple(checkpoint.values())
        return InspectionReport(
            path=os.fspath(source),
            format=raw.format,
            files=raw.files,
            tensors=tensors,
            checkpoint=checkpoint,
            not_gpt2=not_gpt2,
            problems=problems,
            faults=tuple(str(fault) for fault in raw.faults),
            totals=sum_up(list(tensors)),
            stats=_measure(tensors, raw, progress or ignore_progress) if stats else None,
            engine=raw.engine,
            notes=checkpoint.notes if checkpoint else raw.notes,
        )


def _measure(
    tensors: Sequence[LazyTensor], raw: RawCheckpoint, progress: Progress
) -> tuple[TensorStats | None, ...]:
    """Compute the statistics of each tensor; None where a fault of ``raw`` is in the way."""
    total, done = sum(tensor.nbytes for tensor in tensors), 0
    found: list[TensorStats | None] = []
    progress("measuring", done, total)
    for tensor in tensors:
        try:
            found.append(compute_stats(tensor))
        except (SourceNotFoundError, FormatError) as error:
            if isinstance(error, ChecksumError) or not raw.faults:
                raise
            found.append(None)
        done += tensor.nbytes
        progress("measuring", done, total)
    return tuple(found)
