"""A verification is good without findings only, and its document has each of them whole."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.documents import assert_valid
from support.reports import AGREEMENT, FINDINGS, LOSS, tolerant, verification

from gpt2_convert.cli.printer import spell_flag
from gpt2_convert.errors import spell_keyword
from gpt2_convert.reports.findings import Finding, Kind
from gpt2_convert.reports.verification import VerificationError


def test_only_without_findings_two_checkpoints_are_equal_and_the_report_true() -> None:
    assert verification().ok
    assert verification()
    for finding in FINDINGS:
        assert not verification(finding).ok
        assert not verification(finding)


def test_the_document_of_two_equal_checkpoints_has_no_findings() -> None:
    document = verification(
        loss=LOSS,
        engine="TensorFlow 2.16.1",
        notes=("a note",),
        max_abs_diff=0.5,
        compared=("wte", "wpe"),
        companions=("vocab.json",),
        not_compared=("n_head", "merges.txt"),
    ).as_json()
    assert_valid(document, "report")
    assert document == {
        "kind": "verification",
        "ok": True,
        "source": {"path": "models/124M/model.ckpt", "format": "tensorflow"},
        "target": {"path": "out.npz", "format": "npz"},
        "engine": "TensorFlow 2.16.1",
        "as_is": False,
        "tensors": 148,
        "parameters": 124_439_808,
        "bytes": 497_759_232,
        "dtype": "float32",
        "atol": 0.0,
        "rtol": 0.0,
        "max_abs_diff": 0.5,
        "compared": ["wte", "wpe"],
        "companions": ["vocab.json"],
        "not_compared": ["n_head", "merges.txt"],
        "notes": ["a note"],
        "cast": LOSS.as_json(),
        "logits": None,
        "findings": [],
    }


def test_the_document_has_every_finding_and_speaks_to_its_reader() -> None:
    document = tolerant(*FINDINGS).as_json(spell_flag)
    assert_valid(document, "report")
    assert (document["ok"], document["atol"], document["rtol"]) == (False, 1e-6, 0.001)
    assert document["cast"] is None
    assert document["findings"] == [
        {
            "kind": "values",
            "tensor": "wte",
            "message": "3 of 10 elements differ",
            "differing": 3,
            "elements": 10,
            "max_abs_diff": 0.5,
            "first_index": [0, 7],
            "map": None,
            "hint": "transposed",
        },
        {
            "kind": "extra",
            "tensor": "wte/Eve",
            "message": "not in the source",
            "hint": "--drop '*/Eve' would leave it out",
        },
        {"kind": "missing", "tensor": "wpe", "message": "not in the target"},
    ]
    hints = [finding.get("hint") for finding in tolerant(*FINDINGS).as_json()["findings"]]
    assert hints == ["transposed", "drop='*/Eve' would leave it out", None]


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_of_finding_is_in_the_schema(kind: Kind) -> None:
    finding = Finding(kind, "wte", "wrong", 1, 10, None, None)
    document = verification(finding).as_json()
    assert_valid(document, "report")
    assert ("differing" in document["findings"][0]) == (kind is Kind.VALUES)


def test_a_largest_difference_that_is_no_number_is_null() -> None:
    document = verification(max_abs_diff=None).as_json()
    assert_valid(document, "report")
    assert document["max_abs_diff"] is None


def test_the_document_of_two_models_that_were_run_has_what_they_said() -> None:
    with_text = replace(AGREEMENT, text="a.txt", perplexity_source=30.5)
    for found in (AGREEMENT, with_text):
        document = verification(logits=found, max_abs_diff=None).as_json()
        assert_valid(document, "report")
        assert document["logits"] == found.as_json()


def test_a_hint_goes_before_the_advice() -> None:
    both = replace(FINDINGS[1], hint="swapped with wpe")
    assert both.spell_hint(spell_flag) == both.spell_hint(spell_keyword) == "swapped with wpe"


def test_the_error_carries_the_report() -> None:
    report = verification(*FINDINGS)
    error = VerificationError("out.npz: differs from its source", report)
    assert error.report is report
    assert str(error) == "out.npz: differs from its source"
