"""A model that is run block by block from its files: in memory are a few tensors of one block.

A whole model would need its weights in memory for every text. Here all tokens go through a block
before the next one is read, so that each tensor is read once. The embeddings, which are the largest
tensors, are read some rows at a time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..checkpoint.params import AttentionParams, LayerNormParams, LinearParams, MLPParams
from .forward import add_attention, add_mlp, normalise

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any, Final, TypeAlias

    import numpy.typing as npt

    from ..tensors.tensor import LazyTensor
    from .behaviour import Behaviour

    Array: TypeAlias = npt.NDArray[np.float32]
    Ids: TypeAlias = npt.NDArray[np.integer[Any]]
    Tensors: TypeAlias = Mapping[str, LazyTensor]

ROWS: Final = 4096
"""Rows of an embedding that are held at a time: 26 MB of the largest GPT-2."""


def run_streamed(tensors: Tensors, behaviour: Behaviour, ids: Ids, window: int) -> Array:
    """Return what the head gets of each token, [len(ids), n_embd].

    ``tensors`` are float32, by their canonical names. Every ``window`` ids are a text of their own.
    """
    x = _gather(tensors["wte"], ids)
    x += _gather(tensors["wpe"], np.arange(len(ids)) % window)
    for layer in range(len(behaviour.scales)):
        block = f"blocks[{layer}]"
        norm = _read_norm(tensors, f"{block}.ln_1")
        attention = AttentionParams(
            _read_linear(tensors, f"{block}.attn.c_attn"),
            _read_linear(tensors, f"{block}.attn.c_proj"),
        )
        for start in range(0, len(ids), window):
            add_attention(x[start : start + window], norm, attention, behaviour, layer)
        del attention
        norm = _read_norm(tensors, f"{block}.ln_2")
        mlp = MLPParams(
            _read_linear(tensors, f"{block}.mlp.c_fc"), _read_linear(tensors, f"{block}.mlp.c_proj")
        )
        add_mlp(x, norm, mlp, behaviour)
        del mlp
    return normalise(x, _read_norm(tensors, "ln_f"), behaviour.epsilon)


def read_rows(tensor: LazyTensor) -> Iterator[Array]:
    """Yield a tensor of float32 ROWS rows at a time; each is gone when the next one comes."""
    width = tensor.shape[1]
    buffer = np.empty(min(ROWS, tensor.shape[0]) * width * 4, np.uint8)
    filled = 0
    for chunk in tensor.chunks():
        rest = np.frombuffer(chunk, np.uint8)
        while rest.size:
            piece = rest[: buffer.size - filled]
            buffer[filled : filled + piece.size] = piece
            filled += piece.size
            rest = rest[piece.size :]
            if filled == buffer.size:
                yield _as_rows(buffer, width)
                filled = 0
    if filled:
        yield _as_rows(buffer[:filled], width)


def _as_rows(data: npt.NDArray[np.uint8], width: int) -> Array:
    return data.view("<f4").astype(np.float32, copy=False).reshape(-1, width)


def _gather(tensor: LazyTensor, ids: Ids) -> Array:
    """Return the rows of these numbers."""
    found = np.empty((len(ids), tensor.shape[1]), np.float32)
    start = 0
    for rows in read_rows(tensor):
        here = np.flatnonzero((start <= ids) & (ids < start + len(rows)))
        found[here] = rows[ids[here] - start]
        start += len(rows)
    return found


def _read_norm(tensors: Tensors, name: str) -> LayerNormParams:
    return LayerNormParams(tensors[f"{name}.g"].array(), tensors[f"{name}.b"].array())


def _read_linear(tensors: Tensors, name: str) -> LinearParams:
    return LinearParams(tensors[f"{name}.w"].array(), tensors[f"{name}.b"].array())
