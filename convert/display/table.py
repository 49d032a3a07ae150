"""Tables for notebooks: plain HTML, dressed by the page's own style; nothing of a file runs in it.

Every text is escaped, whatever it is of. A notebook would also take dollar signs for formulas, in
which links can be written: the classes keep MathJax out. It also sets all cells to the right, where
numbers belong and names are hard to read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .line import show_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Final

MOST_ROWS: Final = 200
"""Rows that are drawn; the largest GPT-2 has 580 tensors, and a checkpoint may have 16,000."""
MOST_LETTERS: Final = 1000
"""Characters of a cell."""
_LEFT: Final = ' style="text-align: left"'
_START: Final = '<table class="tex2jax_ignore mathjax_ignore">'


def draw_facts(caption: str, facts: Iterable[tuple[str, str]]) -> str:
    """Return a table of two columns, what it is and what is to be said of it."""
    rows = "".join(
        f'<tr><th scope="row"{_LEFT}>{escape(name)}</th><td{_LEFT}>{escape(text)}</td></tr>'
        for name, text in facts
    )
    return f"{_start(caption)}<tbody>{rows}</tbody></table>"


def draw_rows(caption: str, header: Sequence[str], rows: Sequence[Iterable[object]]) -> str:
    """Return a table with a header, of the first MOST_ROWS rows; nothing where there are none."""
    if not rows:
        return ""
    head = "".join(f'<th scope="col"{_LEFT}>{escape(name)}</th>' for name in header)
    body = "".join(f"<tr>{''.join(map(_draw_cell, row))}</tr>" for row in rows[:MOST_ROWS])
    if len(rows) > MOST_ROWS:
        body += f'<tr><td colspan="{len(header)}">... and {len(rows) - MOST_ROWS:,} more</td></tr>'
    return f"{_start(caption)}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _start(caption: str) -> str:
    return f"{_START}<caption{_LEFT}>{escape(caption)}</caption>"


def _draw_cell(cell: object) -> str:
    text = str(cell)
    is_number = text.isascii() and text.replace(",", "").isdigit()
    return f"<td{'' if is_number else _LEFT}>{escape(text)}</td>"


def escape(text: str) -> str:
    """Return a text as HTML that shows it, on one line."""
    from html import escape as escape_html  # which brings a table of all entities

    return escape_html(show_text(text, MOST_LETTERS))
