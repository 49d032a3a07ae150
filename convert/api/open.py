"""From a path to a checkpoint that can be used: detected, opened, adopted, complete."""

from __future__ import annotations

from typing import TYPE_CHECKING, overload

from .source import build_source

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence
    from typing import Literal

    from ..checkpoint.canonical import Checkpoint
    from ..checkpoint.collection import TensorCollection
    from ..formats.engines import EngineName
    from ..formats.readers import SourceFormat
    from ..tensors.dtype import DTypeName


@overload
def open(
    source: str | os.PathLike[str],
    *,
    format: SourceFormat | None = ...,
    step: int | None = ...,
    scope: str | None = ...,
    drop: Sequence[str] = ...,
    n_head: int | None = ...,
    dtype: DTypeName | None = ...,
    allow_overflow: bool = ...,
    engine: EngineName | None = ...,
    as_is: Literal[False] = ...,
) -> Checkpoint: ...


@overload
def open(
    source: str | os.PathLike[str],
    *,
    format: SourceFormat | None = ...,
    step: int | None = ...,
    scope: None = ...,
    drop: Sequence[str] = ...,
    n_head: None = ...,
    dtype: DTypeName | None = ...,
    allow_overflow: bool = ...,
    engine: EngineName | None = ...,
    as_is: Literal[True],
) -> TensorCollection: ...


def open(
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
) -> TensorCollection:
    """Open a GPT-2 checkpoint in any container that the tool reads, without reading weights.

    ``source`` is a file, a folder or a TensorFlow prefix. The keywords are those of every verb:

    - ``format`` is the key of READERS that the source must have, if any will not do;
    - ``step`` chooses in a folder that holds several checkpoints;
    - ``scope`` chooses in a checkpoint that holds several models, in scopes such as "policy" and
      "ref_policy"; "." is the one in no scope;
    - ``drop`` are patterns (``*``, ``?``) of unknown tensors to leave out;
    - ``n_head`` states the number of heads where the source does not;
    - ``dtype`` (float16, bfloat16, float32 or float64) casts tensors when they are read; a value
      that would become infinite is an error unless ``allow_overflow``;
    - ``engine`` is "native" or "tensorflow", which reads TensorFlow checkpoints alone and has to be
      installed; by default it reads what the native reader declines, V1 that is, and the notes say
      so;
    - ``as_is`` takes a checkpoint of any model: every tensor of numbers under its own name, sorted
      by name, and nothing of configuration and tokenizer. ``drop`` leaves out any of them then, and
      ``dtype`` casts those of floating-point types. ``scope`` and ``n_head`` make no sense with it.

    Only a model with an lm_head has weights read at once: to see whether it is tied. Buffers are
    dropped by their names, and a note says so; converting, verifying and digesting look at their
    values. The result is a mapping of canonical name to lazy tensor::

        with gpt2_convert.open("models/124M") as checkpoint:
            checkpoint.hparams.n_embd                     # 768
            checkpoint["blocks[0].attn.c_attn.w"].shape   # (768, 2304)
            checkpoint["wte"].array()                     # a NumPy array, (50257, 768)
            checkpoint["wte"][10:20]                      # another, of ten rows that alone are read

    Raises:
        SourceNotFoundError, UnreadableError: there is nothing to open, or a file of it is missing.
        FormatError: it is corrupt or truncated.
        SchemaError: it is no complete GPT-2.
        UnsupportedError, UsageError: it is not handled, or ambiguous.
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
    return origin.open() if as_is else origin.open_model(look=False)
