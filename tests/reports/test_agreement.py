"""An agreement is a few lines: each says what it is of, and the numbers."""

from __future__ import annotations

from dataclasses import replace

from support.reports import AGREEMENT

from gpt2_convert.reports.agreement import describe_agreement


def test_each_number_stands_in_its_line() -> None:
    assert list(describe_agreement(AGREEMENT)) == [
        ("tokens", "1,024 at random"),
        ("logits", "0.0123 mean difference, 0.5 largest"),
        ("KL", "1.5e-06 mean, 2.5e-05 99th percentile, 0.00123 largest"),
        ("agreement", "first choice 99.90%, first five 98.76%"),
    ]


def test_a_text_is_named_and_has_perplexities() -> None:
    found = replace(AGREEMENT, text="a.txt", perplexity_source=29.4142, perplexity_target=1234.567)
    lines = list(describe_agreement(found))
    assert lines[0] == ("tokens", "1,024 of a.txt")
    assert lines[-1] == ("perplexity", "29.414 and 1234.6")
    assert list(describe_agreement(replace(found, perplexity_target=None)))[-1] == (
        "perplexity", "29.414 and unknown",
    )  # fmt: skip
