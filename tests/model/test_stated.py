"""What configurations state: two of them have to agree, and nothing is taken from a damaged one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support import bundles, raws
from support.raws import CONFIG

from gpt2_convert.checkpoint.raw import RawConfig
from gpt2_convert.errors import FormatError
from gpt2_convert.model.schema import load_family
from gpt2_convert.model.stated import Stated, read_stated


def read(*configs: RawConfig) -> Stated | None:
    from dataclasses import replace

    return read_stated(replace(raws.raw({}), configs=configs), load_family())


def state(where: str, fields: dict[str, Any], **more: Any) -> RawConfig:  # noqa: ANN401
    return RawConfig(where, json.dumps(fields).encode(), **more)


def test_nothing_stated_is_none() -> None:
    assert read() is None


def test_two_that_agree_are_one_with_the_places_of_each() -> None:
    stated = read(state("a", bundles.TINY), state("b", {**CONFIG, "activation_function": "relu"}))
    assert stated is not None
    assert dict(stated.sizes) == bundles.TINY
    assert stated.behaviour == {"activation_function": "relu"}
    assert {stated.places[size] for size in stated.sizes} == {"a"}
    assert stated.places["activation_function"] == "b"
    assert stated.where == "a"
    assert stated.document is not None
    assert stated.document["activation_function"] == "relu"


@pytest.mark.parametrize("order", [1, -1])
def test_two_that_contradict_name_both_files_and_keys(order: int) -> None:
    both = [state("a", bundles.TINY), state("b", {**CONFIG, "vocab_size": 62})][::order]
    with pytest.raises(FormatError) as caught:
        read(*both)
    parts = ["a: 'n_vocab' is 61", "b: 'vocab_size' is 62"][::order]
    assert str(caught.value) == f"{parts[0]}, but {parts[1]}; mend one of them, or remove it"


def test_what_a_complete_statement_leaves_out_is_gpt2_s_own() -> None:
    relu = state("b", {**CONFIG, "activation_function": "relu"})
    with pytest.raises(FormatError, match=r"^a: 'activation_function' is 'gelu_new' by default, "):
        read(state("a", bundles.TINY, complete=True), relu)
    # hparams.json has no word for it, and so says nothing.
    assert read(state("a", bundles.TINY), relu) is not None
    assert read(state("a", bundles.TINY, complete=True), state("b", CONFIG)) is not None


def test_what_was_converted_as_it_is_states_nothing_of_a_model() -> None:
    as_is = state("a", {"as_is": True}, as_is=True)
    assert read(as_is) is None
    assert read(as_is, state("b", bundles.TINY)) == read(state("b", bundles.TINY))
    with pytest.raises(FormatError, match=r"^a: damaged$"):
        read(state("a", {"as_is": True}, as_is=True, damage="damaged"))


def test_a_damaged_statement_is_an_error_in_its_words() -> None:
    with pytest.raises(FormatError, match=r"^a: damaged: so and so$"):
        read(state("a", bundles.TINY, damage="damaged: so and so"))


@pytest.mark.parametrize("alias", load_family().aliases)
def test_an_alias_stands_for_its_size_and_agrees_with_the_usual_key(alias: str) -> None:
    family = load_family()
    size = family.aliases[alias]
    usual = family.configs["hf"][size]
    fields = {key: value for key, value in CONFIG.items() if key != usual}
    stated = read(state("a", {**fields, alias: CONFIG[usual]}))
    assert stated is not None
    assert dict(stated.sizes) == bundles.TINY
    assert stated.keys[size] == alias
    with pytest.raises(FormatError, match=rf"'{usual}' is {CONFIG[usual]}, but '{alias}' is 5"):
        read(state("a", {**CONFIG, alias: 5}))


def test_an_alias_means_nothing_in_openai_s_file() -> None:
    # It makes the file a config.json, which calls the vocabulary otherwise.
    with pytest.raises(FormatError, match="'vocab_size' is missing"):
        read(state("a", {**bundles.TINY, "hidden_size": 32}))


def test_n_inner_may_be_null_and_n_ctx_may_stand_beside_n_positions() -> None:
    stated = read(state("a", {**CONFIG, "n_inner": None, "n_ctx": 16}))
    assert stated is not None
    assert "n_inner" not in stated.sizes
    with pytest.raises(FormatError, match=r"'n_ctx': n_ctx = 16 expected, found 32; mend one"):
        read(state("a", {**CONFIG, "n_ctx": 32}))
    with pytest.raises(FormatError, match="'n_inner': a positive whole number expected"):
        read(state("a", {**CONFIG, "n_inner": 0}))


@pytest.mark.parametrize("key", ["dtype", "torch_dtype"])
def test_the_dtype_is_read_under_its_older_name_too(key: str) -> None:
    stated = read(state("a", {**CONFIG, key: "float16"}))
    assert stated is not None
    assert stated.dtype == "float16"
    with pytest.raises(FormatError, match=f"'{key}': a string expected, found 16"):
        read(state("a", {**CONFIG, key: 16}))
