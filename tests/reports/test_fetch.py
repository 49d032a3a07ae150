"""The report of a fetch: what proves each file, and whether that proves where it is from."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.documents import assert_valid
from support.reports import FETCHED

from gpt2_convert.reports.fetch import Proof

DOCUMENT = {
    "kind": "fetch",
    "ok": True,
    "name": "openai-community/gpt2",
    "path": "models/gpt2",
    "format": "safetensors",
    "address": "https://huggingface.co/openai-community/gpt2",
    "commit": "6" * 40,
    "origin_proven": True,
    "files": [
        {
            "name": "config.json",
            "bytes": 665,
            "sha256": "1" * 64,
            "proof": "stated",
            "fetched": False,
        },
        {
            "name": "model.safetensors",
            "bytes": 548_105_171,
            "sha256": "2" * 64,
            "proof": "published",
            "fetched": True,
        },
    ],
    "fetched_bytes": 548_105_171,
    "tensors": 148,
    "parameters": 124_439_808,
    "bytes": 497_759_232,
    "dtype": "float32",
    "notes": ["'vocab.json' numbers tokens up to 60,000, but n_vocab is 50,257"],
    "findings": [],
}


def test_the_document_has_all_that_the_report_has() -> None:
    assert FETCHED.as_json() == DOCUMENT
    assert_valid(FETCHED.as_json(), "report")


def test_a_report_is_true_since_there_is_none_of_what_is_not_proven() -> None:
    assert FETCHED
    assert FETCHED.ok


@pytest.mark.parametrize("proof", Proof)
def test_only_a_digest_from_elsewhere_proves_an_origin(proof: Proof) -> None:
    files = (FETCHED.files[0], replace(FETCHED.files[1], proof=proof))
    report = replace(FETCHED, files=files)
    proven = proof in (Proof.PUBLISHED, Proof.STATED)
    assert proof.origin is proven
    assert report.unproven == (() if proven else files[1:])
    assert report.as_json()["origin_proven"] is proven
    assert_valid(report.as_json(), "report")
