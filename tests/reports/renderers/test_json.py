"""The document is ASCII, in pieces, and what Python would write at once."""

from __future__ import annotations

import json

import pytest
from support.documents import validator
from support.reports import conversion

from gpt2_convert.errors import spell_keyword
from gpt2_convert.reports.outcome import Outcome
from gpt2_convert.reports.renderers.json import render

MANY = conversion(mapped=tuple((f"t\u00e9{number}", "重み\udcff") for number in range(1000)))


def test_it_is_what_python_would_write_and_comes_in_pieces() -> None:
    outcome = Outcome("tf2npz", "0.1.0", 1.5, MANY)
    pieces = list(render(outcome, spell_keyword))
    assert len(pieces) > 1
    text = "".join(pieces)
    assert text == json.dumps(outcome.as_json(), indent=2) + "\n"
    assert text.isascii()
    validator("report").validate(json.loads(text))


def test_what_is_no_number_of_json_is_an_error_and_no_document() -> None:
    outcome = Outcome("tf2npz", "0.1.0", float("inf"), MANY)
    with pytest.raises((ValueError, OverflowError)):
        list(render(outcome, spell_keyword))
