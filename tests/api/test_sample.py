"""The tokens of a comparison are the start of a text, or drawn, and what makes none is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

import gpt2_convert
from gpt2_convert.api.sample import Sample
from gpt2_convert.compare.logits import draw_ids

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gpt2_convert import Checkpoint


class Words:
    """A tokenizer of a token a word, of which only the length counts."""

    def __init__(self) -> None:
        self.encoded: list[int] = []

    def encode(self, text: str) -> list[int]:
        self.encoded.append(len(text))
        return [len(word) for word in text.split(" ")]


@pytest.fixture
def checkpoint(tiny: Path) -> Iterator[Checkpoint]:
    with gpt2_convert.open(tiny) as opened:
        yield opened


@pytest.fixture
def words(monkeypatch: pytest.MonkeyPatch) -> Words:
    encoder = Words()
    monkeypatch.setattr(Sample, "_load_encoder", lambda self, checkpoint: encoder)
    return encoder


def write(folder: Path, text: str) -> Path:
    path = folder / "text.txt"
    path.write_text(text, encoding="utf-8")
    return path


def test_without_a_text_tokens_are_drawn_from_the_vocabulary(checkpoint: Checkpoint) -> None:
    np.testing.assert_array_equal(Sample().read(checkpoint), draw_ids(61, 1024))
    np.testing.assert_array_equal(Sample(count=7).read(checkpoint), draw_ids(61, 7))


def test_the_tokens_of_a_text_are_its_first_ones(
    checkpoint: Checkpoint, words: Words, tmp_path: Path
) -> None:
    path = write(tmp_path, "one three 重み five\n")
    assert Sample(path).read(checkpoint) == [3, 5, 2, 5]
    assert Sample(str(path), count=2).read(checkpoint) == [3, 5]


@pytest.mark.parametrize("word", ["a", "abcdefghijklmnopqrstuvwxyz"])
def test_of_a_long_text_only_the_start_is_encoded(
    word: str, checkpoint: Checkpoint, words: Words, tmp_path: Path
) -> None:
    path = write(tmp_path, " ".join([word] * 100_000))
    assert Sample(path, count=100).read(checkpoint) == [len(word)] * 100
    assert max(words.encoded) < 10_000


def test_a_text_of_one_token_is_read_to_its_end(
    checkpoint: Checkpoint, words: Words, tmp_path: Path
) -> None:
    assert Sample(write(tmp_path, "a" * 5000), count=1).read(checkpoint) == [5000]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "there is no text in it"),
        (b"abc\xff", "no UTF-8 text: invalid start byte at 3"),
        ("abcä".encode()[:-1], "no UTF-8 text: unexpected end of data at 3"),
    ],
)
def test_what_is_no_text_is_refused(
    content: bytes, message: str, checkpoint: Checkpoint, words: Words, tmp_path: Path
) -> None:
    (tmp_path / "text.txt").write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        Sample(tmp_path / "text.txt").read(checkpoint)
    assert isinstance(caught.value, gpt2_convert.Gpt2ConvertError)
    assert str(caught.value).startswith(str(tmp_path / "text.txt"))


@pytest.mark.parametrize("letter", ["a", "ä", "重", "🎉"])
def test_a_letter_is_read_whole_wherever_the_part_ends(
    letter: str, checkpoint: Checkpoint, words: Words, tmp_path: Path
) -> None:
    for before in range(4):
        text = "x" * before + f"{letter} " * 1000
        path = write(tmp_path, text)
        assert Sample(path, count=10).read(checkpoint) == [before + 1, *([1] * 9)]


def test_what_comes_after_the_tokens_is_not_read(
    checkpoint: Checkpoint, words: Words, tmp_path: Path
) -> None:
    (tmp_path / "text.txt").write_bytes(b"a " * 10_000 + b"\xff")
    assert Sample(tmp_path / "text.txt", count=10).read(checkpoint) == [1] * 10
    with pytest.raises(gpt2_convert.FormatError, match="no UTF-8 text: invalid start byte"):
        Sample(tmp_path / "text.txt", count=10_000).read(checkpoint)


def test_a_text_that_is_not_there_is_an_error(checkpoint: Checkpoint, tmp_path: Path) -> None:
    with pytest.raises(gpt2_convert.SourceNotFoundError):
        Sample(tmp_path / "absent").read(checkpoint)


def test_no_tokens_and_a_tokenizer_for_nothing_are_misuse() -> None:
    with pytest.raises(gpt2_convert.UsageError, match="tokens: at least one expected, found 0"):
        Sample(count=0)
    with pytest.raises(gpt2_convert.UsageError) as caught:
        Sample(tokenizer="a")
    assert str(caught.value) == (
        "a tokenizer is for a text, and there is none; name one with text=..."
    )
