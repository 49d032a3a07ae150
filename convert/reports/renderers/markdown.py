"""GitHub Flavored Markdown, as the summary of a job takes it.

Names are code spans, in which nothing is markup but the pipe that ends a cell; all other text has a
backslash before every character of punctuation that could be. A long table is cut, since GitHub
refuses a summary of more than 1 MiB.

Sources: the CommonMark specification, 2.4 and 6.1; GitHub Flavored Markdown, 4.10; GitHub's limits
of job summaries.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ...quoting import clip, make_printable
from ..outcome import TOOL
from ..page import Mood
from ..pages import lay_out

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Final

    from ...errors import Spell
    from ..outcome import Outcome
    from ..page import Column, Table

MOST_ROWS: Final = 1000
"""Rows of a table: at 300 characters each, all the tables of a page stay below 1 MiB."""
_MARKS: Final = {Mood.GOOD: "✅", Mood.BAD: "❌", Mood.WARNING: "⚠️"}
_PUNCTUATION: Final = re.compile(r"""([\\`*_{}\[\]()<>#+\-!|&~$:@^="'])""")


def render(outcome: Outcome, spell: Spell) -> Iterator[str]:
    """Yield a heading, the facts as a list, and the tables, the long ones folded."""
    page = lay_out(outcome, spell)
    mark = f"{_MARKS[page.mood]} " if page.mood in _MARKS else ""
    job = _code(f"{TOOL} {outcome.command}")
    yield f"### {mark}{job} {_escape(page.verdict)}: {_code(page.title)}\n\n"
    for fact in page.facts:
        mark = f"{_MARKS[fact.mood]} " if fact.mood in (Mood.BAD, Mood.WARNING) else ""
        yield f"- {mark}**{_escape(fact.label)}** {_escape(clip_text(fact.text))}\n"
    yield "\n"
    for table in page.tables:
        yield from _render_table(table)


def _render_table(table: Table) -> Iterator[str]:
    title = f"{_escape(table.title)} ({len(table.rows):,})"
    yield f"<details>\n<summary>{title}</summary>\n\n" if table.folded else f"#### {title}\n\n"
    yield _row(_escape(column.title) for column in table.columns)
    yield _row("---:" if column.numbers else "---" for column in table.columns)
    for cells in table.rows[:MOST_ROWS]:
        pairs = zip(table.columns, cells, strict=True)
        yield _row(_cell(column, text) for column, text in pairs)
    if (left := len(table.rows) - MOST_ROWS) > 0:
        yield f"\n… and {left:,} more; the JSON report has them all\n"
    yield "\n</details>\n\n" if table.folded else "\n"


def _row(cells: Iterator[str]) -> str:
    return f"| {' | '.join(cells)} |\n"


def _cell(column: Column, text: str) -> str:
    return _code(text).replace("|", "\\|") if column.names and text else _escape(clip_text(text))


def clip_text(text: str) -> str:
    """Return ``text`` short enough for a page that people read."""
    return text if len(text) <= 2000 else f"{text[:1997]}..."


def _escape(text: str) -> str:
    return _PUNCTUATION.sub(r"\\\1", make_printable(text))


def _code(text: str) -> str:
    """Return ``text`` as a code span: between more backticks than it has in a row."""
    text = make_printable(clip(text))
    fence = "`" * (max(map(len, re.findall("`+", text)), default=0) + 1)
    pad = " " if not text or text[0] in "` " or text[-1] in "` " else ""
    return f"{fence}{pad}{text}{pad}{fence}"
