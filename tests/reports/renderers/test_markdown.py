"""Tables survive any name, and no name becomes markup; parsed by a Markdown parser."""

from __future__ import annotations

import pytest
from markdown_it import MarkdownIt
from support.reports import FINDINGS, conversion, verification

from gpt2_convert.errors import spell_keyword
from gpt2_convert.reports.outcome import Outcome, Report
from gpt2_convert.reports.renderers.markdown import MOST_ROWS, render

HOSTILE = [
    "a|b", "`", "``a` b", "|`|", "<script>alert(1)</script>", "![x](y)", "[a](https://b)",
    "a\nb", "\x1b[31m", "\u202eabc", "\\", "\\|", " a ", "*a* _b_ **c**", "#", "https://b.example",
    "&lt;", "$x$", "~~a~~", "",
]  # fmt: skip


def text(report: Report) -> str:
    return "".join(render(Outcome("job", "0.1.0", 1.0, report), spell_keyword))


def cells(markdown: str) -> list[list[str]]:
    """Return the rows of all tables, as GitHub's parser would show them."""
    rows: list[list[str]] = []
    for token in MarkdownIt("gfm-like").parse(markdown):
        if token.type == "tr_open":
            rows.append([])
        elif token.type == "inline" and rows and token.level >= 4:
            rows[-1].append("".join(child.content for child in token.children or ()))
    return rows


@pytest.mark.parametrize("name", HOSTILE)
def test_a_table_has_its_columns_and_the_name_whatever_it_is(name: str) -> None:
    report = conversion(mapped=((name, name),))
    (head, row) = cells(text(report))
    assert len(head) == len(row) == 3
    shown = name if name.isprintable() else name.encode("unicode_escape").decode()
    # A code span without letters cannot be empty, and a blank at both its ends is not shown.
    assert row[0].strip() == shown.strip()


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_becomes_markup(name: str) -> None:
    report = verification(FINDINGS[0], not_compared=(name,), notes=(name,))
    kinds = {
        child.type
        for token in MarkdownIt("gfm-like").parse(text(report))
        for child in token.children or ()
    }
    assert kinds <= {"text", "strong_open", "strong_close", "code_inline", "softbreak"}


def test_a_long_table_is_cut_and_says_so() -> None:
    mapped = tuple((f"a{number}", "x" * 150) for number in range(16_000))
    markdown = text(conversion(mapped=mapped))
    assert len(cells(markdown)) == MOST_ROWS + 1
    assert "15,000 more" in markdown
    assert len(markdown.encode()) < 1 << 20
