"""An open checkpoint: a lazy mapping of canonical names to tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from support import bundles, raws

import gpt2_convert

if TYPE_CHECKING:
    from pathlib import Path


def test_a_checkpoint_is_a_lazy_mapping(tiny: Path) -> None:
    with gpt2_convert.open(tiny) as checkpoint:
        assert len(checkpoint) == 40
        tensor = checkpoint["blocks[0].attn.c_attn.w"]
        assert (tensor.name, tensor.shape) == ("blocks[0].attn.c_attn.w", (32, 96))
        assert tensor.dtype == "float32"
        assert np.dtype(tensor.dtype) == np.float32
        array = tensor.array()
        array[0, 0] = 1  # the caller's own
        assert "wte" in checkpoint
        assert "model/wte" not in checkpoint
    with pytest.raises(gpt2_convert.UsageError, match="closed"):
        checkpoint["wte"].array()


def test_a_checkpoint_is_summed_up_in_a_line(tiny: Path) -> None:
    with gpt2_convert.open(tiny) as checkpoint:
        assert len(repr(checkpoint)) < 300
        assert "40 tensors" in repr(checkpoint)


def test_no_weights_are_read_before_they_are_asked_for(tiny: Path) -> None:
    shard = tiny / "model.ckpt.data-00000-of-00001"
    shard.write_bytes(bytes(shard.stat().st_size))
    with gpt2_convert.open(tiny) as checkpoint:
        assert list(checkpoint) == list(raws.canonical())
        with pytest.raises(gpt2_convert.ChecksumError):
            checkpoint["wte"].array()


def test_a_lost_shard_is_said_before_anything_of_the_model(tiny: Path) -> None:
    (tiny / "model.ckpt.data-00000-of-00001").unlink()
    with pytest.raises(gpt2_convert.SourceNotFoundError, match="data-00000-of-00001"):
        gpt2_convert.open(tiny)


def test_heads_may_be_stated_where_nothing_else_does(tmp_path: Path) -> None:
    source = bundles.write_gpt2(tmp_path / "bare", hparams=False)
    with gpt2_convert.open(source) as checkpoint:
        assert checkpoint.hparams.n_head is None
    with gpt2_convert.open(source, n_head=4) as checkpoint:
        assert checkpoint.hparams.known() == bundles.TINY


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_a_dtype_casts_what_is_read(dtype: str, tiny: Path) -> None:
    with gpt2_convert.open(tiny, dtype=dtype) as checkpoint:  # type: ignore[call-overload]
        for name, weights in raws.canonical().items():
            expected = weights.astype(dtype)
            np.testing.assert_array_equal(checkpoint[name].array(), expected, strict=True)
