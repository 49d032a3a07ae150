"""What stands beside a vocabulary in a Hugging Face folder: more tokens, their roles, a setting.

That transformers makes the same of it is shown by the interop tests.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from gpt2_convert.errors import FormatError, UnreadableError
from gpt2_convert.tokenizer.added import Added, Beside, read_beside

if TYPE_CHECKING:
    from pathlib import Path

VOCABULARY = {"a": 0, "b": 1, "<s>": 2, "<|endoftext|>": 3}
END = Added("<|endoftext|>", 3, special=True)


def read(folder: Path, **files: Any) -> Beside:  # noqa: ANN401
    """Write each file as JSON, or as it is if it is a text, and read what is beside."""
    for name, content in files.items():
        text = content if isinstance(content, str) else json.dumps(content)
        (folder / f"{name}.json").write_text(text, encoding="utf-8")
    return read_beside(folder, VOCABULARY)


def test_openai_s_folder_has_one_special_token(tmp_path: Path) -> None:
    assert read_beside(tmp_path, VOCABULARY) == Beside((END,), prefix_space=False)
    assert read_beside(tmp_path, {"a": 0}) == Beside((), prefix_space=False)


def test_tokens_with_a_role_are_special_if_they_have_an_id(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        special_tokens_map={"bos_token": "<s>", "pad_token": "<pad>", "other": ["a"]},
        tokenizer_config={
            "eos_token": {
                "content": "a",
                "rstrip": True,
                "normalized": True,
                "__type": "AddedToken",
            },
            "additional_special_tokens": ["b"],
            "unk_token": None,
        },
    )
    assert found.added == (
        Added("a", 0, special=True, rstrip=True, normalized=True),
        Added("b", 1, special=True),
        Added("<s>", 2, special=True),
        END,
    )


@pytest.mark.parametrize("role", ["additional_special_tokens", "extra_special_tokens"])
def test_a_list_of_special_tokens_may_be_an_object(role: str, tmp_path: Path) -> None:
    assert Added("b", 1, special=True) in read(tmp_path, tokenizer_config={role: {"x": "b"}}).added


def test_added_tokens_have_the_ids_that_are_stated(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        added_tokens={"<user>": 9, "<|endoftext|>": 3, "<pad>": 7},
        special_tokens_map={"pad_token": "<pad>"},
    )
    assert found.added == (
        END,
        Added("<pad>", 7, special=True),
        Added("<user>", 9, special=False, normalized=True),
    )


def test_the_decoder_of_added_tokens_says_how_each_is_matched(tmp_path: Path) -> None:
    stated = {"single_word": True, "lstrip": True, "rstrip": True, "normalized": False}
    found = read(
        tmp_path,
        tokenizer_config={
            "added_tokens_decoder": {
                "9": {"content": "<x>", **stated, "special": False},
                "5": {"content": "<y>", "special": True},
            }
        },
        added_tokens={"<x>": 9},
    )
    assert found.added == (
        END,
        Added("<y>", 5, special=True),
        Added("<x>", 9, special=False, **stated),
    )


@pytest.mark.parametrize(("value", "expected"), [(True, True), (False, False), (None, False)])
def test_a_space_goes_in_front_if_that_is_stated(
    value: object, expected: bool, tmp_path: Path
) -> None:
    found = read(tmp_path, tokenizer_config={"add_prefix_space": value, "model_max_length": 10**30})
    assert found.prefix_space is expected


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        (
            {"added_tokens": {"b": 5}},
            ": the id of 'b' is 5 among the added tokens, but 1 in the vocabulary",
        ),
        (
            {
                "added_tokens": {"<x>": 5},
                "tokenizer_config": {"added_tokens_decoder": {"6": {"content": "<x>"}}},
            },
            "/tokenizer_config.json: '<x>' has the id 6, but 5 in added_tokens.json",
        ),
        ({"added_tokens": {"<x>": -1}}, "/added_tokens.json: the id of '<x>': a whole number"),
        ({"added_tokens": {"<x>": 5, "<y>": 5}}, "/added_tokens.json: two tokens have the id 5"),
        ({"added_tokens": "<html>"}, "/added_tokens.json: an HTML or XML page"),
        ({"special_tokens_map": "[]"}, "/special_tokens_map.json: a JSON object expected"),
        ({"special_tokens_map": {"eos_token": 3}}, "/special_tokens_map.json: a token expected"),
        ({"special_tokens_map": {"eos_token": ""}}, "/special_tokens_map.json: a token expected"),
        ({"tokenizer_config": '{"a": 1, "a": 2}'}, "/tokenizer_config.json: not valid JSON: the"),
        (
            {"tokenizer_config": {"added_tokens_decoder": []}},
            "/tokenizer_config.json: a JSON object of tokens expected, found an array of 0",
        ),
        (
            {"tokenizer_config": {"added_tokens_decoder": {"-1": {"content": "x"}}}},
            "/tokenizer_config.json: '-1' is no id",
        ),
        (
            {"tokenizer_config": {"added_tokens_decoder": {"²": {"content": "x"}}}},
            "/tokenizer_config.json: '²' is no id",
        ),
        (
            {"tokenizer_config": {"added_tokens_decoder": {"5": {"contents": "x"}}}},
            "/tokenizer_config.json: a token expected, found an object of 1",
        ),
    ],
)
def test_what_cannot_be_so_is_refused(files: dict[str, Any], reason: str, tmp_path: Path) -> None:
    with pytest.raises(FormatError) as caught:
        read(tmp_path, **files)
    assert str(caught.value).startswith(f"{tmp_path}{reason}")


def test_a_file_that_is_there_and_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "tokenizer_config.json").mkdir()
    with pytest.raises(UnreadableError, match=r"tokenizer_config\.json: not a regular file"):
        read_beside(tmp_path, VOCABULARY)
