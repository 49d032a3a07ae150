"""What is left out is known by its exact name, and always has a reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import bundles, raws

from gpt2_convert.errors import SchemaError
from gpt2_convert.model.adopt import adopt
from gpt2_convert.model.drops import DropRules, matches
from gpt2_convert.model.names import match
from gpt2_convert.model.schema import load_family

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Array = np.ndarray[Any, Any]

ONE = np.ones(3, np.float32)


def test_what_training_leaves_behind_is_dropped_for_a_reason() -> None:
    extra: dict[str, Array] = {
        "model/wte/Adam": np.zeros((61, 32), np.float32),
        "model/h2/ln_1/g/Adam_1": np.zeros(32, np.float32),
        "beta1_power": np.float32(0.9) * np.ones(()),
        "global_step": np.ones((), np.int64),
    }
    checkpoint = adopt(raws.raw({**bundles.gpt2_arrays(), **extra}, bundles.TINY))
    assert list(checkpoint) == list(raws.canonical())
    assert {drop.source_name: drop.reason for drop in checkpoint.dropped} == {
        "model/wte/Adam": "Adam's first moment",
        "model/h2/ln_1/g/Adam_1": "Adam's second moment",
        "beta1_power": "Adam's state",
        "global_step": "the training step",
    }


@pytest.mark.parametrize(
    ("scope", "ending"), [("model/", ":0"), ("", ""), ("", ":0"), ("gpt/", ""), ("a/model/", ":0")]
)
def test_the_rules_follow_the_spelling(scope: str, ending: str) -> None:
    weights = {
        name.replace("model/", scope) + ending: each for name, each in bundles.gpt2_arrays().items()
    }
    left = [f"{scope}wte/Adam", f"{scope}h2/ln_1/g/Adam_1", "training/beta1_power", "global_step"]
    strangers = [f"{scope}h3/ln_1/g/Adam{ending}", f"{scope}wte/Eve{ending}", "x/wte/Adam:0:0"]
    extra = dict.fromkeys([*(name + ending for name in left), *strangers], ONE)
    found = match(raws.raw({**weights, **extra}), load_family())
    assert list(found.tensors) == list(raws.canonical())
    assert [tensor.name for tensor, _ in found.dropped] == [name + ending for name in left]
    assert [tensor.name for tensor in found.unknown] == strangers
    with pytest.raises(SchemaError) as caught:
        adopt(raws.raw({**weights, **dict.fromkeys([f"{scope}wte/Eve{ending}"], ONE)}))
    (problem,) = caught.value.problems
    assert problem.endswith(f"if it is an optimizer's, drop='*/Eve{ending}' leaves it out")


def test_slots_of_unknown_tensors_are_not_dropped() -> None:
    extra = {"head/w/Adam": np.zeros(3, np.float32)}
    with pytest.raises(SchemaError, match="'head/w/Adam'"):
        adopt(raws.raw({**bundles.gpt2_arrays(), **extra}, bundles.TINY))


def test_training_state_of_no_tensor_of_the_model_is_unknown() -> None:
    names = [
        "model/h3/ln_1/g/Adam",
        "model/wte/Adam_4",
        "model/wte/adam/x",
        "xmodel/wte/Adam",
        "model/wte/Adam/",
        "beta1_power/x",
        "xbeta1_power",
        "optimizer/w",
    ]
    found = match(raws.raw({**bundles.gpt2_arrays(), **dict.fromkeys(names, ONE)}), load_family())
    assert [tensor.name for tensor in found.unknown] == names
    assert found.dropped == ()


def test_drop_rules_of_names_without_scopes_hold_for_whole_names() -> None:
    arrays = {**raws.huggingface(), "h.0.attn.masked_bias": ONE, "x/h.0.attn.masked_bias": ONE}
    found = match(raws.raw(arrays), load_family())
    assert [tensor.name for tensor, _ in found.dropped] == ["h.0.attn.masked_bias"]
    assert [tensor.name for tensor in found.unknown] == ["x/h.0.attn.masked_bias"]


def test_slots_of_an_object_graph_are_known_by_their_tensors() -> None:
    value = "/.ATTRIBUTES/VARIABLE_VALUE"
    names = [name.replace("[", "/").replace("].", "/") for name in raws.canonical()]
    arrays = {
        f"model/{name.replace('.', '/')}{value}": array
        for name, array in zip(names, raws.canonical().values(), strict=True)
    }
    slots = [f"model/{name}/.OPTIMIZER_SLOT/adam/m{value}" for name in ("wte", "blocks/2/ln_1/g")]
    strangers = [f"model/{name}/.OPTIMIZER_SLOT/adam/m{value}" for name in ("w", "blocks/3/ln_1/g")]
    strangers += [f"adam/iter{value}", f"step/x{value}", "optimizer"]
    file = raws.raw({**arrays, **dict.fromkeys([*slots, *strangers], ONE)})
    found = match(file, load_family())
    assert found.scope == "model/"
    assert [tensor.name for tensor, _ in found.dropped] == slots
    assert [tensor.name for tensor in found.unknown] == strangers


@pytest.mark.parametrize(
    ("name", "pattern", "fits"),
    [
        ("model/wte/Eve", "model/wte/Eve", True),
        ("model/wte/Eve", "*/Eve", True),
        ("model/wte/Eve", "*", True),
        ("model/wte/Eve", "model/*/Ev?", True),
        ("model/wte/Eve", "Eve", False),
        ("model/wte/Eve", "*/eve", False),
        ("model/wte/Eve", "*/Eve?", False),
        ("h[0].w", "h[0].w", True),
        ("h0.w", "h[0].w", False),
        ("h[0].w", "h[?].*", True),
        ("a]b", "a]b", True),
        ("!x", "[!x]", False),
        ("two\nlines", "two*", True),
        ("", "*", True),
    ],
)
def test_in_a_pattern_the_star_and_the_question_mark_alone_have_a_meaning(
    name: str, pattern: str, fits: bool
) -> None:
    assert matches(name, pattern) is fits


@settings(derandomize=True, deadline=None, max_examples=30)
@given(st.text(), st.text())
def test_a_pattern_without_stars_fits_itself_and_nothing_else(pattern: str, other: str) -> None:
    plain = pattern.replace("*", "").replace("?", "")
    assert matches(plain, plain)
    assert matches(other, plain) is (other == plain)
    assert matches(plain + other, f"{plain}*")


def test_masks_are_known_by_names_with_slashes_too() -> None:
    arrays = {name.replace(".", "/"): array for name, array in raws.huggingface().items()}
    names = ["h/0/attn/bias", "transformer/h/2/attn/masked_bias"]
    found = match(
        raws.raw({**arrays, **dict.fromkeys([*names, "h/3/attn/bias"], ONE)}), load_family()
    )
    assert [tensor.name for tensor, _ in found.dropped] == names
    assert [rule.values for _, rule in found.dropped] == ["causal_mask", "masked_bias"]
    assert [tensor.name for tensor in found.unknown] == ["h/3/attn/bias"]


def test_what_a_mask_is_is_a_matter_of_its_values_and_not_of_the_context() -> None:
    arrays = {**raws.huggingface(), "h.0.attn.bias": np.zeros((1, 1, 15, 16), np.float32)}
    ((tensor, rule),) = match(raws.raw(arrays), load_family()).dropped
    assert (tensor.name, rule.values) == ("h.0.attn.bias", "causal_mask")


def test_training_state_is_known_in_any_folder_where_there_are_scopes() -> None:
    rules = load_family().expand_drops(3, "tf")
    scoped, plain = DropRules(rules, scopes=True), DropRules(rules, scopes=False)
    for name in ("global_step", "training/global_step", "a/b/c/global_step"):
        found = scoped.find(name)
        assert found is not None
        assert found.reason == "the training step"
        assert (plain.find(name) is None) is ("/" in name)
    for name in ("global_step/", "xglobal_step", "global_step/x", "global_ste", ""):
        assert scoped.find(name) is None


# Numbers without axes.

COUNTERS: dict[str, Array] = {
    "step": np.array(7),
    "iter_num": np.array(7, np.int32),
    "best_val_loss": np.array(2.5, np.float32),
    "done": np.array(True),
}


@pytest.mark.parametrize("arrays", [raws.huggingface, raws.canonical, bundles.gpt2_arrays])
def test_a_number_without_axes_is_no_weight(arrays: Callable[[], dict[str, Array]]) -> None:
    checkpoint = adopt(raws.raw({**arrays(), **COUNTERS}, bundles.TINY))
    assert [each.source_name for each in checkpoint.dropped] == list(COUNTERS)
    (reason,) = {each.reason for each in checkpoint.dropped}
    assert reason == "a number without axes, as no weight of the model is"


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("step", np.array([7])),  # it has an axis
        ("h.0.attn.gate", np.array(0.5, np.float32)),  # which a layer may compute with
        ("transformer.h.7.scale", np.array(0.5, np.float32)),
        ("lm_head.weight_scale", np.array(0.5, np.float32)),  # without which weights are nothing
        ("wte.scale", np.array(0.5, np.float32)),  # in a module of the model
        ("transformer.ln_f.gain", np.array(0.5, np.float32)),
        ("lm_head.temperature", np.array(0.5, np.float32)),
        ("logit_scale", np.array(0.5, np.float32)),  # as CLIP and others have it
        ("transformer.logit_scale", np.array(0.5, np.float32)),
    ],
)
def test_what_a_model_may_compute_with_is_not_left_out(name: str, number: Array) -> None:
    with pytest.raises(SchemaError, match=f"'{name}' .* is in no row"):
        adopt(raws.raw({**raws.huggingface(), name: number}, bundles.TINY))


@pytest.mark.parametrize("name", ["model/wte/scale", "policy/model/ln_f/scale"])
def test_a_number_in_a_module_is_kept_apart_in_a_scope_too(name: str) -> None:
    scope = name[: name.index("model/")]
    arrays = {scope + key: array for key, array in bundles.gpt2_arrays().items()}
    with pytest.raises(SchemaError, match=f"'{name}' .* is in no row"):
        adopt(raws.raw({**arrays, name: np.array(0.5, np.float32)}, bundles.TINY))
    steps = {scope + "model/iter_num": np.array(7)}
    checkpoint = adopt(raws.raw({**arrays, **steps}, bundles.TINY))
    assert [each.source_name for each in checkpoint.dropped] == list(steps)


@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0)])
def test_an_empty_array_is_no_weight(shape: tuple[int, ...]) -> None:
    empty = np.zeros(shape, np.float32)
    checkpoint = adopt(raws.raw({**raws.huggingface(), "notes": empty}, bundles.TINY))
    (dropped,) = checkpoint.dropped
    assert (dropped.source_name, dropped.reason[:14]) == ("notes", "an empty array")
    with pytest.raises(SchemaError, match=r"'h\.0\.attn\.gate' .* is in no row"):
        adopt(raws.raw({**raws.huggingface(), "h.0.attn.gate": empty}, bundles.TINY))


def test_a_weight_without_axes_is_no_counter() -> None:
    with pytest.raises(SchemaError, match=r"'ln_f\.bias' is \[\], expected \[n_embd\]"):
        adopt(raws.raw({**raws.huggingface(), "ln_f.bias": np.array(1, np.float32)}, bundles.TINY))
