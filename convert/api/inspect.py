"""What is in a checkpoint, from its index and headers alone: instant at any size."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ..errors import (
    ChecksumError,
    FormatError,
    Gpt2ConvertError,
    SchemaError,
    SourceNotFoundError,
    UnsupportedError,
)
from ..formats.companions import Beside, check_companion, list_beside
from ..formats.limits import check_measured
from ..io.json_scan import Allowance
from ..io.memory import keep_freed_memory
from ..model.config import settle_config
from ..progress import ignore_progress
from ..reports.inspection import InspectionReport
from ..reports.summary import sum_up
from ..tensors.aside import Aside, count_forks
from ..tensors.side_by_side import count_workers, work_on_tensors
from ..tensors.stats import PASSES, compute_stats, dump_stats, load_stats
from .source import build_source, note_unread

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Final

    from ..checkpoint.canonical import Checkpoint
    from ..checkpoint.collection import TensorCollection
    from ..checkpoint.raw import RawCheckpoint
    from ..formats.companions import Companion
    from ..formats.engines import EngineName
    from ..formats.readers import SourceFormat
    from ..progress import Progress
    from ..tensors.dtype import DTypeName
    from ..tensors.stats import TensorStats
    from ..tensors.tensor import LazyTensor


_HELD: Final = 40 << 20
"""Bytes of tensors that are kept in memory instead of being read twice."""


def inspect(
    source: str | os.PathLike[str],
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
    stats: bool = False,
    progress: Progress | None = None,
) -> InspectionReport:
    """List the tensors, hparams and files of a checkpoint.

    No weights are read, unless ``stats`` asks for statistics of each tensor. A readable checkpoint
    that is no GPT-2, or holds several, or lacks a shard, is listed too; the report says so, and is
    false where it is damaged, contradicts itself or cannot be taken ``as_is``. The other keywords
    are those of :func:`.open`; with ``dtype`` the tensors are listed, and measured, as they are
    after the cast.

    Raises:
        SourceNotFoundError, UnreadableError, FormatError, UnsupportedError, UsageError: its index
            or headers cannot be read.
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
    with origin.open_raw() as raw:
        checkpoint: Checkpoint | None = None
        collection: TensorCollection | None = None
        refusal: Gpt2ConvertError | None = None
        tensors = raw.tensors
        try:
            if as_is:
                collection = origin.take_as_is(raw)
            else:
                checkpoint = origin.cast(origin.adopt(raw))
        except (SchemaError, FormatError, UnsupportedError) as error:
            refusal = error
        if checkpoint is not None:
            checkpoint = note_unread(settle_config(checkpoint, look=False))
        taken = checkpoint or collection
        if taken is not None:
            tensors = tuple(taken.values())
        faults, beside = list(raw.faults), Beside()
        if checkpoint is not None:
            try:
                beside = list_beside(raw)
            except UnsupportedError as error:  # which stops no conversion into one file
                faults.append(error)
        return InspectionReport(
            path=os.fspath(source),
            format=raw.format,
            files=raw.files,
            tensors=tensors,
            checkpoint=checkpoint,
            refusal=refusal,
            faults=tuple(map(str, faults)),
            totals=sum_up(list(tensors)),
            stats=_measure(tensors, raw, progress or ignore_progress) if stats else None,
            engine=raw.engine,
            notes=raw.notes if taken is None else taken.notes,
            errors=tuple(_find_errors(raw, checkpoint, refusal, beside.companions, as_is=as_is)),
            as_is=as_is,
            collection=collection,
        )


def _find_errors(
    raw: RawCheckpoint,
    checkpoint: Checkpoint | None,
    refusal: Gpt2ConvertError | None,
    companions: Iterable[Companion],
    *,
    as_is: bool,
) -> list[Gpt2ConvertError]:
    """Return what shows without reading weights and would stop any conversion."""
    found: list[Gpt2ConvertError] = list(raw.faults)
    # What is unsupported, or no GPT-2, may well be sound, and be taken as it is. And what a lost
    # shard would have had is no fault of the model's.
    if isinstance(refusal, SchemaError):
        damaged = refusal.contradictory and not found
    else:
        damaged = refusal is not None and not isinstance(refusal, UnsupportedError)
    if refusal is not None and (damaged or as_is):
        found.append(refusal)
    if checkpoint is not None:
        allowance = Allowance()
        for companion in companions:
            try:
                check_companion(companion, checkpoint.config.n_vocab, allowance)
            except Gpt2ConvertError as error:
                found.append(error)
    return found


def _measure(
    tensors: Sequence[LazyTensor], raw: RawCheckpoint, progress: Progress
) -> tuple[TensorStats | None, ...]:
    """Compute the statistics of each tensor; None where a fault of ``raw`` is in the way."""
    check_measured(len(tensors), raw.where)
    total, done = sum(tensor.nbytes for tensor in tensors), 0
    held = _HELD // count_workers(tensors)

    def measure(tensor: LazyTensor) -> TensorStats | None:
        try:
            return compute_stats(tensor, held)
        except (SourceNotFoundError, FormatError) as error:
            if isinstance(error, ChecksumError) or not raw.faults:
                raise
            return None

    def advance(nbytes: int) -> None:
        nonlocal done
        done += nbytes
        progress("measuring", done, total)

    keep_freed_memory()
    progress("measuring", done, total)
    aside = Aside(
        count_forks(tensors), lambda _, stats: dump_stats(stats), lambda _, text: load_stats(text)
    )
    return tuple(work_on_tensors(tensors, measure, advance, PASSES, aside))
