"""A source and how it is to be read: what every verb makes of its keywords, built in one place.

The keywords are documented with :func:`.open`. A conversion opens the same Source twice, to write
and to prove, so a cast, a pattern or a scope can never differ between the two.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..errors import Advice, UsageError
from ..formats.opening import open_raw
from ..model.adopt import adopt, check_buffers, drop_tied
from ..model.as_is import take_as_is
from ..model.config import settle_config, state_dtype, state_heads
from ..tensors.casting import cast_tensors
from ..tensors.dtype import parse_dtype

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence
    from typing import Final

    from ..checkpoint.canonical import Checkpoint
    from ..checkpoint.collection import TensorCollection
    from ..checkpoint.raw import RawCheckpoint
    from ..formats.engines import EngineName
    from ..formats.readers import SourceFormat
    from ..tensors.dtype import DType, DTypeName
    from ..tensors.loss import CastLoss
    from ..tensors.tensor import LazyTensor


_WHY: Final = {
    "scope": "every tensor is taken, under its whole name",
    "n_head": "nothing is stated of its sizes",
}


@dataclass(frozen=True, slots=True)
class Source:
    """A path and how it is to be read; a field for each keyword that the verbs share."""

    path: str | os.PathLike[str]
    format: SourceFormat | None = None
    step: int | None = None
    scope: str | None = None
    drop: tuple[str, ...] = ()
    n_head: int | None = None
    dtype: DType | None = None
    allow_overflow: bool = False
    engine: EngineName | None = None
    as_is: bool = False

    def open(self, loss: CastLoss | None = None) -> TensorCollection:
        """Open it, as it is or as the model that it should be; otherwise as :meth:`open_model`."""
        if not self.as_is:
            return self.open_model(loss)
        raw = self.open_raw()
        try:
            refuse_faults(raw)
            return self.take_as_is(raw, loss)
        except BaseException:
            raw.close()
            raise

    def open_model(self, loss: CastLoss | None = None, *, look: bool = True) -> Checkpoint:
        """Open it, cast if that was asked for; ``loss`` learns what the cast changes.

        Buffers are read where ``look`` says so; else a note says that they were not. Raises as
        :func:`.open`.
        """
        raw = self.open_raw()
        try:
            # First, because a fault such as a missing shard explains what the family would miss.
            refuse_faults(raw)
            checkpoint = self.adopt(raw)
            if look:
                check_buffers(checkpoint)
            else:
                checkpoint = note_unread(checkpoint)
            checkpoint = drop_tied(checkpoint, self.drop)
            if self.dtype is not None:
                # Two tensors may become equal by rounding, and whoever reads them will find it so.
                checkpoint = drop_tied(self.cast(checkpoint, loss), self.drop)
            return settle_config(checkpoint)
        except BaseException:
            raw.close()
            raise

    def open_raw(self) -> RawCheckpoint:
        """Open the container and look at nothing of it as a model."""
        return open_raw(self.path, self.step, self.format, self.engine, beside=not self.as_is)

    def take_as_is(self, raw: RawCheckpoint, loss: CastLoss | None = None) -> TensorCollection:
        """Take what was opened under its own names, cast if that was asked for."""
        taken = take_as_is(raw, self.drop)
        if self.dtype is None:
            return taken
        weights = {name: each for name, each in taken.items() if each.dtype.is_floating}
        cast = self._cast(weights, raw.where, loss)
        notes = taken.notes
        if others := len(taken) - len(cast):
            what = "1 tensor is" if others == 1 else f"{others:,} tensors are"
            kinds = sorted(
                {tensor.dtype for tensor in taken.values() if not tensor.dtype.is_floating}
            )
            notes = (*notes, f"{what} of a dtype that is never cast: {', '.join(kinds)}")
        return replace(taken, tensors={**taken.tensors, **cast}, notes=notes)

    def adopt(self, raw: RawCheckpoint) -> Checkpoint:
        """Turn what was opened into a model; no weights are read."""
        checkpoint = adopt(raw, self.drop, self.scope)
        return checkpoint if self.n_head is None else state_heads(checkpoint, self.n_head)

    def cast(self, checkpoint: Checkpoint, loss: CastLoss | None = None) -> Checkpoint:
        """Return the model cast to the dtype that was asked for, if one was."""
        if self.dtype is None:
            return checkpoint
        tensors = self._cast(checkpoint.tensors, checkpoint.raw.where, loss)
        config = state_dtype(checkpoint.config, self.dtype)
        return replace(checkpoint, tensors=tensors, config=config)

    def _cast(
        self, tensors: Mapping[str, LazyTensor], where: str, loss: CastLoss | None
    ) -> Mapping[str, LazyTensor]:
        if self.dtype is None:
            return tensors
        return cast_tensors(
            tensors,
            self.dtype,
            allow_overflow=self.allow_overflow,
            loss=loss,
            where=where,
            # As a writer does; a comparison, which asks for the loss, reads several at a time.
            one_by_one=loss is None,
        )


def build_source(
    path: str | os.PathLike[str],
    *,
    format: SourceFormat | None,
    step: int | None,
    scope: str | None,
    drop: Sequence[str],
    n_head: int | None,
    dtype: DTypeName | None,
    allow_overflow: bool,
    engine: EngineName | None,
    as_is: bool = False,
) -> Source:
    """Return the source that the keywords of a verb describe.

    Raises:
        UsageError: weights cannot have the dtype, or a keyword makes no sense ``as_is``.
    """
    if as_is:
        _refuse_of_models(scope=scope, n_head=n_head)
    return Source(
        path,
        format=format,
        step=step,
        scope=scope,
        # A single text is one pattern, and not a pattern a character.
        drop=(drop,) if isinstance(drop, str) else tuple(drop),
        n_head=n_head,
        dtype=parse_dtype(dtype),
        allow_overflow=allow_overflow,
        engine=engine,
        as_is=as_is,
    )


def _refuse_of_models(**keywords: object) -> None:
    """Refuse what says something of a GPT-2, where a checkpoint is taken as it is.

    Raises:
        UsageError: one of them is not None.
    """
    for name, value in keywords.items():
        if value is not None:
            raise UsageError(
                f"{name} is for a GPT-2, and a checkpoint that is taken as it is may be of any "
                f"model: {_WHY[name]}",
                Advice("leave out {}", name),
            )


def note_unread(checkpoint: Checkpoint) -> Checkpoint:
    """Return the checkpoint with a note of the buffers that were dropped by their names alone."""
    count = len(checkpoint.buffers)
    if not count:
        return checkpoint
    what = "1 mask buffer was" if count == 1 else f"{count:,} mask buffers were"
    note = f"{what} dropped by name; the values were not looked at"
    return replace(checkpoint, notes=(*checkpoint.notes, note))


def refuse_faults(raw: RawCheckpoint) -> None:
    """Raise the first fault of ``raw``, if it has one."""
    for fault in raw.faults:
        raise fault
