"""Every thing that was proven is one case, and what was found against it is that case's reasons."""

from __future__ import annotations

from dataclasses import replace

from support.reports import DIGESTS, FETCHED, FINDINGS, conversion, inspection, verification

from gpt2_convert.errors import FormatError, spell_keyword
from gpt2_convert.reports.cases import Became, Case, list_cases
from gpt2_convert.reports.fetch import Proof
from gpt2_convert.reports.findings import Finding, Kind
from gpt2_convert.reports.outcome import Failure, Outcome, Report


def cases(report: Report | None, failure: Failure | None = None) -> list[Case]:
    return [*list_cases(Outcome("job", "0.1.0", 1.0, report, failure), spell_keyword)]


def test_a_tensor_is_in_the_place_where_it_was_compared() -> None:
    found = cases(verification(*FINDINGS, compared=("ln_f.g", "wte", "ln_f.b")))
    assert [(case.name, case.became) for case in found] == [
        ("ln_f.g", Became.HELD),
        ("wte", Became.FAILED),
        ("ln_f.b", Became.HELD),
        ("wte/Eve", Became.FAILED),
        ("wpe", Became.FAILED),
        ("configuration", Became.HELD),
    ]


def test_a_finding_of_no_tensor_is_no_tensor_s() -> None:
    findings = (
        Finding(Kind.CONFIG, "wte", "1 here, 2 there"),
        Finding(Kind.COMPANION, "merges.txt", "differs"),
    )
    found = cases(verification(*findings, compared=("wte",), companions=("merges.txt", "a")))
    assert [(case.group, case.name, case.became) for case in found] == [
        ("tensors", "wte", Became.HELD),
        ("configuration", "wte", Became.FAILED),
        ("files", "merges.txt", Became.FAILED),
        ("files", "a", Became.HELD),
    ]


def test_an_error_is_the_job_s_and_findings_stand_beside_it() -> None:
    (only,) = cases(None, Failure("SchemaError", "first", ("first", "second")))
    assert only == Case("job", "job", Became.ERROR, ("first", "second"))
    first, *others = cases(verification(*FINDINGS), Failure("VerificationError", "discarded"))
    assert first == Case("job", "job", Became.ERROR, ("discarded",))
    assert [case.became for case in others] == [Became.FAILED] * 3 + [Became.HELD]


def test_what_was_waived_is_skipped() -> None:
    assert {case.became for case in cases(conversion(verification=None))} == {Became.SKIPPED}
    assert cases(conversion(verification=None))[0].reasons == ("not verified (verify=False)",)


def test_a_digest_has_a_case_a_tensor_and_a_check_those_that_changed() -> None:
    changed = replace(DIGESTS, findings=(Finding(Kind.VALUES, "ln_f.g", "its values differ"),))
    found = {case.name: case.became for case in cases(changed)}
    assert found == {
        "wte": Became.HELD,
        "ln_f.g": Became.FAILED,
        "scalar": Became.HELD,
        "configuration": Became.HELD,
    }


def test_a_file_that_only_its_size_proves_is_not_proven() -> None:
    config, weights = FETCHED.files
    report = replace(FETCHED, files=(replace(config, proof=Proof.SIZE), weights))
    found = [(case.name, case.became) for case in cases(report)]
    assert found == [("config.json", Became.SKIPPED), ("model.safetensors", Became.HELD)]


def test_an_inspection_is_one_case() -> None:
    (case,) = cases(inspection(errors=(FormatError("a"), FormatError("b"))))
    assert case == Case("job", "job", Became.FAILED, ("a", "b"))
