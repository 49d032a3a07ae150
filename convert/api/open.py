"""From a path to a checkpoint that can be used: detected, opened, adopted, complete."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..errors import UsageError
from ..formats.detect import open_raw
from ..model.adopt import adopt, untie
from ..tensors.casting import CastLoss, cast_checkpoint
from ..tensors.tensor import DType

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from ..checkpoint.canonical import Checkpoint, RawCheckpoint


@dataclass(frozen=True, slots=True)
class Source:
    """A source and how it is to be read. A conversion opens it twice: to write, and to prove.

    ``format`` is the key of READERS that it must have, if any will not do. ``scope`` is one of
    several that the source holds. ``n_head`` states the number of heads where the source does not.
    ``engine`` is what reads it; None: see :func:`open`.
    """

    path: str | os.PathLike[str]
    format: str | None = None
    step: int | None = None
    scope: str | None = None
    drop: tuple[str, ...] = ()
    n_head: int | None = None
    dtype: DType | None = None
    allow_overflow: bool = False
    engine: str | None = None

    def open(self, loss: CastLoss | None = None) -> Checkpoint:
        """Open it, cast if that was asked for; ``loss`` learns what the cast changes.

        Raises as :func:`open`.
        """
        raw = open_raw(self.path, self.step, self.format, self.engine)
        try:
            # First, because a fault such as a missing shard explains what the family would miss.
            refuse_faults(raw)
            checkpoint = untie(adopt(raw, self.drop, self.scope))
            if self.n_head is not None:
                checkpoint = state_heads(checkpoint, self.n_head)
            if self.dtype is None:
                return checkpoint
            # Two tensors may become equal by rounding, and whoever reads them will find it so.
            return untie(
                cast_checkpoint(
                    checkpoint, self.dtype, allow_overflow=self.allow_overflow, loss=loss
                )
            )
        except BaseException:
            raw.close()
            raise


def open(
    source: str | os.PathLike[str],
    *,
    step: int | None = None,
    scope: str | None = None,
    drop: Sequence[str] = (),
    dtype: str | None = None,
    allow_overflow: bool = False,
    engine: str | None = None,
) -> Checkpoint:
    """Open a GPT-2 checkpoint in any container that the tool reads, without reading weights.

    ``source`` is a file, a folder or a TensorFlow prefix; ``step`` chooses in a folder that holds
    several checkpoints; ``scope`` chooses in a checkpoint that holds several models, in scopes such
    as "policy" and "ref_policy", and "." is the one in no scope; ``drop`` are patterns (``*``,
    ``?``) of unknown tensors to leave out; ``dtype`` (float16, bfloat16, float32 or float64) casts
    tensors when they are read. ``engine`` is "native" or "tensorflow", which reads TensorFlow
    checkpoints alone and has to be installed; by default it reads what the native reader declines,
    V1 that is, and the notes say so. Only a model with an lm_head has weights read at once: to see
    whether it is tied. The result is a mapping of canonical name to lazy tensor::

        with gpt2_convert.open("models/124M") as checkpoint:
            checkpoint.hparams.n_embd                     # 768
            checkpoint["blocks[0].attn.c_attn.w"].shape   # (768, 2304)
            checkpoint["wte"].array()                     # a NumPy array, (50257, 768)

    Raises:
        SourceNotFoundError, UnreadableError: there is nothing to open, or a file of it is missing.
        FormatError: it is corrupt or truncated.
        SchemaError: it is no complete GPT-2.
        UnsupportedError, UsageError: it is not handled, or ambiguous.
    """
    return Source(
        source,
        step=step,
        scope=scope,
        drop=tuple(drop),
        dtype=parse_dtype(dtype),
        allow_overflow=allow_overflow,
        engine=engine,
    ).open()


def state_heads(checkpoint: Checkpoint, n_head: int) -> Checkpoint:
    """Return the checkpoint with the number of heads stated, where its source does not say.

    Raises:
        UsageError: the source says another number, or n_embd is no multiple of this one.
    """
    hparams, where = checkpoint.hparams, checkpoint.raw.where
    if hparams.n_head not in (None, n_head):
        raise UsageError(
            f"{where}: --n-head {n_head}, but {checkpoint.hparams_from} says {hparams.n_head}"
        )
    if n_head < 1 or hparams.n_embd % n_head:
        raise UsageError(f"{where}: --n-head {n_head} does not divide n_embd {hparams.n_embd}")
    return replace(checkpoint, hparams=replace(hparams, n_head=n_head))


def parse_dtype(dtype: str | None) -> DType | None:
    """Return the dtype of that name, if weights can have it.

    Raises:
        UsageError: they cannot.
    """
    if dtype is None:
        return None
    known = [each.value for each in DType if each.is_floating]
    if dtype not in known:
        raise UsageError(f"no such dtype for weights: {dtype!r}; there are: {', '.join(known)}")
    return DType(dtype)


def refuse_faults(raw: RawCheckpoint) -> None:
    """Raise the first fault of ``raw``, if it has one."""
    for fault in raw.faults:
        raise fault
