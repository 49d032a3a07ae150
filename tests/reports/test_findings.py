"""Findings in a line say how many there are; as a table, each is a row of text."""

from __future__ import annotations

from dataclasses import replace

from support.reports import FINDINGS

from gpt2_convert.reports.findings import Finding, Kind, describe_findings, draw_findings


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


def test_a_finding_is_one_line_without_the_numbers_of_its_picture() -> None:
    hostile = replace(FINDINGS[0], tensor="\x1b[31m" + "x" * 500, message="a\nb")
    assert repr(FINDINGS[2]) == "<Finding missing wpe: not in the target>"
    assert repr(hostile).isprintable()
    assert len(repr(hostile)) < 250
