"""Typed parameters: the canonical tree as dataclasses."""

from __future__ import annotations

import dataclasses
import pickle
from typing import TYPE_CHECKING

import numpy as np
import pytest
from support import bundles, raws

import gpt2_convert

if TYPE_CHECKING:
    from pathlib import Path


def test_every_weight_stands_under_its_canonical_name(tiny: Path) -> None:
    with gpt2_convert.open(tiny) as checkpoint:
        params = checkpoint.params()
    assert params.hparams.known() == bundles.TINY
    for name, expected in raws.canonical().items():
        place: object = params
        for key in name.replace("blocks[", "blocks.").replace("]", "").split("."):
            place = place[int(key)] if isinstance(place, tuple) else getattr(place, key)
        np.testing.assert_array_equal(place, expected, strict=True)
    assert len(params.blocks) == 3
    assert params.lm_head is None


def test_typed_access_reads_as_python(tiny: Path) -> None:
    with gpt2_convert.open(tiny) as checkpoint:
        params = checkpoint.params()
    assert params.blocks[2].attn.c_attn.w.shape == (32, 96)
    assert params.blocks[0].mlp.c_proj.b.shape == (32,)


def test_params_show_themselves_in_a_line(tiny: Path) -> None:
    with gpt2_convert.open(tiny) as checkpoint:
        params = checkpoint.params()
    assert repr(params) == (
        "ModelParams(hparams=HParams(n_vocab=61, n_ctx=16, n_embd=32, n_head=4, n_layer=3), "
        "wte=float32 (61, 32), wpe=float32 (16, 32), blocks=[3 of BlockParams], "
        "ln_f=LayerNormParams(g, b), lm_head=None)"
    )
    block = params.blocks[0]
    assert repr(block) == (
        "BlockParams(ln_1=LayerNormParams(g, b), attn=AttentionParams(c_attn, c_proj), "
        "ln_2=LayerNormParams(g, b), mlp=MLPParams(c_fc, c_proj))"
    )
    assert repr(block.attn) == (
        "AttentionParams(c_attn=LinearParams(w, b), c_proj=LinearParams(w, b))"
    )
    assert repr(block.mlp.c_fc) == "LinearParams(w=float32 (32, 128), b=float32 (128,))"
    assert len(str(params.blocks)) < 1000
    again = pickle.loads(pickle.dumps(params))  # noqa: S301 - the test's own
    np.testing.assert_array_equal(again.wte, params.wte)
    assert not hasattr(params, "__dict__")


def test_params_are_frozen(tiny: Path) -> None:
    with gpt2_convert.open(tiny) as checkpoint:
        params = checkpoint.params()
    with pytest.raises(dataclasses.FrozenInstanceError):
        params.wte = params.wpe  # type: ignore[misc]
