"""Sentences are right in number, and name what says so."""

from __future__ import annotations

import pytest
from support.reports import UNUSUAL

from gpt2_convert.reports.summary import Totals
from gpt2_convert.reports.words import count_files, describe_behaviour, describe_totals


@pytest.mark.parametrize(
    ("totals", "text"),
    [
        (Totals(1, 1, 4, "float32"), "1 tensor, 1 parameter, 4 bytes, float32"),
        (Totals(2, 1_000, 2_000, "mixed"), "2 tensors, 1,000 parameters, 2,000 bytes, mixed"),
    ],
)
def test_one_tensor_is_no_tensors(totals: Totals, text: str) -> None:
    assert describe_totals(totals) == text


def test_one_file_is_no_files() -> None:
    assert count_files(["a"]) == "1 file beside it"
    assert count_files(["a"] * 1200) == "1,200 files beside it"


def test_behaviour_other_than_gpt2s_is_named_with_what_states_it() -> None:
    described = describe_behaviour(UNUSUAL)
    assert described is not None
    text, places = described
    assert "activation_function relu" in text
    assert "scale_attn_weights false" in text
    assert "a/config.json" in places
