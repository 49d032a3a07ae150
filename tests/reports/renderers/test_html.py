"""The page is one file of HTML whose text is what the report says, and no markup of a name's."""

from __future__ import annotations

from support.reports import conversion

from gpt2_convert.errors import spell_keyword
from gpt2_convert.reports.outcome import Outcome
from gpt2_convert.reports.renderers.html import render


def test_a_name_is_text() -> None:
    report = conversion(mapped=(("<script>alert(1)</script>", "wte"),))
    text = "".join(render(Outcome("tf2npz", "0.1.0", 1.0, report), spell_keyword))
    assert text.startswith("<!DOCTYPE html>")
    assert "<script" not in text
