"""Objects in one line, of a length that can be read."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from gpt2_convert.display.line import (
    count,
    describe_fields,
    describe_mapping,
    describe_sequence,
    show_text,
)

HOSTILE = [
    "\x1b[31mred",
    "\u202eevil",
    "a\nb",
    "\ud800",
    "\x00",
    "\u2028",
    "<script>alert(1)</script>",
]


@dataclass
class Sizes:
    """Nothing but numbers."""

    n: int
    m: int | None


@dataclass
class Weights:
    """Arrays and what holds some."""

    sizes: Sizes
    w: object
    inner: object = None


@pytest.mark.parametrize("text", HOSTILE)
def test_a_text_is_printable_and_can_be_told_from_others(text: str) -> None:
    shown = show_text(text)
    assert shown.isprintable()
    assert shown.encode("ascii").decode("unicode_escape") == text
    for described in (describe_mapping({text: 1}), describe_mapping({1: text})):
        assert described.isprintable()


def test_a_text_that_is_plain_stays_as_it_is() -> None:
    for text in ("", "wte", "a name/with: spaces 'and' \u00e4", "\u05d0"):
        assert show_text(text) == text
    assert show_text("x" * 1000) == "x" * 197 + "..."
    assert show_text("x" * 10, 8) == "xxxxx..."
    assert len(show_text("\ud800" * 10_000)) < 1300


def test_things_are_counted() -> None:
    assert [count(n, "tensor") for n in (0, 1, 1200)] == ["0 tensors", "1 tensor", "1,200 tensors"]


def test_arrays_are_a_dtype_and_a_shape() -> None:
    array = np.zeros((2, 3), np.float16)
    assert describe_mapping({"w": array, "n": 1}) == "{'w': float16 (2, 3), 'n': 1}"
    assert describe_sequence([array]) == "[1 of float16 (2, 3)]"
    assert describe_fields(Weights(Sizes(1, None), array)) == (
        "Weights(sizes=Sizes(n=1, m=None), w=float16 (2, 3), inner=None)"
    )


def test_of_what_is_inside_the_names_are_shown() -> None:
    inner = {"a": {"deep": np.zeros(3)}, "b": 1}
    assert describe_mapping({"x": inner}) == "{'x': {'a', 'b'}}"
    assert describe_mapping({"x": [inner, inner]}) == "{'x': [2 of {'a', 'b'}]}"
    assert describe_mapping({"x": []}) == "{'x': []}"
    weights = Weights(Sizes(1, 2), np.zeros(1))
    assert describe_fields(Weights(Sizes(1, 2), weights)) == (
        "Weights(sizes=Sizes(n=1, m=2), w=Weights(sizes, w, inner), inner=None)"
    )


def test_nothing_makes_a_line_long() -> None:
    many = {f"name {number}": number for number in range(10_000)}
    assert describe_mapping(many).startswith("{'name 0': 0, 'name 1': 1, ")
    assert describe_mapping(many).endswith(", ...}")
    itself: list[object] = []
    itself.append(itself)
    long = "x" * 100_000
    for held in (many, {"x": many}, {long: long}, {"x": [many]}, {"x": itself}, {"x": {long: 1}}):
        assert len(describe_mapping(held)) < 800
    assert describe_sequence(itself) == "[1 of [1 of list]]"
