"""From a path to a model that runs: opened, checked, its weights in memory as float32."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..checkpoint.params import build_params
from ..checkpoint.tree import build_tree
from ..progress import ignore_progress
from ..tensors.casting import cast_tensors
from ..tensors.dtype import DType
from ..tensors.side_by_side import read_arrays
from .source import build_source

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from ..formats.engines import EngineName
    from ..formats.readers import SourceFormat
    from ..inference.model import Model
    from ..progress import Progress
    from ..tensors.dtype import DTypeName


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
    watch = progress or ignore_progress
    done = 0

    def advance(nbytes: int) -> None:
        nonlocal done
        done += nbytes
        watch("reading", done, total)

    with origin.open_model() as checkpoint:
        where, config = checkpoint.raw.where, checkpoint.config
        read_behaviour(config, where)  # sooner than after all weights were read
        tensors = cast_tensors(
            checkpoint.tensors, DType.FLOAT32, where=where, allow_overflow=allow_overflow
        )
        total = sum(tensor.nbytes for tensor in tensors.values())
        arrays = read_arrays(tuple(tensors.values()), advance)
        tree = build_tree(dict(zip(tensors, arrays, strict=True)), config.n_layer)
        params = build_params(tree, config.hparams)
        return Model(params, config, where=where, notes=checkpoint.notes)
