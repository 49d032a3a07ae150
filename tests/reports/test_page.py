"""A page is made of plain values that nobody changes under a renderer."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields, is_dataclass

import pytest

from gpt2_convert.reports.page import Column, Fact, Mood, Page, Table


@pytest.mark.parametrize(
    "part",
    [Fact("a", "b"), Column("a"), Table("a", (), ()), Page("a", "b", Mood.GOOD, (), ())],
    ids=lambda part: type(part).__name__,
)
def test_no_part_of_a_page_can_be_changed(part: object) -> None:
    assert is_dataclass(part)
    with pytest.raises(FrozenInstanceError):
        setattr(part, fields(part)[0].name, "other")


def test_a_fact_is_plain_unless_it_is_said_to_be_more() -> None:
    assert Fact("a", "b").mood is Mood.PLAIN
