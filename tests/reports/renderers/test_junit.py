"""A suite of cases that CI servers count; its XML is well formed whatever a name is."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from support.reports import FINDINGS, conversion, inspection, verification

from gpt2_convert.checkpoint.collection import Dropped
from gpt2_convert.errors import FormatError, spell_keyword
from gpt2_convert.reports.outcome import Failure, Outcome, Report
from gpt2_convert.reports.renderers.junit import render


def suite(report: Report | None, failure: Failure | None = None) -> ElementTree.Element:
    text = "".join(render(Outcome("verify", "0.1.0", 1.5, report, failure), spell_keyword))
    (found,) = ElementTree.fromstring(text.encode())  # noqa: S314 - our own
    return found


def counts(found: ElementTree.Element) -> tuple[str, ...]:
    return tuple(found.attrib[key] for key in ("tests", "failures", "errors", "skipped"))


@pytest.mark.parametrize(
    ("report", "failure", "expected"),
    [
        (conversion(dropped=(Dropped("step", "x"),)), None, ("3", "0", "0", "1")),
        (conversion(verification=None), None, ("2", "0", "0", "2")),
        (verification(), None, ("1", "0", "0", "0")),
        (verification(*FINDINGS), None, ("3", "3", "0", "0")),
        (inspection(errors=(FormatError("a"),)), None, ("1", "1", "0", "0")),
        (None, Failure("FormatError", "x"), ("1", "0", "1", "0")),
    ],
)
def test_the_counts_are_those_of_the_cases(
    report: Report | None, failure: Failure | None, expected: tuple[str, ...]
) -> None:
    found = suite(report, failure)
    assert counts(found) == expected
    children = [child.tag for case in found.iter("testcase") for child in case]
    told = tuple(str(children.count(tag)) for tag in ("failure", "error", "skipped"))
    assert told == expected[1:]
    assert len(list(found.iter("testcase"))) == int(expected[0])


@pytest.mark.parametrize(
    "name", ["<script>", "a\nb", "\x1b[31m", "\x00", "\ufffe", "'\"&", "\udcff"]
)
def test_a_name_that_xml_cannot_hold_is_written_as_in_messages(name: str) -> None:
    found = suite(conversion(mapped=((name, name),)))
    (case,) = found.iter("testcase")
    shown = name if name.isprintable() else name.encode("unicode_escape", "surrogatepass").decode()
    assert case.attrib["name"] == shown
