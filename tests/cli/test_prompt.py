"""A prompt is what was typed, or what stdin has; ids are whole numbers and nothing else."""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING

import pytest

from gpt2_convert.cli.prompt import parse_ids, read_prompt
from gpt2_convert.errors import UnreadableError, UsageError

if TYPE_CHECKING:
    from pathlib import Path


def type_in(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))


@pytest.mark.parametrize("text", ["", "a b", "--", " - ", "a\n"])
def test_a_prompt_is_what_was_typed(text: str) -> None:
    assert read_prompt(text) == text


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"a b", "a b"),
        (b"a b\n", "a b"),
        (b"a\n\n", "a\n"),
        (b"", ""),
        ("重み\r\n".encode(), "重み\r"),
    ],
)
def test_a_dash_stands_for_stdin_without_its_last_newline(
    data: bytes, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    type_in(monkeypatch, data)
    assert read_prompt("-") == text


def test_what_is_no_text_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    type_in(monkeypatch, b"ab\xffc")
    with pytest.raises(UsageError) as caught:
        read_prompt("-")
    assert str(caught.value) == "stdin: no UTF-8 text: byte 0xff at 2"
    type_in(monkeypatch, bytes((16 << 20) + 1))
    with pytest.raises(UsageError, match="stdin: more than 16,777,216 bytes are no prompt"):
        read_prompt("-")


def test_a_stdin_that_cannot_be_read_is_an_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(UsageError, match="stdin is closed"):
        read_prompt("-")
    with open(tmp_path / "write-only", "w") as file:
        wrong = io.TextIOWrapper(io.BufferedReader(io.FileIO(file.fileno(), closefd=False)))
    monkeypatch.setattr(sys, "stdin", wrong)
    with pytest.raises(UnreadableError, match="stdin: bad file descriptor"):
        read_prompt("-")


def test_ids_are_numbers_with_spaces_between() -> None:
    assert parse_ids(" 0 50256\t7\n 12 ") == [0, 50256, 7, 12]
    assert parse_ids("") == []
    assert parse_ids("007") == [7]


@pytest.mark.parametrize("word", ["x", "-1", "+1", "1.0", "1_000", "1,2", "٣", "1e3", "9" * 20])
def test_what_is_no_whole_number_is_no_id(word: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_ids(f"5 {word} 6")
    assert str(caught.value) == f"the prompt: an id is a whole number, found {word!r}"
