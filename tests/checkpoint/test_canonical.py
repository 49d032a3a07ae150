"""A checkpoint is a mapping, nests when asked to, and closes what it opened."""

from __future__ import annotations

import gc
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pytest
from support import bundles, raws

import gpt2_convert
from gpt2_convert.errors import UsageError
from gpt2_convert.model.adopt import adopt

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any


def test_tree_nests_as_picogpt_does() -> None:
    tree = adopt(raws.raw(bundles.gpt2_arrays(), bundles.TINY)).tree()
    assert set(tree) == {"wte", "wpe", "blocks", "ln_f"}
    assert len(tree["blocks"]) == 3
    assert set(tree["blocks"][0]) == {"attn", "ln_1", "ln_2", "mlp"}
    assert type(tree["blocks"][0]["attn"]["c_attn"]["w"]) is np.ndarray
    np.testing.assert_array_equal(
        tree["blocks"][1]["attn"]["c_attn"]["w"], raws.canonical()["blocks[1].attn.c_attn.w"]
    )


def test_a_tree_holds_every_tensor_under_its_path() -> None:
    arrays = {**raws.canonical(), "lm_head.w": raws.canonical(seed=1)["wte"]}
    tree = adopt(raws.raw(arrays, bundles.TINY)).tree()
    for name, expected in arrays.items():
        place: Any = tree
        for key in name.replace("[", ".").replace("]", "").split("."):
            place = place[int(key) if key.isdigit() else key]
        np.testing.assert_array_equal(place, expected, strict=True)


def test_a_checkpoint_is_a_mapping_in_canonical_order() -> None:
    checkpoint = adopt(raws.raw(dict(reversed(raws.canonical().items())), bundles.TINY))
    assert isinstance(checkpoint, Mapping)
    assert len(checkpoint) == len(raws.canonical())
    assert list(checkpoint) == list(checkpoint.keys()) == list(raws.canonical())
    assert [tensor.name for tensor in checkpoint.values()] == list(raws.canonical())
    assert "wte" in checkpoint
    assert "model/wte" not in checkpoint
    assert checkpoint.get("model/wte") is None
    assert "wte" in checkpoint.keys()  # noqa: SIM118 - the view
    assert checkpoint.keys() & {"wte", "x"} == {"wte"}
    assert ("wte", checkpoint["wte"]) in checkpoint.items()
    assert checkpoint._ipython_key_completions_() == list(raws.canonical())


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("model/wte", "no tensor 'model/wte' among 40; did you mean 'wte'?"),
        ("wet", "no tensor 'wet' among 40; did you mean 'wte'?"),
        (
            "blocks[0].ln_1.weight",
            "no tensor 'blocks[0].ln_1.weight' among 40; did you mean 'blocks[0].ln_1.g'?",
        ),
        ("lm_head.bias.of.another", "no tensor 'lm_head.bias.of.another' among 40"),
    ],
)
def test_a_name_that_is_not_there_is_a_key_error_that_says_what_may_be_meant(
    key: str, said: str
) -> None:
    checkpoint = adopt(raws.raw(bundles.gpt2_arrays(), bundles.TINY))
    with pytest.raises(KeyError) as caught:
        checkpoint[key]
    assert str(caught.value) == said
    assert caught.value.args == (key,)
    assert caught.value.__context__ is None
    assert checkpoint.get(key) is None
    assert key not in checkpoint


def test_a_checkpoint_shows_itself_in_a_line(tiny: Path) -> None:
    with gpt2_convert.open(tiny) as checkpoint:
        assert repr(checkpoint) == (
            f"<Checkpoint '{tiny}/model.ckpt' (tensorflow): 40 tensors, "
            "HParams(n_vocab=61, n_ctx=16, n_embd=32, n_head=4, n_layer=3)>"
        )


def test_a_tree_shows_itself_in_a_line() -> None:
    tree = adopt(raws.raw(bundles.gpt2_arrays(), bundles.TINY)).tree()
    assert repr(tree) == (
        "{'blocks': [3 of {'ln_1', 'attn', 'ln_2', 'mlp'}], 'wte': float32 (61, 32), "
        "'wpe': float32 (16, 32), 'ln_f': {'g', 'b'}}"
    )
    assert repr(tree["blocks"]) == "[3 of {'ln_1', 'attn', 'ln_2', 'mlp'}]"
    assert repr(tree["blocks"][0]["attn"]) == "{'c_attn': {'w', 'b'}, 'c_proj': {'w', 'b'}}"
    assert repr(tree["ln_f"]) == "{'g': float32 (32,), 'b': float32 (32,)}"


def test_a_closed_checkpoint_still_lists_its_tensors_but_does_not_read_them(tiny: Path) -> None:
    with gpt2_convert.open(tiny) as checkpoint:
        checkpoint["wte"].array()
    assert checkpoint["wte"].shape == (61, 32)
    for read in (checkpoint["wte"].array, checkpoint.tree, checkpoint.params):
        with pytest.raises(UsageError, match="read after the checkpoint was closed"):
            read()
    checkpoint.close()


def test_a_checkpoint_without_with_is_closed_when_nobody_refers_to_it(tiny: Path) -> None:
    def is_free(fd: int) -> bool:
        found = os.dup(0)
        os.close(found)
        return found == fd

    lowest = os.dup(0)
    os.close(lowest)
    checkpoint = gpt2_convert.open(tiny)
    checkpoint["wte"].array()
    assert not is_free(lowest)
    del checkpoint
    gc.collect()
    assert is_free(lowest)
