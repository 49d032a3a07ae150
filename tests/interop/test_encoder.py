"""The encoder gives the ids and the texts that transformers' own tokenizers give."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from interop.test_whole_model import train as train_other
from support.tokenizer_files import END, TEXTS, train, write_pair
from tokenizer.test_encoder import ANY_TEXT, EXAMPLES, STRINGS

from gpt2_convert.api.encoder import load_encoder

if TYPE_CHECKING:
    from pathlib import Path

    from gpt2_convert.tokenizer.encoder import Encoder

pytestmark = [
    pytest.mark.interop,
    # transformers warns of its own affairs.
    pytest.mark.filterwarnings("default::DeprecationWarning"),
    pytest.mark.filterwarnings("default::FutureWarning"),
]


def assert_same(ours: Encoder, theirs: Any, text: str) -> None:  # noqa: ANN401
    theirs.split_special_tokens = False
    allowed = theirs.encode(text, add_special_tokens=False)
    assert ours.encode(text, allow_special=True) == allowed
    plain = theirs.encode(text, add_special_tokens=False, split_special_tokens=True)
    assert ours.encode(text) == plain
    for ids in (allowed, plain):
        decoded = theirs.decode(ids)
        assert ours.decode(ids) == decoded
        assert "".join(ours.decode_each(ids)) == decoded


def compare_on_many(ours: Encoder, theirs: Any) -> None:  # noqa: ANN401
    seen = 0

    @settings(derandomize=True, deadline=None, max_examples=EXAMPLES, database=None)
    @given(st.lists(ANY_TEXT, min_size=STRINGS, max_size=STRINGS))
    def compare(texts: list[str]) -> None:
        nonlocal seen
        seen += len(texts)
        for text in texts:
            assert_same(ours, theirs, text)

    compare()
    assert seen >= 20_000


def test_every_text_has_the_ids_of_transformers_gpt2(openai_folder: Path) -> None:
    from transformers import GPT2Tokenizer

    compare_on_many(load_encoder(openai_folder), GPT2Tokenizer.from_pretrained(openai_folder))


@pytest.mark.parametrize("files", ["a pair", "a document"])
def test_every_text_has_the_ids_of_a_bpe_that_was_trained_here(files: str, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    write_pair(tmp_path, *train())
    (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "GPT2Tokenizer"}')
    theirs = AutoTokenizer.from_pretrained(tmp_path)
    if files == "a document":
        theirs.save_pretrained(tmp_path / "saved")
        assert (tmp_path / "saved" / "tokenizer.json").is_file()
        compare_on_many(load_encoder(tmp_path / "saved"), theirs)
    else:
        compare_on_many(load_encoder(tmp_path), theirs)


STATED: dict[str, dict[str, Any]] = {
    "a space in front": {"tokenizer_config": {"add_prefix_space": True}},
    "roles": {
        "special_tokens_map": {"bos_token": "he", "additional_special_tokens": ["ex", "tex"]}
    },
    "roles with traits": {
        "tokenizer_config": {
            "eos_token": {
                "content": "tex", "lstrip": True, "rstrip": True, "single_word": False,
                "normalized": True, "__type": "AddedToken",
            }
        }
    },
    "added tokens": {"added_tokens": {"<x>": 300, "<pad>": 301, "ed": 302}},
    "added tokens with roles": {
        "added_tokens": {"<x>": 300, "<pad>": 301},
        "special_tokens_map": {"pad_token": "<pad>"},
    },
    "added tokens with traits": {
        "tokenizer_config": {
            "added_tokens_decoder": {
                "300": {
                    "content": "<x>", "lstrip": True, "rstrip": False, "single_word": False,
                    "normalized": False, "special": True,
                },
                "301": {
                    "content": "wear", "lstrip": False, "rstrip": True, "single_word": True,
                    "normalized": True, "special": False,
                },
            }
        }
    },
}  # fmt: skip
MORE_TEXTS = [
    *TEXTS, "<x>a <x> b<x>", "the hex text, he  tex ex", "<pad><pad> x <pad>", "wear wears  wear a",
    " wear.", f"he{END}he", "edited  tex  tex",
]  # fmt: skip


@pytest.mark.parametrize("name", STATED)
def test_what_a_folder_states_beside_the_vocabulary_counts(name: str, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    vocabulary, merges = train()
    write_pair(tmp_path, vocabulary, merges)
    stated = STATED[name]
    config = {"tokenizer_class": "GPT2Tokenizer", **stated.get("tokenizer_config", {})}
    for file, content in {**stated, "tokenizer_config": config}.items():
        (tmp_path / f"{file}.json").write_text(json.dumps(content))
    ours, theirs = load_encoder(tmp_path), AutoTokenizer.from_pretrained(tmp_path)
    for text in MORE_TEXTS:
        assert_same(ours, theirs, text)


@pytest.mark.parametrize("kind", ["WordPiece", "sentencepiece"])
def test_a_document_of_another_kind_is_applied_as_transformers_does(
    kind: str, tmp_path: Path
) -> None:
    from transformers import AutoTokenizer

    train_other(kind, tmp_path)
    AutoTokenizer.from_pretrained(tmp_path).save_pretrained(tmp_path)
    assert (tmp_path / "tokenizer.json").is_file()
    ours, theirs = load_encoder(tmp_path), AutoTokenizer.from_pretrained(tmp_path)
    for text in MORE_TEXTS:
        assert_same(ours, theirs, text)
