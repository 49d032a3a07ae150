"""A suite of cases that CI servers count, valid by the schema of Jenkins, whatever a name is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from lxml import etree
from support.hostile import NAMES, shown
from support.reports import (
    AGREEMENT,
    COPIED,
    DIGESTS,
    FETCHED,
    FINDINGS,
    LEFT,
    WRITTEN,
    conversion,
    inspection,
    verification,
)

from gpt2_convert.checkpoint.collection import Dropped
from gpt2_convert.errors import FormatError, spell_keyword
from gpt2_convert.reports.findings import Finding, Kind
from gpt2_convert.reports.generation import GenerationReport
from gpt2_convert.reports.outcome import Failure, Outcome, Report
from gpt2_convert.reports.renderers.junit import render

if TYPE_CHECKING:
    from typing import Any

FOLDER = Path(__file__).parents[2] / "support" / "schemas"
SCHEMA = etree.XMLSchema(file=str(FOLDER / "junit-10.xsd"))
COUNTS = ("tests", "failures", "errors", "skipped")
DISCARDED = Failure("VerificationError", "out.npz: was discarded")
GENERATED = GenerationReport("model", (1, 2), (3, 4), "text", "n", 0.5)


def suite(report: Report | None, failure: Failure | None = None) -> Any:  # noqa: ANN401
    """Return the one suite, which is what the schema says."""
    text = "".join(render(Outcome("verify", "0.1.0", 1.5, report, failure), spell_keyword))
    whole = etree.fromstring(text.encode())
    SCHEMA.assertValid(whole)
    (found,) = whole
    return found


@pytest.mark.parametrize(
    ("report", "failure", "expected"),
    [
        (conversion(dropped=(Dropped("step", "x"),)), None, ("4", "0", "0", "1")),
        (conversion(companions=(COPIED,), left=LEFT, files=(WRITTEN,)), None, ("6", "0", "0", "2")),
        (conversion(verification=None), None, ("3", "0", "0", "3")),
        (conversion(config=None), None, ("2", "0", "0", "0")),
        (verification(compared=("wte", "wpe")), None, ("3", "0", "0", "0")),
        (verification(*FINDINGS, compared=("wte", "ln_f.g")), None, ("5", "3", "0", "0")),
        (verification(*FINDINGS, compared=("wte",)), DISCARDED, ("5", "3", "1", "0")),
        (verification(logits=AGREEMENT), None, ("1", "0", "0", "0")),
        (verification(not_compared=("a",), companions=("b",)), None, ("3", "0", "0", "1")),
        (inspection(errors=(FormatError("a"), FormatError("b"))), None, ("1", "1", "0", "0")),
        (DIGESTS, None, ("4", "0", "0", "0")),
        (FETCHED, None, ("2", "0", "0", "0")),
        (GENERATED, None, ("1", "0", "0", "0")),
        (None, Failure("FormatError", "x"), ("1", "0", "1", "0")),
    ],
)
def test_the_counts_are_those_of_the_cases(
    report: Report | None, failure: Failure | None, expected: tuple[str, ...]
) -> None:
    found = suite(report, failure)
    assert (
        tuple(found.attrib[key] for key in ("tests", "failures", "errors", "skipped")) == expected
    )
    children = [child.tag for case in found.iter("testcase") for child in case]
    told = tuple(str(children.count(tag)) for tag in ("failure", "error", "skipped"))
    assert told == expected[1:]
    cases = [(case.get("classname"), case.get("name")) for case in found.iter("testcase")]
    assert len(set(cases)) == len(cases) == int(expected[0])


def test_what_differs_fails_under_the_tensor_s_own_name_and_says_why_as_text() -> None:
    again = Finding(Kind.DUPLICATE, "wte", "it stands twice")
    found = suite(verification(FINDINGS[0], again, compared=("wpe", "wte")))
    cases = {case.get("name"): case for case in found.iter("testcase")}
    assert list(cases) == ["wpe", "wte", "configuration"]
    assert not len(cases["wpe"])
    (failure,) = cases["wte"]
    lines = ["values: wte: 3 of 10 elements differ; transposed", "duplicate: wte: it stands twice"]
    assert failure.text == "\n".join(lines)
    assert failure.get("message") == "; ".join(lines)
    assert cases["wte"].get("classname") == "models/124M/model.ckpt and out.npz tensors"


def test_sums_and_facts_are_properties() -> None:
    found = suite(conversion(files=(WRITTEN,)))
    properties = {each.get("name"): each.get("value") for each in found.iter("property")}
    assert properties["SHA-256 of out.npz"] == "5" * 64
    assert properties["program"] == "gpt2-convert 0.1.0, verify"


@pytest.mark.parametrize("name", NAMES)
def test_a_hostile_name_is_a_name_and_no_markup(name: str) -> None:
    findings = (Finding(Kind.VALUES, name, name), Finding(Kind.COMPANION, name, name))
    found = suite(verification(*findings, compared=(name, "wte"), notes=(name,)))
    (failed, *_) = found.iter("testcase")
    assert failed.get("name") == shown(name)
    (failure,) = failed
    assert failure.text == f"values: {shown(name)}: {shown(name)}"
    assert {each.tag for each in found.iter()} == {
        "testsuite", "properties", "property", "testcase", "failure",
    }  # fmt: skip


def test_the_schema_sees_what_is_wrong() -> None:
    wrong = etree.fromstring("<testsuites name='a' tests='1' failures='0' errors='0' skipped='0'/>")
    assert not SCHEMA.validate(wrong)
