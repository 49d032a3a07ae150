"""A tokenizer.json is looked at for what the library would take without a word, or break on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from support.tokenizer_files import alphabet, train
from tokenizers import AddedToken, Tokenizer, models

from gpt2_convert.errors import FormatError, SourceNotFoundError
from gpt2_convert.tokenizer.document import read_document

if TYPE_CHECKING:
    from pathlib import Path


def bpe(**fields: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return the document of a small BPE, by the library, with other fields of its model."""
    tokenizer = Tokenizer(models.BPE({"a": 0, "b": 1, "ab": 5}, [("a", "b")]))
    document: dict[str, Any] = json.loads(tokenizer.to_str())
    document["model"] |= fields
    return document


def write(folder: Path, document: object) -> Path:
    path = folder / "tokenizer.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def test_what_the_library_writes_is_read_as_it_is(tmp_path: Path) -> None:
    vocabulary, merges = train()
    tokenizer = Tokenizer(models.BPE(vocabulary, merges))
    tokenizer.add_special_tokens(["<pad>", "<|endoftext|>"])
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    found = read_document(tmp_path / "tokenizer.json")
    assert found.merges == tuple(merges)
    assert found.added == {"<pad>": len(vocabulary), "<|endoftext|>": vocabulary["<|endoftext|>"]}
    assert found.text == (tmp_path / "tokenizer.json").read_bytes()


@pytest.mark.parametrize(
    "model",
    [
        models.WordPiece({"[UNK]": 0, "a": 1}, unk_token="[UNK]"),  # noqa: S106
        models.WordLevel({"[UNK]": 0, "a": 1}, unk_token="[UNK]"),  # noqa: S106
        models.Unigram([("<unk>", 0.0), ("a", -1.0)], 0),
    ],
)
def test_tokenizers_of_other_kinds_have_no_merges(model: models.Model, tmp_path: Path) -> None:
    Tokenizer(model).save(str(tmp_path / "x.json"))
    assert read_document(tmp_path / "x.json").merges is None


def test_merges_may_be_texts_as_older_documents_have_them(tmp_path: Path) -> None:
    path = write(tmp_path, bpe(merges=["a b"]))
    assert read_document(path).merges == (("a", "b"),)


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ({"version": "1.0"}, "no tokenizer: there is no 'model' in it"),
        ({"a": 0, "b": 1}, "no tokenizer: there is no 'model' in it"),
        ({"model": []}, "no tokenizer: there is no 'model' in it"),
        (bpe(vocab={}), "a vocabulary without tokens; fetch it again"),
        (bpe(vocab={"a": 0, "b": 0, "ab": 5}), "two tokens have the id 0: 'a' and 'b'"),
        (bpe(vocab={"a": 0, "b": -1}), "the id of 'b': a whole number"),
        (bpe(merges=[["a", "c"]]), "merge 1, 'a' 'c': 'c' is no token of the vocabulary"),
        (bpe(merges=[["b", "a"]]), "merge 1, 'b' 'a': 'ba' is no token of the vocabulary"),
        (bpe(merges=[["a", "b", "a"]]), "merge 1: two tokens expected, found an array of 3"),
        (bpe(merges=["a b", "a  b"]), "merge 2: two tokens expected, found 'a  b'"),
        (bpe(merges=[["a", 3]]), "merge 1: two tokens expected, found an array of 2"),
        (bpe(merges=[{}]), "merge 1: two tokens expected, found an object of 0"),
        (bpe(continuing_subword_prefix="##"), "merge 1, 'a' 'b': the second does not begin with"),
        (bpe() | {"added_tokens": [{"id": 1}]}, "an added token expected, found an object of 1"),
        (bpe() | {"added_tokens": ["x"]}, "an added token expected, found 'x'"),
        (
            bpe() | {"added_tokens": [{"id": True, "content": "x"}]},
            "an added token expected, found an object of 2",
        ),
        (
            bpe() | {"added_tokens": [{"id": 1, "content": "x"}]},
            "two tokens have the id 1: 'b' and 'x'",
        ),
        (
            bpe() | {"decoder": {"type": "Strip", "content": " ", "start": 0, "stop": 1}},
            "decoder: Strip: it cannot take characters from the end",
        ),
    ],
)
def test_what_is_no_tokenizer_is_refused_in_one_line(
    document: object, reason: str, tmp_path: Path
) -> None:
    path = write(tmp_path, document)
    with pytest.raises(FormatError) as caught:
        read_document(path)
    assert str(caught.value).startswith(f"{path}: {reason}")
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"<!doctype html>", "an HTML or XML page"),
        (b"", "an empty file; fetch it again"),
        (
            b"PK\x03\x04",
            r"a tokenizer.json or the folder of one expected, found a file that starts",
        ),
        (b'{"model": {', "not valid JSON"),
        (b'{"model": {"vocab": {"a": 0, "a": 1}}}', "not valid JSON: the key 'a' stands twice"),
        (b'{"model": ' + b"[" * 100_000, "JSON nested too deeply"),
        (b'{"model": ' + b"[" * 100 + b"]" * 100 + b"}", "JSON nested too deeply"),
        (b'{"model": "\xff"}', "not valid JSON: 'utf-8' codec"),
    ],
)
def test_other_bytes_are_told_for_what_they_are(text: bytes, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_bytes(text)
    with pytest.raises(FormatError) as caught:
        read_document(path)
    assert str(caught.value).startswith(f"{path}: {reason}")


def test_a_document_that_is_too_large_is_never_read(tmp_path: Path) -> None:
    with (tmp_path / "model.npz").open("wb") as file:
        file.truncate((32 << 20) + 1)
    with pytest.raises(FormatError, match="33,554,433 bytes, where at most 33,554,432 make sense"):
        read_document(tmp_path / "model.npz")
    with pytest.raises(SourceNotFoundError, match="no such file"):
        read_document(tmp_path / "nothing")


def test_the_library_takes_without_a_word_what_is_refused_here() -> None:
    # Which is why it is looked at: an added token gets another's id where the ids have holes.
    tokenizer = Tokenizer(models.BPE({"a": 0, "b": 2}, []))
    tokenizer.add_tokens([AddedToken("x")])
    assert tokenizer.encode("xb").ids == [2, 2]
    assert Tokenizer(models.BPE(dict.fromkeys(alphabet(), 0), [])).encode("ab").ids == [0, 0]
