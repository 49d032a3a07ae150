"""A job that has ended is told with the program, its version and the duration."""

from __future__ import annotations

from support.documents import validator
from support.reports import FINDINGS, inspection, verification

from gpt2_convert.errors import Advice, Problem, SchemaError, TargetExistsError
from gpt2_convert.reports.outcome import Failure, Outcome, describe_error

FAILURE = Failure("TargetExistsError", "x: exists", (), Advice("{} replaces it", "force", True))


def test_a_document_begins_with_what_made_it_and_is_the_described_one() -> None:
    document = Outcome("verify", "1.2.3", 1.23456, verification()).as_json()
    assert list(document)[:5] == ["kind", "ok", "tool", "version", "duration"]
    assert (document["version"], document["duration"]) == ("1.2.3", 1.235)
    validator("report").validate(document)


def test_an_error_is_a_document_too() -> None:
    document = Outcome("verify", "1.2.3", 1, None, FAILURE).as_json()
    assert (document["error"]["option"], document["error"]["value"]) == ("force", True)
    validator("report").validate(document)


def test_a_report_of_differences_is_a_report_and_no_missing_one() -> None:
    # Reports are false where something differs.
    different = verification(*FINDINGS)
    assert not different
    outcome = Outcome("verify", "1.2.3", 1, different)
    assert outcome.as_json()["kind"] == "verification"
    assert not outcome.ok


def test_a_job_is_well_only_without_an_error() -> None:
    assert Outcome("inspect", "1", 1, inspection()).ok
    assert not Outcome("inspect", "1", 1, inspection(), FAILURE).ok
    assert not Outcome("inspect", "1", 1, None, FAILURE).ok


def test_an_error_in_words_has_all_its_problems_in_the_voice_of_the_reader() -> None:
    def spell(option: str, value: object) -> str:
        return f"<{option}>"

    problems = (Problem("a", Advice("try {}", "n_head")), Problem("b"))
    assert describe_error(SchemaError("x", problems), spell).problems == ("a; try <n_head>", "b")
    told = describe_error(TargetExistsError("x: exists", FAILURE.advice), spell)
    assert told == Failure(
        "TargetExistsError", "x: exists; <force> replaces it", (), FAILURE.advice
    )
