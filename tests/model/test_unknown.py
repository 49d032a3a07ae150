"""Advice on unknown tensors: what was misspelt is named, and nothing else is ever renamed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from support import bundles, raws

from gpt2_convert.errors import SchemaError, UnsupportedError
from gpt2_convert.model.adopt import adopt

if TYPE_CHECKING:
    from typing import Any

    Array = np.ndarray[Any, Any]


def floats(*shape: int) -> Array:
    return np.zeros(shape, np.float32)


def moved(old: str, new: str, array: Array | None = None) -> dict[str, Array]:
    """The model with one tensor under another name, or with another tensor in its place."""
    arrays = raws.huggingface()
    was = arrays.pop(old)
    return {**arrays, new: was if array is None else array}


def problem_of(arrays: dict[str, Array], name: str) -> str:
    with pytest.raises(SchemaError) as caught:
        adopt(raws.raw(arrays, bundles.TINY))
    return next(each for each in caught.value.problems if each.startswith(f"'{name}'"))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("h.1.attn.c_attn.weight", "h.1.attn.c_atn.weight"),
        ("h.1.attn.c_attn.weight", "h.1.attn.c_attn.weights"),
        ("h.1.ln_2.bias", "H.1.ln_2.bias"),
        ("wpe.weight", "wpe.wieght"),
        ("h.1.mlp.c_proj.bias", "h.01.mlp.c_proj.bias"),
    ],
)
def test_a_misspelt_name_gets_the_right_one(old: str, new: str) -> None:
    assert problem_of(moved(old, new), new).endswith(f"did you mean {old!r}?")


@pytest.mark.parametrize(
    ("old", "new", "shape"),
    [
        # Nearly the name of a tensor that is missing, and not its shape or its number.
        ("h.1.attn.c_attn.weight", "h.1.attn.c_atn.weight", (32, 64)),
        ("h.1.ln_1.weight", "h.1.ln_3.weight", (32,)),
        ("h.1.ln_1.weight", "h.2.ln_11.weight", (32,)),
        ("wte.weight", "wse.weight", (3, 32)),
        ("wpe.weight", "wpe_of_the_encoder.weight", (16, 32)),
    ],
)
def test_what_may_be_another_tensor_is_not_renamed(
    old: str, new: str, shape: tuple[int, ...]
) -> None:
    problem = problem_of(moved(old, new, floats(*shape)), new)
    assert "did you mean" not in problem


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("score.weight", "the head of a classifier"),
        ("classifier.bias", "the head of a classifier"),
        ("multiple_choice_head.summary.weight", "a head for multiple choice"),
        ("qa_outputs.weight", "a head for question answering"),
        ("v_head.summary.weight", "the value head of a trainer"),
    ],
)
def test_the_head_of_another_task_is_named_and_may_be_dropped(name: str, what: str) -> None:
    arrays = {**raws.huggingface(), name: floats(61, 32)}
    problem = problem_of(arrays, name)
    assert f"it belongs to {what}, and not to the language model" in problem
    assert problem.endswith(f"drop={name!r} leaves it out")
    checkpoint = adopt(raws.raw(arrays, bundles.TINY), drop=[name])
    assert [each.source_name for each in checkpoint.dropped] == [name]


@pytest.mark.parametrize(
    ("name", "shape", "what"),
    [
        ("h.0.attn.kv_attn.weight", (32, 16), "multi-query attention"),
        ("transformer.h.0.attn.q_attn.weight", (32, 32), "multi-query attention"),
        ("h.0.crossattention.q_attn.weight", (32, 32), "cross attention"),
        ("h.0.ln_cross_attn.weight", (32,), "cross attention"),
        ("h.0.attn.attention.q_proj.weight", (32, 32), "a GPT-Neo"),
        ("h.0.attn.c_attn.lora_B.default.weight", (96, 8), "a LoRA adapter"),
        ("h.0.attn.c_attn.lora_magnitude_vector", (96,), "a LoRA adapter"),
        ("h.0.attn.c_attn.ia3_l", (96, 1), "an IA3 adapter"),
        ("prompt_encoder.default.embedding.weight", (8, 32), "a prompt or a prefix"),
        ("h.1.output_adapters.adapters.x.adapter_down.0.weight", (2, 32), "a model with adapters"),
        ("h.1.mlp.experts.3.c_fc.weight", (32, 128), "a mixture of experts"),
        ("h.1.mlp.router.classifier.weight", (4, 32), "a mixture of experts"),
        ("h.0.attn.rotary_emb.inv_freq", (4,), "a model with rotary embeddings"),
        ("h.0.attn.c_attn.qweight", (8, 96), "a quantised model (GPTQ, AWQ)"),
        ("h.0.attn.c_attn.SCB", (96,), "a quantised model (bitsandbytes)"),
        ("h.0.attn.c_attn.weight_scale", (1,), "a quantised model"),
        ("h.0.attn.c_attn.weight_mask", (32, 96), "a model that is being pruned"),
        ("h.0.attn.q_norm.weight", (8,), "a model that normalises queries and keys"),
        ("transformer.h.0.attn.q_proj.weight", (32, 32), "a GPT-J"),
        ("h.0.attn.qkv_proj.weight", (96, 32), "a CodeGen"),
        ("model.layers.0.mlp.gate_proj.weight", (64, 32), "a LLaMA"),
        ("gpt_neox.layers.0.attention.dense.weight", (32, 32), "a GPT-NeoX"),
        ("bert.encoder.layer.0.output.dense.weight", (32, 32), "a BERT"),
        ("bert/encoder/layer_0/output/dense/kernel", (32, 32), "a BERT"),
        ("decoder.block.0.layer.0.SelfAttention.q.weight", (32, 32), "a T5"),
        ("model.decoder.embed_positions.weight", (32, 32), "an OPT or BART"),
        ("variables/0/.ATTRIBUTES/VARIABLE_VALUE", (32,), "a SavedModel of Keras"),
    ],
)
@pytest.mark.parametrize("lack", ["wpe.weight", "h.0.attn.c_attn.weight", ""])
def test_other_architectures_are_called_by_their_names(
    name: str, shape: tuple[int, ...], what: str, lack: str
) -> None:
    arrays = {key: each for key, each in raws.huggingface().items() if lack and key != lack}
    with pytest.raises((UnsupportedError, SchemaError)) as caught:
        adopt(raws.raw({**arrays, name: floats(*shape)}))
    assert str(caught.value).startswith("memory: not a GPT-2")
    assert f"{name!r} belongs to {what}" in str(caught.value)
    # What is added to a whole GPT-2 is a part of what the model computes: only whoever names it
    # unasked has it left out.
    arrays = {**raws.huggingface(), name: floats(*shape)}
    problem = problem_of(arrays, name)
    assert f"it belongs to {what}" in problem
    assert problem.endswith("not handled; convert takes it under its own names with as_is=True")
    assert adopt(raws.raw(arrays, bundles.TINY), drop=[name])


@pytest.mark.parametrize("wrapper", ["", "transformer.", "module.transformer."])
def test_what_stands_in_a_layer_is_not_to_be_dropped(wrapper: str) -> None:
    name = f"{wrapper}h.11.attn.gate"
    arrays = {f"{wrapper}{key}": each for key, each in raws.huggingface().items()}
    assert problem_of({**arrays, name: floats(3)}, name).endswith(
        "in no row of gpt2.toml, and stands in a layer, so another architecture may need it; "
        "convert takes it under its own names with as_is=True"
    )
    tf = {**bundles.gpt2_arrays(), "model/h0/attn/gate": floats(3)}
    assert "stands in a layer" in problem_of(tf, "model/h0/attn/gate")
    canonical = {**raws.canonical(), "blocks[0].attn.gate": floats(3)}
    assert "stands in a layer" in problem_of(canonical, "blocks[0].attn.gate")
    for other in ("h.x.attn.gate", "hh.0.gate", "gate"):
        assert problem_of({**arrays, other: floats(3)}, other).endswith(
            "if it is no part of the model, drop=... leaves it out"
        )


def test_no_name_of_a_gpt2_is_that_of_another_architecture() -> None:
    for arrays in (raws.huggingface(), raws.canonical(), bundles.gpt2_arrays()):
        assert adopt(raws.raw(arrays, bundles.TINY))
