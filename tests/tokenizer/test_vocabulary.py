"""A vocabulary has each token and each id once; merges are of tokens, and make tokens."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
from support.tokenizer_files import train, write_pair

from gpt2_convert.errors import FormatError, SourceNotFoundError, UnreadableError
from gpt2_convert.tokenizer.vocabulary import (
    MAX_ID,
    check_merges,
    check_vocabulary,
    read_merges,
    read_vocabulary,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

READERS = pytest.mark.parametrize(
    ("read", "name"), [(read_vocabulary, "vocab.json"), (read_merges, "merges.txt")]
)


def test_what_the_library_trained_is_read_as_it_is(tmp_path: Path) -> None:
    vocabulary, merges = train()
    write_pair(tmp_path, vocabulary, merges)
    assert read_vocabulary(tmp_path / "vocab.json") == vocabulary
    assert list(read_vocabulary(tmp_path / "vocab.json")) == list(vocabulary)
    assert read_merges(tmp_path / "merges.txt") == merges
    assert len(merges) == 300 - 257


def test_ids_may_come_in_any_order_and_have_holes(tmp_path: Path) -> None:
    (tmp_path / "vocab.json").write_text('{"b": 7, "\\u0120": 16777215, "a": 0}')
    assert read_vocabulary(tmp_path / "vocab.json") == {"b": 7, "Ġ": MAX_ID, "a": 0}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{}", "a vocabulary without tokens; fetch it again"),
        ('{"a": 0, "b": 1, "c": 1}', "two tokens have the id 1: 'b' and 'c'"),
        (
            '{"a": 0, "b": -1}',
            "the id of 'b': a whole number from 0 to 16,777,215 expected, found -1",
        ),
        ('{"a": 16777216}', "the id of 'a': * found 16777216"),
        ('{"a": 1.0}', "the id of 'a': * found 1.0"),
        ('{"a": true}', "the id of 'a': * found True"),
        ('{"a": "1"}', "the id of 'a': * found '1'"),
        ('{"a": null}', "the id of 'a': * found None"),
        ('{"a": {"b": 1}}', "the id of 'a': * found an object of 1"),
        ('{"a": 1' + "0" * 5000 + "}", "the id of 'a': * found inf"),
        ('{"a": 0, "\\u0061": 1}', "not valid JSON: the key 'a' stands twice"),
        ('{"\\ud800": 0}', "not valid JSON: half a surrogate pair in '\\ud800'"),
        ('["a", "b"]', "a JSON object expected, found an array of 2"),
        ('{"a": 0', "not valid JSON: *"),
        ('{"a": ' + "[" * 100_000, "JSON nested too deeply"),
        ("<html>", "an HTML or XML page, *"),
        ("version https://git-lfs.github.com/spec/v1\n", "a git-LFS pointer, *"),
        ("Entry not found", "the Hugging Face Hub's answer *"),
        ("", "an empty file; fetch it again"),
        (" \n", "an empty file; fetch it again"),
    ],
)
def test_what_is_no_vocabulary_is_refused_in_one_line(
    text: str, reason: str, tmp_path: Path
) -> None:
    path = tmp_path / "vocab.json"
    path.write_text(text)
    with pytest.raises(FormatError) as caught:
        read_vocabulary(path)
    start, _, end = reason.partition("*")
    message = str(caught.value)
    assert message.startswith(f"{path}: {start}")
    assert message.endswith(end)
    assert len(message.splitlines()) == 1
    assert len(message) < 500


def test_no_token_of_a_message_reaches_a_terminal_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(FormatError) as caught:
        check_vocabulary({"\x1b[31m" * 10**6: -1}, "x")
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    "text", ["Ġ t\nh e\n", "#version: 0.2\r\nĠ t\r\n\r\nh e", "\nĠ t\n \nh e\n\n"]
)
def test_merges_are_lines_of_two_tokens(text: str, tmp_path: Path) -> None:
    (tmp_path / "merges.txt").write_bytes(text.encode())
    assert read_merges(tmp_path / "merges.txt") == [("Ġ", "t"), ("h", "e")]


def test_a_number_sign_is_a_token_like_others(tmp_path: Path) -> None:
    # "# #" is one of OpenAI's merges; in a list without its first line it may be the first.
    (tmp_path / "merges.txt").write_text("# #\n## ##\n#version x\n")
    assert read_merges(tmp_path / "merges.txt") == [("#", "#"), ("##", "##"), ("#version", "x")]


def test_no_line_ends_but_at_a_newline(tmp_path: Path) -> None:
    (tmp_path / "merges.txt").write_text("a\u2028 b\x85\n\u3000 c\n", encoding="utf-8")
    assert read_merges(tmp_path / "merges.txt") == [("a\u2028", "b\x85"), ("\u3000", "c")]


@pytest.mark.parametrize("line", ["abc", "a b c", "a  b", " a", "a ", "a b "])
def test_another_line_is_named_by_its_number(line: str, tmp_path: Path) -> None:
    path = tmp_path / "merges.txt"
    path.write_text(f"#version: 0.2\nx y\n{line}\nz")
    with pytest.raises(FormatError) as caught:
        read_merges(path)
    assert str(caught.value) == (
        f"{path}: line 3: two tokens with a space between expected, found {line!r}"
    )


def test_merges_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "merges.txt").write_bytes(b"a b\n\xff c\n")
    with pytest.raises(FormatError, match=r"merges\.txt: no text in UTF-8: invalid start byte$"):
        read_merges(tmp_path / "merges.txt")


@READERS
def test_a_file_that_is_too_large_is_never_read(
    read: Callable[[Path], object], name: str, tmp_path: Path
) -> None:
    with (tmp_path / name).open("wb") as file:
        file.truncate((16 << 20) + 1)
    with pytest.raises(FormatError, match="16,777,217 bytes, where at most 16,777,216 make sense"):
        read(tmp_path / name)


@READERS
def test_a_file_of_too_many_entries_is_never_taken_apart(
    read: Callable[[Path], object], name: str, tmp_path: Path
) -> None:
    # Each would take a hundred times its bytes in memory.
    separator = b"," if name == "vocab.json" else b"\n"
    (tmp_path / name).write_bytes(b"{" + separator * 1_048_577)
    with pytest.raises(FormatError, match="1,048,577 entries, where at most 1,048,576 make sense"):
        read(tmp_path / name)


@READERS
def test_what_cannot_be_read_is_named(
    read: Callable[[Path], object], name: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    with pytest.raises(SourceNotFoundError, match="no such file"):
        read(path)
    os.mkfifo(path)
    with pytest.raises(UnreadableError, match="not a regular file"):
        read(path)


def test_every_part_of_a_merge_and_what_it_makes_is_a_token() -> None:
    vocabulary: dict[str, Any] = {"a": 0, "b": 1, "ab": 2, "##b": 3}
    check_merges([("a", "b")], vocabulary, "x")
    check_merges([("a", "##b")], vocabulary, "x", "##")
    for merge, reason in (
        (("a", "c"), "'c' is no token of the vocabulary"),
        (("\x1b", "b"), r"'\x1b' is no token of the vocabulary"),
        (("b", "a"), "'ba' is no token of the vocabulary"),
    ):
        with pytest.raises(FormatError) as caught:
            check_merges([("a", "b"), merge], vocabulary, "x")
        assert str(caught.value) == f"x: merge 2, {merge[0]!r} {merge[1]!r}: {reason}"
    # The library would cut two bytes off the second.
    with pytest.raises(FormatError, match="the second does not begin with '##'"):
        check_merges([("a", "b")], {**vocabulary, "a": 0}, "x", "##")
