"""Tables survive any name, and no name becomes markup; parsed by a Markdown parser."""

from __future__ import annotations

import pytest
from markdown_it import MarkdownIt
from support.hostile import NAMES, shown
from support.reports import FINDINGS, WRITTEN, conversion, verification

from gpt2_convert.errors import spell_keyword
from gpt2_convert.reports.findings import Finding, Kind
from gpt2_convert.reports.outcome import Outcome, Report
from gpt2_convert.reports.renderers import starts_as_report
from gpt2_convert.reports.renderers.markdown import MOST_BYTES, MOST_ROWS, render

HOSTILE = [
    *NAMES, "|`|", " a ", "*a* _b_ **c**", "https://b.example", "www.b.example", "a@b.example",
    "$x$", "~~a~~", ":tada:", "@someone", "",
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
    # A code span without letters cannot be empty, and a blank at both its ends is not shown.
    assert row[0].strip() == shown(name).strip()


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
    mapped = tuple((f"a{number}", "x" * 15) for number in range(16_000))
    markdown = text(conversion(mapped=mapped))
    assert len(cells(markdown)) == MOST_ROWS + 1
    assert "15,000 more" in markdown


@pytest.mark.parametrize(
    "name", ["x" * 150, "\U000e0001" * 300, "`" * 300, "|" * 300, "\U0001f600" * 300]
)
def test_a_page_of_16_000_tensors_is_within_what_the_summary_of_a_step_may_have(name: str) -> None:
    findings = tuple(Finding(Kind.VALUES, f"{name}{number}", name) for number in range(16_000))
    notes = (name,) * 16_000
    for report in (
        conversion(mapped=((name, name),) * 16_000, notes=notes),
        verification(*findings, notes=notes, not_compared=notes),
    ):
        markdown = text(report)
        assert len(markdown.encode()) < MOST_BYTES + 2000
        assert markdown.count(" more; the JSON report has them all") >= 2
        kinds = {len(row) for row in cells(markdown)}
        assert kinds <= {3, 4}


def test_the_heading_names_the_job_and_says_whose_report_it_is() -> None:
    assert text(conversion()).startswith("### ✅ `gpt2-convert job` verified: `out.npz`\n")
    assert starts_as_report(text(conversion()).encode())


def test_the_files_that_were_written_are_a_table() -> None:
    (_, row, *_) = cells(text(conversion(files=(WRITTEN,))))
    assert row == ["out.npz", "497,800,000", "5" * 64]
