"""The weights as frozen dataclasses: ``params.blocks[3].attn.c_attn.w`` is typed Python.

The names and the nesting are those of the canonical tree; every leaf is a NumPy array.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..display.line import describe_fields

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    import numpy as np
    import numpy.typing as npt

    from .hparams import HParams

    Array = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Params:
    """Weights that show themselves in a line: arrays as dtype and shape."""

    def __repr__(self) -> str:
        return describe_fields(self)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class LinearParams(Params):
    """A linear map ``x @ w + b``: ``w`` is [in, out], ``b`` is [out]."""

    w: Array
    b: Array


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class LayerNormParams(Params):
    """A layer norm's gain ``g`` and bias ``b``, both [n_embd]."""

    g: Array
    b: Array


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class AttentionParams(Params):
    """Self-attention: ``c_attn`` makes q, k and v side by side, ``c_proj`` maps back."""

    c_attn: LinearParams
    c_proj: LinearParams


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class MLPParams(Params):
    """The two linear maps around the activation: n_embd to n_inner and back."""

    c_fc: LinearParams
    c_proj: LinearParams


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class BlockParams(Params):
    """One transformer block."""

    ln_1: LayerNormParams
    attn: AttentionParams
    ln_2: LayerNormParams
    mlp: MLPParams


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ModelParams(Params):
    """A whole GPT-2.

    ``wte`` is [n_vocab, n_embd] and ``wpe`` is [n_ctx, n_embd]. ``lm_head`` is None where it is
    tied to ``wte``, as in every model that OpenAI published; else [n_vocab, n_embd].
    """

    hparams: HParams
    wte: Array
    wpe: Array
    blocks: tuple[BlockParams, ...]
    ln_f: LayerNormParams
    lm_head: Array | None


def build_params(tree: Mapping[str, Any], hparams: HParams) -> ModelParams:
    """Return the typed form of what ``Checkpoint.tree`` returns; the arrays are not copied."""
    head = tree.get("lm_head")
    return ModelParams(
        hparams=hparams,
        wte=tree["wte"],
        wpe=tree["wpe"],
        blocks=tuple(
            BlockParams(
                ln_1=LayerNormParams(**block["ln_1"]),
                attn=AttentionParams(
                    c_attn=LinearParams(**block["attn"]["c_attn"]),
                    c_proj=LinearParams(**block["attn"]["c_proj"]),
                ),
                ln_2=LayerNormParams(**block["ln_2"]),
                mlp=MLPParams(
                    c_fc=LinearParams(**block["mlp"]["c_fc"]),
                    c_proj=LinearParams(**block["mlp"]["c_proj"]),
                ),
            )
            for block in tree["blocks"]
        ),
        ln_f=LayerNormParams(**tree["ln_f"]),
        lm_head=None if head is None else head["w"],
    )
