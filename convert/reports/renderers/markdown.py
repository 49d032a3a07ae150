"""GitHub Flavored Markdown, as the summary of a job takes it.

Names are code spans, in which nothing is markup but the pipe that ends a cell; all other text has a
backslash before every character of punctuation that could be. What is long is cut, since GitHub
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
    from collections.abc import Iterable, Iterator
    from typing import Final

    from ...errors import Spell
    from ..outcome import Outcome
    from ..page import Column, Fact, Table

MOST_BYTES: Final = 500_000
"""Bytes of a page: two of them fit into the 1 MiB that the summary of a step may have."""
MOST_ROWS: Final = 1000
"""Rows of a table: more than anybody reads."""
_LONGEST: Final = 2000
"""Characters of a text: more than a sentence of ours has, but for the names in it."""
_MARKS: Final = {Mood.GOOD: "✅", Mood.BAD: "❌", Mood.WARNING: "⚠️"}
_PUNCTUATION: Final = re.compile(r"""([\\`*_{}\[\]()<>#+\-!|&~$:@^="'])""")


def render(outcome: Outcome, spell: Spell) -> Iterator[str]:
    """Yield a heading, the facts as a list, and the tables, the long ones folded."""
    page = lay_out(outcome, spell)
    mark = f"{_MARKS[page.mood]} " if page.mood in _MARKS else ""
    job = _code(f"{TOOL} {outcome.command}")
    yield f"### {mark}{job} {_escape(page.verdict)}: {_code(page.title)}\n\n"
    left = MOST_BYTES
    facts = [*_cut(map(_render_fact, page.facts), left // 2, len(page.facts))]
    yield from facts
    yield "\n"
    left -= _count(facts)
    for table in page.tables:
        text = [*_render_table(table, left // 2)]
        yield from text
        left -= _count(text)


def _render_fact(fact: Fact) -> str:
    mark = f"{_MARKS[fact.mood]} " if fact.mood in (Mood.BAD, Mood.WARNING) else ""
    return f"- {mark}**{_escape(fact.label)}** {_escape(_clip(fact.text))}\n"


def _render_table(table: Table, most: int) -> Iterator[str]:
    title = f"{_escape(table.title)} ({len(table.rows):,})"
    yield f"<details>\n<summary>{title}</summary>\n\n" if table.folded else f"#### {title}\n\n"
    yield _row(_escape(column.title) for column in table.columns)
    yield _row("---:" if column.numbers else "---" for column in table.columns)
    rows = (
        _row(_cell(column, text) for column, text in zip(table.columns, cells, strict=True))
        for cells in table.rows[:MOST_ROWS]
    )
    yield from _cut(rows, most, len(table.rows))
    yield "\n</details>\n\n" if table.folded else "\n"


def _cut(texts: Iterable[str], most: int, count: int) -> Iterator[str]:
    """Yield as many of ``count`` texts as have at most so many bytes, and how many are left."""
    shown = 0
    for text in texts:
        most -= len(text.encode("utf-8", "backslashreplace"))
        if most < 0:
            break
        yield text
        shown += 1
    if left := count - shown:
        yield f"\n… and {left:,} more; the JSON report has them all\n"


def _count(texts: list[str]) -> int:
    return sum(len(text.encode("utf-8", "backslashreplace")) for text in texts)


def _row(cells: Iterator[str]) -> str:
    return f"| {' | '.join(cells)} |\n"


def _cell(column: Column, text: str) -> str:
    return _code(text).replace("|", "\\|") if column.names and text else _escape(_clip(text))


def _clip(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def _escape(text: str) -> str:
    return _PUNCTUATION.sub(r"\\\1", make_printable(text))


def _code(text: str) -> str:
    """Return ``text`` as a code span: between more backticks than it has in a row."""
    text = make_printable(clip(text))
    fence = "`" * (max(map(len, re.findall("`+", text)), default=0) + 1)
    pad = " " if not text or text[0] in "` " or text[-1] in "` " else ""
    return f"{fence}{pad}{text}{pad}{fence}"
