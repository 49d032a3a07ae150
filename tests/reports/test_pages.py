"""A page says of a job what its text says: the verdict, what was compared, and what was not."""

from __future__ import annotations

import pytest
from support.reports import (
    AGREEMENT,
    COPIED,
    DIGESTS,
    FETCHED,
    FINDINGS,
    LOSS,
    UNUSUAL,
    conversion,
    inspection,
    refusal,
    tolerant,
    verification,
)

from gpt2_convert.errors import FormatError, spell_keyword
from gpt2_convert.reports.generation import GenerationReport
from gpt2_convert.reports.outcome import Failure, Outcome, Report
from gpt2_convert.reports.page import Mood, Page
from gpt2_convert.reports.pages import lay_out, list_against

GENERATED = GenerationReport("model", (1, 2), (3, 4), "text", "n", 0.5)


def page(report: Report | None, failure: Failure | None = None) -> Page:
    return lay_out(Outcome("job", "1.2.3", 2.0, report, failure))


def facts(report: Report) -> dict[str, str]:
    return {fact.label: fact.text for fact in page(report).facts}


@pytest.mark.parametrize(
    ("report", "verdict", "mood"),
    [
        (conversion(), "verified", Mood.GOOD),
        (conversion(verification=None), "not verified", Mood.WARNING),
        (verification(), "equal", Mood.GOOD),
        (verification(*FINDINGS), "different", Mood.BAD),
        (verification(logits=AGREEMENT), "compared", Mood.GOOD),
        (inspection(), "GPT-2", Mood.GOOD),
        (inspection(refusal=refusal(2)), "no GPT-2", Mood.WARNING),
        (inspection(errors=(FormatError("a shard is missing"),)), "damaged", Mood.BAD),
        (DIGESTS, "hashed", Mood.GOOD),
        (FETCHED, "proven", Mood.GOOD),
        (GENERATED, "generated", Mood.GOOD),
    ],
)
def test_the_verdict_is_one_word_for_each_end_of_a_job(
    report: Report, verdict: str, mood: Mood
) -> None:
    assert (page(report).verdict, page(report).mood) == (verdict, mood)


def test_every_page_names_the_program_and_the_duration() -> None:
    for report in (conversion(), verification(), inspection(), DIGESTS, FETCHED, GENERATED):
        assert facts(report)["program"] == "gpt2-convert 1.2.3, job"
        assert facts(report)["duration"] == "2.0 s"


def test_verified_is_said_of_what_was_compared() -> None:
    beside = "every bit equals the source; so do the configuration and the files beside it"
    assert facts(conversion(companions=(COPIED,)))["proof"] == beside
    assert "configuration" not in facts(conversion(config=None))["proof"]
    cast = conversion(verification=verification(loss=LOSS))
    assert "cast to float32" in facts(cast)["proof"]
    assert facts(conversion(verification=None))["proof"] == "waived (verify=False)"


def test_what_one_side_alone_has_is_named_as_not_compared() -> None:
    found = facts(verification(not_compared=("attn_pdrop",), companions=("vocab.json",)))
    assert found["not compared"] == "attn_pdrop: one side alone has it"
    what = "every bit of the weights, what both state of the configuration, vocab.json"
    assert found["compared"] == what
    assert facts(tolerant())["compared"] == "the weights, the configuration"


def test_behaviour_that_is_not_gpt2s_is_a_warning() -> None:
    (fact,) = (
        each for each in page(conversion(config=UNUSUAL)).facts if each.label == "configuration"
    )
    assert fact.mood is Mood.WARNING


def test_an_error_is_a_page_with_all_that_speaks_against_the_model() -> None:
    made = page(None, Failure("SchemaError", "no", ("a", "b")))
    assert (made.verdict, made.mood) == ("could not", Mood.BAD)
    assert made.facts[0].text == "no"
    assert [row for table in made.tables for row in table.rows] == [("a",), ("b",)]


def test_a_failed_proof_has_the_error_and_the_findings() -> None:
    made = page(verification(*FINDINGS), Failure("VerificationError", "it was discarded"))
    assert made.facts[0].text == "it was discarded"
    assert made.tables[0].title == "Findings"


def test_what_speaks_against_a_job_is_a_sentence_each() -> None:
    outcome = Outcome("verify", "1", 1, verification(*FINDINGS))
    assert list(list_against(outcome, spell_keyword)) == [
        "values: wte: 3 of 10 elements differ; transposed",
        "extra: wte/Eve: not in the source; drop='*/Eve' would leave it out",
        "missing: wpe: not in the target",
    ]
    damaged = Outcome(
        "inspect",
        "1",
        1,
        inspection(
            errors=(
                FormatError("a"),
                FormatError("b"),
            )
        ),
    )
    assert list(list_against(damaged, spell_keyword)) == ["a", "b"]
    failed = Outcome("inspect", "1", 1, None, Failure("SchemaError", "x", ("first", "second")))
    assert list(list_against(failed, spell_keyword)) == ["second"]
