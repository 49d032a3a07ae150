"""Findings in a line say how many there are; as a table, each is a row of text."""

from __future__ import annotations

from support.reports import FINDINGS

from gpt2_convert.reports.findings import describe_findings, draw_findings
from gpt2_convert.reports.verification import Finding, Kind


def test_a_line_says_how_many() -> None:
    assert describe_findings(()) == "equal"
    assert describe_findings(FINDINGS[:1]) == "different (1 finding)"
    assert describe_findings(FINDINGS) == "different (3 findings)"


def test_a_table_has_a_row_each_and_no_markup_of_theirs() -> None:
    assert draw_findings(()) == ""
    hostile = Finding(Kind.EXTRA, "<script>", "a & b")
    table = draw_findings((*FINDINGS, hostile))
    assert table.count("<tr") == 1 + 4
    assert "<script" not in table
    assert "&lt;script&gt;" in table
    assert "drop=&#x27;*/Eve&#x27; would leave it out" in table
