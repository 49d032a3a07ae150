"""The document of a generation has the ids, the text and the speed."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.documents import assert_valid

from gpt2_convert.inference.continuation import EndedBy
from gpt2_convert.reports.generation import GenerationReport

REPORT = GenerationReport(
    path="models/124M/model.ckpt",
    prompt=(15496, 11),
    ids=(995, 0, 198),
    text=" world!\n",
    ended_by="n",
    seconds=0.25,
    notes=("a note",),
)


def test_the_document_says_what_came_and_how_fast() -> None:
    document = REPORT.as_json()
    assert_valid(document, "report")
    assert document == {
        "kind": "generation",
        "ok": True,
        "path": "models/124M/model.ckpt",
        "prompt": [15496, 11],
        "ids": [995, 0, 198],
        "text": " world!\n",
        "ended_by": "n",
        "seconds": 0.25,
        "tokens_per_second": 12.0,
        "notes": ["a note"],
        "findings": [],
    }


def test_ids_alone_have_no_text() -> None:
    document = replace(REPORT, text=None, ids=()).as_json()
    assert_valid(document, "report")
    assert (document["text"], document["tokens_per_second"]) == (None, 0)


@pytest.mark.parametrize("ended_by", EndedBy)
def test_the_schema_knows_every_end(ended_by: EndedBy) -> None:
    assert_valid(replace(REPORT, ended_by=ended_by.value).as_json(), "report")


def test_no_time_at_all_is_no_division_by_zero() -> None:
    assert_valid(replace(REPORT, seconds=0.0).as_json(), "report")
