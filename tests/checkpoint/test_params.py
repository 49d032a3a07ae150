"""Typed parameters: the canonical tree as dataclasses."""

from __future__ import annotations

import dataclasses
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


def test_params_are_frozen(tiny: Path) -> None:
    with gpt2_convert.open(tiny) as checkpoint:
        params = checkpoint.params()
    with pytest.raises(dataclasses.FrozenInstanceError):
        params.wte = params.wpe  # type: ignore[misc]
