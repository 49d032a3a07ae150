"""The rows expand to the names and shapes of the original model, and to no others."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from support import bundles, raws

from gpt2_convert.errors import SchemaError, UnsupportedError
from gpt2_convert.model.adopt import adopt
from gpt2_convert.model.family import evaluate
from gpt2_convert.model.schema import load_family

if TYPE_CHECKING:
    from typing import Any


OPENAI = {
    "124M": ((12, 768, 12), 148, 124_439_808),
    "355M": ((24, 1024, 16), 292, 354_823_168),
    "774M": ((36, 1280, 20), 436, 774_030_080),
    "1558M": ((48, 1600, 25), 580, 1_557_611_200),
}


@pytest.mark.parametrize("size", OPENAI)
def test_rows_expand_to_the_published_counts(size: str) -> None:
    (n_layer, n_embd, _), tensors, parameters = OPENAI[size]
    sizes = {"n_vocab": 50257, "n_ctx": 1024, "n_embd": n_embd, "n_inner": 4 * n_embd}
    slots = load_family().slots(n_layer, "tf")
    assert len(slots) == tensors
    assert sum(math.prod(slot.shape(sizes) or ()) for slot in slots) == parameters


def test_tf_spelling_and_shapes_are_those_of_the_original_model() -> None:
    family = load_family()
    sizes = {**bundles.TINY, "n_inner": 128}
    slots = {slot.spell("tf"): slot for slot in family.slots(bundles.TINY["n_layer"], "tf")}
    assert slots.keys() == bundles.gpt2_shapes().keys()
    for name, shape in bundles.gpt2_shapes().items():
        assert family.squeeze(slots[name], shape, "tf") == slots[name].shape(sizes)


def test_canonical_order_is_embeddings_then_numeric_blocks_then_ln_f() -> None:
    names = [slot.spell("name") for slot in load_family().slots(12, "tf")]
    assert names[:4] == ["wte", "wpe", "blocks[0].ln_1.g", "blocks[0].ln_1.b"]
    assert names[-2:] == ["ln_f.g", "ln_f.b"]
    blocks = [int(name[7 : name.index("]")]) for name in names if name.startswith("blocks[")]
    assert blocks == [layer for layer in range(12) for _ in range(12)]
    assert list(raws.canonical()) == [slot.spell("name") for slot in load_family().slots(3, "tf")]


@pytest.mark.parametrize(("n_layer", "fine"), [(96, True), (128, True), (129, False)])
def test_a_model_has_at_most_some_times_the_layers_of_the_largest(n_layer: int, fine: bool) -> None:
    sizes = {"n_vocab": 2, "n_ctx": 2, "n_embd": 1, "n_head": 1, "n_layer": n_layer}
    raw = raws.raw(bundles.gpt2_arrays(sizes), sizes)
    if fine:
        assert adopt(raw).hparams.n_layer == n_layer
        return
    with pytest.raises(
        UnsupportedError, match=r"^memory: more than 128 layers, where the largest GPT-2 has 48$"
    ):
        adopt(raw)


def test_a_few_tensors_do_not_stand_for_a_multitude_of_layers() -> None:
    family = load_family()
    names = [f"x{number}" for number in range(1000)]
    assert family.count_layers([*names, "model/h999/ln_1/g"], "tf", 1001) == 0
    few = [f"model/h{layer}/ln_1/g" for layer in (0, 2, 999)]
    assert family.count_layers([*names, *few], "tf", 1003) == 3
    with pytest.raises(SchemaError) as caught:
        adopt(raws.raw({**bundles.gpt2_arrays(), "model/h39/ln_1/g": np.zeros(32, np.float32)}))
    (problem,) = caught.value.problems
    assert problem.startswith("'model/h39/ln_1/g' [32] is in no row of gpt2.toml")


def test_wrappers_are_cut_off_at_once() -> None:
    class Name(str):
        cuts = 0

        def __getitem__(self, key: Any) -> Name:  # noqa: ANN401
            Name.cuts += 1
            return Name(super().__getitem__(key))

    unwrap = load_family().spellings["hf"].unwrap
    assert unwrap(Name("model._orig_mod.module." * 20 + "transformer.wte.weight")) == "wte.weight"
    assert Name.cuts == 1


def test_the_names_of_layer_11_are_not_those_of_layer_1() -> None:
    family = load_family()
    for spelling in family.spellings:
        names = [slot.spell(spelling) for slot in family.slots(12, spelling)]
        assert len(set(names)) == len(names)
    first = {slot.spell("tf") for slot in family.slots(2, "tf")}
    assert "model/h1/ln_1/g" in first
    assert "model/h11/ln_1/g" not in first


def test_hugging_face_s_names_are_those_of_the_models_on_its_hub() -> None:
    names = {slot.name: slot.spell("hf") for slot in load_family().slots(3, "hf")}
    assert names.pop("lm_head.w") == "lm_head.weight"
    assert names == {name: raws.huggingface_name(name) for name in raws.canonical()}


@pytest.mark.parametrize(
    ("name", "tf", "hf"),
    [
        ("wte", "[n_vocab, n_embd]", "[n_vocab, n_embd]"),
        ("blocks[0].attn.c_attn.w", "[1, n_embd, 3*n_embd]", "[n_embd, 3*n_embd]"),
        ("blocks[0].attn.c_attn.b", "[3*n_embd]", "[3*n_embd]"),
        ("blocks[0].mlp.c_proj.w", "[1, n_inner, n_embd]", "[n_inner, n_embd]"),
        ("ln_f.g", "[n_embd]", "[n_embd]"),
    ],
)
def test_only_openai_s_convolutions_have_a_unit_axis(name: str, tf: str, hf: str) -> None:
    family = load_family()
    (slot,) = (slot for slot in family.slots(1) if slot.name == name)
    assert family.describe_shape(slot, "tf", {}, None) == tf
    assert family.describe_shape(slot, "hf", {}, None) == hf
    assert family.stored_shape(slot, (7, 8), "tf") == ((1, 7, 8) if tf != hf else (7, 8))
    assert family.stored_shape(slot, (7, 8), "hf") == (7, 8)
    if tf != hf:
        assert family.squeeze(slot, (1, 7, 8), "tf") == family.squeeze(slot, (7, 8), "tf") == (7, 8)
        # Of what was squeezed the axis is not expected.
        assert family.describe_shape(slot, "tf", {"n_embd": 2, "n_inner": 6}, (7, 8)) in (
            f"{hf} = [2, 6]",
            f"{hf} = [6, 2]",
        )
    else:
        assert family.squeeze(slot, (1, 7, 8), "tf") == (1, 7, 8)
    assert family.squeeze(slot, (1, 7, 8), "hf") == (1, 7, 8)
    assert family.squeeze(slot, (2, 7, 8), "tf") == (2, 7, 8)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((), ()),
        ((("n_embd",),), (8,)),
        ((("3", "n_embd"), ("n_embd", "4")), (24, 32)),
        ((("1",), ("n_ctx", "n_embd", "2")), (1, 80)),
        ((("n_vocab", "2"),), None),
    ],
)
def test_a_shape_in_words_is_a_product_of_sizes(
    shape: tuple[tuple[str, ...], ...], expected: tuple[int, ...] | None
) -> None:
    assert evaluate(shape, {"n_embd": 8, "n_ctx": 5}) == expected


@pytest.mark.parametrize(
    ("names", "layers"),
    [
        ([], 0),
        (["model/h0/ln_1/g"], 1),
        (["model/h1/ln_1/g", "model/h0/ln_1/g"], 2),
        (["model/h01/ln_1/g", "model/h\u0662/ln_1/g", "model/h-1/ln_1/g"], 0),
        (["model/h0/ln_1/g/Adam", "xmodel/h0/ln_1/g", "model/h/ln_1/g"], 0),
        (["model/h0/ln_1/g", "model/h0/ln_1/b", "model/h2/mlp/c_fc/w"], 3),
    ],
)
def test_layers_are_counted_by_exact_names(names: list[str], layers: int) -> None:
    assert load_family().count_layers(names, "tf", 100) == layers


def test_wrappers_come_off_in_any_number_and_order_and_nothing_else_does() -> None:
    unwrap = load_family().spellings["hf"].unwrap
    for wrapped in ("", "transformer.", "module.transformer.", "_orig_mod.module.model."):
        assert unwrap(f"{wrapped}h.0.ln_1.weight") == "h.0.ln_1.weight"
    for name in ("h.0.transformer.weight", "xtransformer.wte", "transformer", ".model.wte"):
        assert unwrap(name) == name
