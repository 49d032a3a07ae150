"""picoGPT's loading function: its signature, its result, and no silent mistakes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from support import bundles, raws

import gpt2_convert

if TYPE_CHECKING:
    from pathlib import Path


def test_picogpt_s_function_has_its_signature_and_result(tiny: Path) -> None:
    params = gpt2_convert.load_gpt2_params_from_tf_ckpt(
        tf_ckpt_path=str(tiny / "model.ckpt"), hparams=bundles.TINY
    )
    assert set(params) == {"wte", "wpe", "blocks", "ln_f"}
    expected = raws.canonical()
    np.testing.assert_array_equal(
        params["blocks"][2]["mlp"]["c_fc"]["w"], expected["blocks[2].mlp.c_fc.w"], strict=True
    )
    np.testing.assert_array_equal(params["ln_f"]["g"], expected["ln_f.g"], strict=True)


def test_picogpt_s_function_refuses_hparams_of_another_model(tiny: Path) -> None:
    with pytest.raises(gpt2_convert.SchemaError, match="hparams say n_layer 12"):
        gpt2_convert.load_gpt2_params_from_tf_ckpt(tiny, {**bundles.TINY, "n_layer": 12})


def test_the_result_has_every_weight_where_picogpt_looks_for_it(tiny: Path) -> None:
    params = gpt2_convert.load_gpt2_params_from_tf_ckpt(tiny, {})
    found = {"wte": params["wte"], "wpe": params["wpe"]}
    for layer, block in enumerate(params["blocks"]):
        for part in ("ln_1", "ln_2"):
            for leaf, array in block[part].items():
                found[f"blocks[{layer}].{part}.{leaf}"] = array
        for part in ("attn", "mlp"):
            for linear, leaves in block[part].items():
                for leaf, array in leaves.items():
                    found[f"blocks[{layer}].{part}.{linear}.{leaf}"] = array
    found |= {f"ln_f.{leaf}": array for leaf, array in params["ln_f"].items()}
    expected = raws.canonical()
    assert found.keys() == expected.keys()
    for name, array in found.items():
        np.testing.assert_array_equal(array, expected[name], strict=True)


def test_a_scope_chooses_one_of_two_models(tmp_path: Path) -> None:
    arrays = {
        f"{scope}/{name}": array * factor
        for scope, factor in (("a", 1), ("b", 2))
        for name, array in bundles.gpt2_arrays().items()
    }
    source = bundles.write_gpt2(tmp_path / "two", arrays=arrays)
    with pytest.raises(gpt2_convert.Gpt2ConvertError, match="scope"):
        gpt2_convert.load_gpt2_params_from_tf_ckpt(source, {})
    params = gpt2_convert.load_gpt2_params_from_tf_ckpt(source, {}, scope="b")
    np.testing.assert_array_equal(params["wte"], raws.canonical()["wte"] * 2, strict=True)
