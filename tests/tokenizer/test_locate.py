"""Which files are the tokenizer: of several the first kind, of none what would be one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gpt2_convert.errors import SourceNotFoundError, UnreadableError, UnsupportedError
from gpt2_convert.tokenizer.locate import Pair, TokenizerFiles, find_tokenizer

if TYPE_CHECKING:
    from pathlib import Path

OPENAI = ("encoder.json", "vocab.bpe")
HUGGINGFACE = ("vocab.json", "merges.txt")


def make(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).touch()
    return folder


def pair(folder: Path, names: tuple[str, str]) -> Pair:
    return Pair(folder / names[0], folder / names[1])


@pytest.mark.parametrize("names", [OPENAI, HUGGINGFACE])
def test_a_pair_is_found_by_its_folder_and_by_each_of_its_files(
    names: tuple[str, str], tmp_path: Path
) -> None:
    make(tmp_path, *names, "vocab.txt", "config.json")
    expected = TokenizerFiles(None, (pair(tmp_path, names),))
    assert find_tokenizer(tmp_path) == expected
    for name in names:
        assert find_tokenizer(tmp_path / name) == expected


def test_a_document_comes_first_and_the_pairs_have_to_agree_with_it(tmp_path: Path) -> None:
    make(tmp_path, "tokenizer.json", *OPENAI, *HUGGINGFACE)
    pairs = (pair(tmp_path, HUGGINGFACE), pair(tmp_path, OPENAI))
    assert find_tokenizer(tmp_path) == TokenizerFiles(tmp_path / "tokenizer.json", pairs)
    (tmp_path / "tokenizer.json").unlink()
    assert find_tokenizer(tmp_path) == TokenizerFiles(None, pairs)


def test_a_file_that_is_named_is_the_only_one(tmp_path: Path) -> None:
    make(tmp_path, "tokenizer.json", *OPENAI, *HUGGINGFACE, "my.tokenizer.json")
    for name in ("tokenizer.json", "my.tokenizer.json"):
        assert find_tokenizer(tmp_path / name) == TokenizerFiles(tmp_path / name, ())
    assert find_tokenizer(tmp_path / "vocab.bpe").pairs == (pair(tmp_path, OPENAI),)


@pytest.mark.parametrize("names", [OPENAI, HUGGINGFACE, HUGGINGFACE[::-1]])
def test_half_a_pair_is_told_what_is_missing(names: tuple[str, str], tmp_path: Path) -> None:
    make(tmp_path, names[0])
    for path in (tmp_path, tmp_path / names[0]):
        with pytest.raises(SourceNotFoundError) as caught:
            find_tokenizer(path)
        assert str(caught.value) == (
            f"{tmp_path / names[1]}: no such file; {names[0]} is of no use without it"
        )
    # It is of no concern beside a whole one.
    make(tmp_path, "tokenizer.json")
    assert find_tokenizer(tmp_path) == TokenizerFiles(tmp_path / "tokenizer.json", ())


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("vocab.txt", "a WordPiece vocabulary"),
        ("spiece.model", "a SentencePiece model"),
        ("tokenizer.model", "a SentencePiece model"),
        ("sentencepiece.bpe.model", "a SentencePiece model"),
        ("qwen.tiktoken", "a tiktoken vocabulary"),
    ],
)
def test_half_a_tokenizer_of_another_kind_is_refused_by_name(
    name: str, kind: str, tmp_path: Path
) -> None:
    make(tmp_path, name, "config.json", "model.safetensors")
    for path in (tmp_path, tmp_path / name):
        with pytest.raises(UnsupportedError) as caught:
            find_tokenizer(path)
        assert str(caught.value).startswith(f"{tmp_path / name}: {kind} without a tokenizer.json,")
        assert "transformers" in str(caught.value)
    make(tmp_path, "tokenizer.json")
    assert find_tokenizer(tmp_path).document == tmp_path / "tokenizer.json"


def test_a_folder_without_a_tokenizer_is_told_what_would_be_one(tmp_path: Path) -> None:
    make(tmp_path, "config.json", "model.safetensors", "encoder.jsonl")
    with pytest.raises(SourceNotFoundError) as caught:
        find_tokenizer(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path}: no tokenizer in it: neither tokenizer.json, nor encoder.json and vocab.bpe, "
        "nor vocab.json and merges.txt"
    )


def test_what_the_system_does_not_let_be_looked_at_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UnreadableError, match="file name too long"):
        find_tokenizer(tmp_path / ("x" * 300))
