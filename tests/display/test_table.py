"""Tables for notebooks: what they show is a text, whatever a file says."""

from __future__ import annotations

import pytest
from support.notebook import Table, read_tables

from gpt2_convert.display.table import MOST_LETTERS, MOST_ROWS, draw_facts, draw_rows, escape

HOSTILE = [
    "<script>alert(1)</script>",
    "</td></table><img src=x onerror=alert(1)>",
    "\" onmouseover='alert(1)'",
    "&lt;script&gt;",
    "<!-- a comment",
    "$\\href{javascript:alert(1)}{x}$",
]
UNPRINTABLE = ["\x1b]8;;http://a.example\x07", "\u202eevil", "a\nb", "\ud800", "\u2028\u0000"]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_text_is_shown_and_does_nothing(text: str) -> None:
    (facts,) = read_tables(draw_facts(text, [(text, text)]))
    assert facts == Table(text, [[text, text]])
    (rows,) = read_tables(draw_rows(text, [text, "x"], [[text, 1], [2, text]]))
    assert rows == Table(text, [[text, "x"], [text, "1"], ["2", text]])


@pytest.mark.parametrize("text", UNPRINTABLE)
def test_what_is_not_printable_is_escaped(text: str) -> None:
    (table,) = read_tables(draw_facts(text, [(text, text)]))
    assert table.caption.encode("ascii").decode("unicode_escape") == text
    assert table.rows == [[table.caption, table.caption]]


def test_names_stand_on_the_left_and_numbers_where_a_notebook_puts_them() -> None:
    html = draw_rows("x", ["name", "bytes"], [["wte", "7,808"]])
    assert '<td style="text-align: left">wte</td><td>7,808</td>' in html


def test_a_table_of_nothing_is_none() -> None:
    assert draw_rows("findings", ["kind"], []) == ""


def test_a_table_ends_where_nobody_reads_on() -> None:
    rows = [[number, "x"] for number in range(16_000)]
    (table,) = read_tables(draw_rows("tensors", ["number", "x"], rows))
    assert len(table.rows) == MOST_ROWS + 2
    assert table.rows[-2:] == [[str(MOST_ROWS - 1), "x"], [f"... and {16_000 - MOST_ROWS:,} more"]]
    (table,) = read_tables(draw_rows("tensors", ["number", "x"], rows[:MOST_ROWS]))
    assert len(table.rows) == MOST_ROWS + 1
    assert len(escape("x" * 100_000)) == MOST_LETTERS
