"""Lines that are broken where a terminal ends: nothing is lost, nothing stands out."""

from __future__ import annotations

import random

import pytest

from gpt2_convert.cli.wrapping import measure, wrap


def lines(text: str, width: int) -> list[str]:
    return ["".join(part for part, _ in row) for row in wrap([(text, "")], width)]


def test_what_fits_stays_as_it_is() -> None:
    assert lines("  a     b  ", 9) == ["  a     b"]
    assert lines("", 9) == [""]


def test_what_follows_a_label_stands_below_what_follows_it() -> None:
    assert lines("  hparams   n_vocab 50257, n_ctx 1024, n_embd 768", 30) == [
        "  hparams   n_vocab 50257,",
        "            n_ctx 1024, n_embd",
        "            768",
    ]
    # So does a line that goes on under a label itself.
    assert lines("            one two three", 24) == ["            one two", "            three"]


def test_without_a_label_it_is_indented() -> None:
    assert lines("out.npz  from models/124M (tensorflow)", 20) == [
        "out.npz  from",
        "    models/124M",
        "    (tensorflow)",
    ]


def test_a_column_stays_whole_where_it_can() -> None:
    assert lines("  file      a.index   5,215 bytes", 25) == [
        "  file      a.index",
        "            5,215 bytes",
    ]
    assert lines("    min -1.5  max 2  mean 1e-05", 20) == ["    min -1.5  max 2", "    mean 1e-05"]


def test_a_long_word_stands_further_left_and_is_never_broken() -> None:
    path = "models/" + "x" * 20
    assert lines(f"  file      {path}  1 byte", 32) == [
        "  file",
        f"    {path}",
        "            1 byte",
    ]
    assert lines(f"  file      {path}  1 byte", 28) == ["  file", path, "            1 byte"]
    assert lines(f"  file  {path}", 20) == ["  file", path]


def test_styles_stay_with_their_characters() -> None:
    row = [("  ", ""), ("verified", "green"), ("  every single bit of ", ""), ("it all", "bold")]
    found = list(wrap(row, 30))
    assert [[pair for pair in line if pair[0].strip()] for line in found] == [
        [("verified", "green"), ("  every single bit", "")],
        [("of ", ""), ("it all", "bold")],
    ]


@pytest.mark.parametrize("width", [20, 40, 80])
def test_no_word_is_lost_and_none_stands_out(width: int) -> None:
    draw = random.Random(width)  # noqa: S311 - no secret
    for _ in range(300):
        words = ["x" * draw.randint(1, width - 4) for _ in range(draw.randint(0, 12))]
        text = " " * draw.randint(0, 12) + "".join(
            word + " " * draw.choice((1, 1, 1, 2, 5)) for word in words
        )
        found = lines(text, width)
        assert " ".join(found).split() == text.split()
        assert all(len(line) <= width for line in found)
        assert all(line.strip() for line in found) or not words


def test_columns_are_those_of_a_terminal() -> None:
    assert measure("abc") == 3
    assert measure("\u65e5\u672c") == 4  # two wide characters
    assert measure("e\u0301") == 1  # an accent that stands on the letter before it
    assert lines("\u65e5\u672c \u65e5\u672c", 8) == ["\u65e5\u672c", "    \u65e5\u672c"]
