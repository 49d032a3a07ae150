"""Every tensor of a file is one of the model, left out for a reason, or unknown."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import bundles, raws

from gpt2_convert.errors import UsageError
from gpt2_convert.model.names import match
from gpt2_convert.model.schema import load_family

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Array = np.ndarray[Any, Any]

ONE = np.ones(3, np.float32)


def test_every_source_tensor_is_mapped_dropped_or_unknown() -> None:
    extra: dict[str, Array] = {
        "stranger": np.zeros(1, np.float32),
        "global_step": np.ones((), np.int64),
    }
    arrays = {**bundles.gpt2_arrays(), **extra}
    pairs = [*arrays.items(), ("model/wte", arrays["model/wte"])]
    found = match(raws.raw(pairs), load_family())
    accounted = [tensor.name for _, tensor in found.tensors.values()]
    accounted += [tensor.name for tensor, _ in found.dropped]
    accounted += [tensor.name for tensor in (*found.unknown, *found.repeated)]
    assert sorted(accounted) == sorted(name for name, _ in pairs)


PIECES = st.sampled_from(
    ["model", "wte", "wpe", "h0", "h1", "ln_1", "g", "Adam", "m", "optimizer", "global_step",
     ".OPTIMIZER_SLOT", ".ATTRIBUTES", "VARIABLE_VALUE", "", "blocks", "0", "w", "embeddings"]
)  # fmt: skip


@given(
    st.lists(st.lists(PIECES, max_size=12).map("/".join), max_size=12, unique=True),
    st.one_of(st.none(), st.lists(PIECES, max_size=3).map("/".join)),
)
@settings(max_examples=300, deadline=None)
def test_every_name_is_mapped_dropped_or_unknown(names: list[str], scope: str | None) -> None:
    file = raws.raw([(name, ONE) for name in names])
    try:
        found = match(file, load_family(), scope=scope)
    except UsageError:
        return
    accounted = [tensor.name for _, tensor in found.tensors.values()]
    accounted += [tensor.name for tensor, _ in found.dropped]
    accounted += [tensor.name for tensor in (*found.unknown, *found.repeated)]
    assert sorted(accounted) == sorted(names)
    assert all(tensor.name.startswith(found.scope) for _, tensor in found.tensors.values())


SPELLINGS: dict[str, Callable[[str], str]] = {
    "name": lambda name: name,
    "hf": raws.huggingface_name,
    "slashed": lambda name: name.replace("[", "/").replace("]", "").replace(".", "/"),
    "dotted": lambda name: name.replace("[", ".").replace("]", ""),
    "hf_slashed": lambda name: raws.huggingface_name(name).replace(".", "/"),
    "tf_bare": lambda name: name.replace("blocks[", "h").replace("]", "").replace(".", "/"),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_names_are_translated_from_every_spelling_into_canonical_order(spelling: str) -> None:
    spell = SPELLINGS[spelling]
    arrays = {spell(name): array for name, array in reversed(raws.canonical().items())}
    found = match(raws.raw(arrays), load_family())
    assert (found.spelling, found.scope, found.n_layer, found.hits) == (spelling, "", 3, 40)
    assert {name: tensor.name for name, (_, tensor) in found.tensors.items()} == {
        name: spell(name) for name in raws.canonical()
    }
    assert list(found.tensors) == list(raws.canonical())
    for name, (slot, tensor) in found.tensors.items():
        assert slot.name == name
        assert found.spell(slot) == tensor.name


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_what_tensorflow_puts_behind_names_may_stand_behind_any(spelling: str) -> None:
    arrays = {SPELLINGS[spelling](n) + ":0": each for n, each in raws.canonical().items()}
    found = match(raws.raw(arrays), load_family())
    assert (found.spelling, found.scope, found.ending, found.hits) == (spelling, "", ":0", 40)
    assert [found.spell(slot) for slot, _ in found.tensors.values()] == list(arrays)
    name = next(iter(arrays))
    found = match(raws.raw({**arrays, name.removesuffix(":0"): ONE}), load_family())
    assert [tensor.name for tensor in found.repeated] == [name.removesuffix(":0")]
    found = match(raws.raw({**arrays, f"{name}:0": ONE, f"{name[:-1]}1": ONE}), load_family())
    assert [tensor.name for tensor in found.unknown] == [f"{name}:0", f"{name[:-1]}1"]


def test_a_head_stands_in_for_the_embedding_that_it_is_tied_to() -> None:
    arrays = raws.huggingface()
    arrays["lm_head.weight"] = arrays.pop("wte.weight")
    found = match(raws.raw(arrays), load_family())
    assert list(found.tensors) == list(raws.canonical())
    assert found.tensors["wte"][1].name == "lm_head.weight"
    assert [slot.name for slot in found.tied] == ["lm_head.w"]
    apart = found.untie()
    assert set(apart.tensors) == {*raws.canonical(), "lm_head.w"} - {"wte"}
    assert apart.tensors["lm_head.w"][1].name == "lm_head.weight"
    # With both of them, each is what its name says; and no such program writes canonical names.
    both = match(raws.raw({**arrays, "wte.weight": ONE}), load_family())
    assert both.tied == ()
    assert {both.tensors[name][1].name for name in ("wte", "lm_head.w")} == {
        "wte.weight",
        "lm_head.weight",
    }
    own = {"lm_head.w" if name == "wte" else name: each for name, each in raws.canonical().items()}
    assert match(raws.raw(own), load_family()).tied == ()


def test_the_spelling_is_that_of_most_names() -> None:
    few = dict(list(raws.canonical().items())[:3])
    found = match(raws.raw({**few, **bundles.gpt2_arrays()}), load_family())
    assert found.spelling == "tf"
    assert [tensor.name for tensor in found.unknown] == list(few)
    assert match(raws.raw({}), load_family()).hits == 0


def test_a_name_that_stands_twice_is_found_once_and_repeated_once() -> None:
    pairs = [*bundles.gpt2_arrays().items(), ("model/wpe", ONE)]
    found = match(raws.raw(pairs), load_family())
    assert found.tensors["wpe"][1].shape == (16, 32)
    assert [(tensor.name, tensor.shape) for tensor in found.repeated] == [("model/wpe", (3,))]


def test_a_pattern_leaves_out_what_the_model_does_not_need_and_nothing_else() -> None:
    arrays = {**raws.huggingface(), "lm_head.weight": ONE, "score.weight": ONE, "v_head.bias": ONE}
    arrays["h.0.attn.masked_bias"] = ONE
    found = match(raws.raw(arrays), load_family(), ["*.weight", "*_bias"])
    assert {tensor.name: drop.reason for tensor, drop in found.dropped} == {
        "score.weight": "asked for by the pattern '*.weight'",
        "h.0.attn.masked_bias": "asked for by the pattern '*_bias'; its values were not looked at",
    }
    # A head may be untied, which its values tell.
    assert set(found.tensors) == {*raws.canonical(), "lm_head.w"}
    assert [tensor.name for tensor in found.unknown] == ["v_head.bias"]


def test_a_scope_that_holds_no_model_is_misuse_and_the_others_are_listed() -> None:
    arrays = {f"policy/{name}": array for name, array in bundles.gpt2_arrays().items()}
    with pytest.raises(UsageError) as caught:
        match(raws.raw(arrays), load_family(), scope="value")
    assert str(caught.value) == "memory: no GPT-2 in the scope 'value/'; there is one in 'policy/'"
    found = match(raws.raw({**arrays, "x/y": ONE}), load_family(), scope="policy")
    assert (found.scope, found.hits) == ("policy/", 40)
    assert [(tensor.name, drop.reason) for tensor, drop in found.dropped] == [
        ("x/y", "outside the scope policy/")
    ]
