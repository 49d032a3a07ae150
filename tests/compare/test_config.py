"""Configurations compared: what differs, and what only one side states."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from support import bundles, raws
from support.raws import CONFIG

from gpt2_convert import Kind
from gpt2_convert.checkpoint.raw import RawConfig
from gpt2_convert.compare.config import compare_config, prove_config
from gpt2_convert.model.adopt import adopt
from gpt2_convert.model.config import settle_config

TIED = {**CONFIG, "tie_word_embeddings": True}
TIED_NOT = {**CONFIG, "tie_word_embeddings": False}


def compare(
    ours: dict[str, Any] | None, theirs: dict[str, Any] | None
) -> tuple[list[str], list[str]]:
    source = settle_config(adopt(raws.raw(raws.huggingface(), ours)))
    found = compare_config(source, raws.raw(raws.huggingface(), theirs))
    return [f"{each.kind}: {each.tensor}" for each in found.findings], list(found.not_compared)


def test_behaviour_that_is_not_stated_is_gpt2_s_own() -> None:
    relu = {**CONFIG, "activation_function": "relu"}
    assert compare(CONFIG, CONFIG) == ([], [])
    assert compare(relu, CONFIG)[0] == ["config: activation_function"]
    assert compare(CONFIG, relu)[0] == ["config: activation_function"]
    assert compare(relu, None)[0] == ["config: activation_function"]
    assert compare(bundles.TINY, relu)[0] == ["config: activation_function"]
    assert compare(None, relu)[0] == ["config: activation_function"]


UNTIED = {**raws.huggingface(), "lm_head.weight": raws.huggingface()["wte.weight"] + 1}


@pytest.mark.parametrize("arrays", [raws.huggingface(), UNTIED], ids=["no head", "another head"])
@pytest.mark.parametrize("ours", [None, bundles.TINY, CONFIG, TIED_NOT, TIED], ids=str)
@pytest.mark.parametrize("theirs", [None, bundles.TINY, CONFIG, TIED_NOT, TIED], ids=str)
def test_a_tie_is_another_where_it_is_neither_what_the_source_is_nor_what_it_states(
    theirs: dict[str, Any] | None, ours: dict[str, Any] | None, arrays: dict[str, Any]
) -> None:
    source = settle_config(adopt(raws.raw(arrays, ours)))
    found = compare_config(source, raws.raw(arrays, theirs))
    # Without a config.json nothing is stated of it, and with one it is true by default.
    stated = theirs is not None and theirs is not bundles.TINY
    right = {arrays is not UNTIED, ours is not TIED_NOT}
    differs = stated and (theirs is not TIED_NOT) not in right
    assert [each.tensor for each in found.findings] == ["tie_word_embeddings"] * differs


def test_heads_that_one_side_alone_states_are_not_compared() -> None:
    assert compare(bundles.TINY, None) == ([], ["n_head"])
    assert compare(None, bundles.TINY) == ([], ["n_head"])
    assert compare(bundles.TINY, {**bundles.TINY, "n_head": 8})[0] == ["hparams: n_head"]


def test_every_other_field_is_compared_where_both_state_it() -> None:
    ours = {**CONFIG, "a": 1, "b": [1, {"c": 2.0}], "d": None}
    theirs = {**CONFIG, "a": 1.0, "b": [1, {"c": 2.0}], "e": float("nan")}
    # A field that only the target has is one of GPT-2's, or a key that was damaged.
    assert compare(ours, theirs) == (["config: a", "config: e"], ["d"])
    assert compare({**CONFIG, "e": float("nan")}, theirs)[0] == ["config: a", "config: b"]


@pytest.mark.parametrize(
    ("field", "value"),
    [("architectures", ["GPT2LMHeadModel"]), ("dtype", "float32"), ("torch_dtype", "float32")],
)
def test_a_target_may_say_how_its_own_weights_are_stored(field: str, value: object) -> None:
    assert compare(CONFIG, {**CONFIG, field: value}) == ([], [])
    assert compare({**CONFIG, field: ["x"] if field[0] == "a" else "x"}, CONFIG) == ([], [field])
    source = {**CONFIG, "architectures": ["GPT2Model"], field: "float16"}
    if field == "architectures":
        source[field] = ["GPT2Model"]
    assert compare(source, {**source, field: value}) == ([], [])
    (found,), _ = compare(source, {**source, field: ["y"] if field[0] == "a" else "y"})
    assert found == f"config: {field}"


def test_a_target_whose_statement_is_damaged_differs() -> None:
    source = adopt(raws.raw(raws.huggingface(), CONFIG))
    damaged = RawConfig("here", b"{}", "damaged")
    target = replace(raws.raw(raws.huggingface()), configs=(damaged,))
    (finding,) = compare_config(source, target).findings
    assert (finding.kind, finding.message) == (Kind.CONFIG, "here: damaged")


def test_a_proof_compares_every_field_by_value_and_type() -> None:
    source = adopt(raws.raw(raws.huggingface(), CONFIG))
    written = {**CONFIG, "x": 1, "y": float("nan"), "z": True}

    def prove(**changed: object) -> list[str]:
        fields = {**written, **changed}
        text = json.dumps({key: value for key, value in fields.items() if value != "gone"})
        target = replace(raws.raw({}), configs=(RawConfig("here", text.encode()),))
        return [each.tensor for each in prove_config(source, target, written)]

    assert prove() == []
    assert prove(x=1.0) == ["x"]
    assert prove(z=1) == ["z"]
    assert prove(x="gone") == ["x"]
    assert prove(more=None) == ["more"]
    # Of two statements, each has to be as it was written.
    texts = [json.dumps({"x": 1}), json.dumps({**written, "z": 1})]
    configs = tuple(RawConfig("here", text.encode()) for text in texts)
    (finding,) = prove_config(source, replace(raws.raw({}), configs=configs), written)
    assert (finding.tensor, finding.message) == ("z", "true in the source, 1 in the target")
    nothing = prove_config(source, raws.raw({}), written)
    assert [each.message for each in nothing] == ["stated nowhere in the target"]
