"""The configuration of a model: typed fields that are those of the schema file."""

from __future__ import annotations

import dataclasses

import pytest

from gpt2_convert.checkpoint.config import Config
from gpt2_convert.model.schema import load_family

TINY = Config(n_vocab=61, n_ctx=16, n_embd=32, n_head=4, n_layer=3, n_inner=128)


def test_its_fields_and_defaults_are_the_schema_s() -> None:
    family = load_family()
    sizes = {*family.required_sizes, *family.optional_sizes}
    fields = {field.name: field.default for field in dataclasses.fields(Config)}
    decisive = {name: fields[name] for name in TINY.effective()}
    assert decisive.keys() == sizes | family.behaviour.keys()
    assert {name: decisive[name] for name in family.behaviour} == dict(family.behaviour)
    assert fields.keys() - decisive.keys() == {"dtype", "stated_in", "document"}


def test_only_behaviour_that_is_not_gpt2_s_own_is_unusual() -> None:
    assert TINY.unusual() == {}
    other = dataclasses.replace(TINY, activation_function="relu", n_inner=7, dtype="float16")
    assert other.unusual() == {"n_inner": 7, "activation_function": "relu"}
    assert dataclasses.replace(TINY, tie_word_embeddings=None).unusual() == {}
    assert dataclasses.replace(TINY, tie_word_embeddings=False).unusual() == {
        "tie_word_embeddings": False
    }


def test_its_hparams_have_openai_s_keys_in_openai_s_order() -> None:
    assert list(TINY.hparams.known()) == ["n_vocab", "n_ctx", "n_embd", "n_head", "n_layer"]
    unknown = dataclasses.replace(TINY, n_head=None)
    assert "n_head" not in unknown.hparams.known()
    assert unknown.effective()["n_head"] is None


def test_its_document_says_more_than_decides() -> None:
    assert TINY.as_json() == {**TINY.effective(), "dtype": None}
    with pytest.raises(dataclasses.FrozenInstanceError):
        TINY.n_head = 5  # type: ignore[misc]
