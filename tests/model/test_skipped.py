"""What is no tensor is passed over, unless a weight of the model would be it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from support import bundles, raws

from gpt2_convert.checkpoint.raw import Skipped
from gpt2_convert.errors import UnsupportedError, UsageError
from gpt2_convert.model.adopt import adopt

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gpt2_convert.checkpoint.raw import RawCheckpoint


def raw(arrays: Mapping[str, raws.Array], *skipped: Skipped) -> RawCheckpoint:
    return replace(raws.raw(dict(arrays)), skipped=skipped)


@pytest.mark.parametrize("name", ["meta", "h", "wte_names", "config.json", "latest", "h.x.ln_1"])
def test_what_no_weight_is_called_is_passed_over(name: str) -> None:
    file = raw(raws.huggingface(), Skipped(name, "type string"))
    assert len(adopt(file)) == len(adopt(file, drop=[name])) == 40
    with pytest.raises(UsageError, match="matches no tensor that can be left out"):
        adopt(file, drop=["other"])


@pytest.mark.parametrize(
    "name",
    [
        "h.3.ln_1.weight",  # the model would be taken for one of three layers
        "transformer.h.3.ln_1.weight",
        "h.11.mlp.c_fc.bias",
        "lm_head.weight",
        "ema.h.3.ln_1.weight",
    ],
)
def test_what_has_the_name_of_a_weight_is_refused(name: str) -> None:
    file = raw(raws.huggingface(), Skipped(name, "a soft link"))
    with pytest.raises(UnsupportedError, match=f"memory: '{name}': a soft link"):
        adopt(file)


def test_a_tied_one_goes_by_its_full_name_and_no_other_does() -> None:
    file = raw(raws.huggingface(), Skipped("lm_head.weight", "a soft link"))
    assert len(adopt(file, drop=["lm_head.weight"])) == 40
    with pytest.raises(UnsupportedError, match="a soft link"):
        adopt(file, drop=["lm_head*"])
    file = raw(raws.huggingface(), Skipped("h.3.ln_1.weight", "a soft link"))
    with pytest.raises(UnsupportedError, match="a soft link"):
        adopt(file, drop=["h.3.ln_1.weight"])


@pytest.mark.parametrize("name", ["model/h3", "model", "model/h3/attn", "policy/model/h3"])
def test_a_folder_that_would_hold_weights_is_refused(name: str) -> None:
    arrays = bundles.gpt2_arrays()
    file = raw(arrays, Skipped(name, "a soft link", is_folder=True))
    with pytest.raises(UnsupportedError, match=f"memory: '{name}': a soft link"):
        adopt(file)
    assert len(adopt(raw(arrays, Skipped(name, "a string")))) == 40
    other = raw(arrays, Skipped("runs/latest", "a soft link", is_folder=True))
    assert len(adopt(other)) == 40


def test_where_there_is_nothing_else_the_first_is_said() -> None:
    with pytest.raises(UnsupportedError, match="memory: 'params': pickled"):
        adopt(raw({}, Skipped("params", "pickled Python objects"), Skipped("x", "a string")))
