"""From a path to a model that runs: opened, checked, its weights in memory as float32."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ..progress import ignore_progress
from ..tensors.casting import cast_tensors
from ..tensors.dtype import DType
from .source import build_source

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Mapping, Sequence

    from ..formats.engines import EngineName
    from ..formats.readers import SourceFormat
    from ..inference.model import Model
    from ..progress import Progress
    from ..tensors.dtype import DTypeName
    from ..tensors.tensor import LazyTensor


def load(
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
    progress: Progress | None = None,
) -> Model:
    """Load a GPT-2 from any container that the tool reads, ready to run.

    The keywords are those of :func:`.open`. Whatever the weights are stored in, and whatever
    ``dtype`` rounds them to, they are float32 in memory, four bytes a parameter, and the
    arithmetic is. Unlike open(), it looks at the values of mask buffers::

        model = gpt2_convert.load("models/124M")
        model.logits([15496, 995])                   # float32, (2, 50257)
        list(model.generate([15496, 995], n=20))     # ids, the likeliest each time

    Raises:
        UnsupportedError: its n_head is unknown, or its activation; or as open().
        CastError: a weight is too large for float32.
        Gpt2ConvertError: as open(), or a tensor cannot be read to its end.
    """
    from ..inference.behaviour import read_behaviour
    from ..inference.model import Model

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
    with origin.open() as checkpoint:
        where, config = checkpoint.raw.where, checkpoint.config
        read_behaviour(config, where)  # sooner than after all weights were read
        tensors = cast_tensors(
            _watch(checkpoint.tensors, progress or ignore_progress),
            DType.FLOAT32,
            where=where,
            allow_overflow=allow_overflow,
        )
        params = replace(checkpoint, tensors=tensors).params()
        return Model(params, config, where=where, notes=checkpoint.notes)


def _watch(tensors: Mapping[str, LazyTensor], progress: Progress) -> dict[str, LazyTensor]:
    """Return the tensors, whose reading is told to whoever watches."""
    total = sum(tensor.nbytes for tensor in tensors.values())
    done = 0

    def watch(tensor: LazyTensor) -> LazyTensor:
        def read() -> Iterator[bytes]:
            nonlocal done
            for chunk in tensor.chunks():
                yield chunk
                done += len(chunk)
                progress("reading", done, total)

        return replace(tensor, read=read)

    return {name: watch(tensor) for name, tensor in tensors.items()}
