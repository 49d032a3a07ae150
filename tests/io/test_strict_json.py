"""JSON: what is plain is read as Python reads it, and what parsers disagree about is refused."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpt2_convert.errors import FormatError
from gpt2_convert.io.strict_json import MAX_DEPTH, describe, parse_config, parse_object

if TYPE_CHECKING:
    from collections.abc import Callable

    Parse = Callable[[bytes, str], dict[str, object]]

BOTH = pytest.mark.parametrize("parse", [parse_object, parse_config])
PLAIN = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | PLAIN,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(PLAIN, inner, max_size=3),
    max_leaves=8,
)


@BOTH
@settings(derandomize=True, deadline=None, max_examples=60)
@given(st.dictionaries(PLAIN, VALUES, max_size=4), st.booleans())
def test_a_plain_object_is_read_as_python_reads_it(
    parse: Parse, value: dict[str, object], escaped: bool
) -> None:
    text = json.dumps(value, ensure_ascii=escaped).encode()
    found = parse(text, "x")
    assert found == value
    assert repr(found) == repr(json.loads(text))  # 1 and 1.0, 0 and False are equal


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("18446744073709551615", 2**64 - 1),
        ("-9223372036854775808", -(2**63)),
        ("100000000000000000000", 10**20 * 1.0),
        ("-0", -0.0),
        ("1e3", 1000.0),
        ("-0.0", -0.0),
    ],
)
def test_what_is_no_whole_number_of_64_bits_becomes_a_float(text: str, value: float) -> None:
    found = parse_object(f'{{"n": {text}}}'.encode(), "x")["n"]
    assert repr(found) == repr(value)


def test_a_config_keeps_what_python_writes() -> None:
    value = {"n": 10**99, "inf": float("inf"), "half": "\ud800", "zero": -0.0}
    assert parse_config(json.dumps(value).encode(), "x") == value
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-32-be"):
        assert parse_config('{"é": 1}'.encode(encoding), "x") == {"é": 1}
    with pytest.raises(FormatError, match=r"^x: not JSON \(a number of 101 digits\)"):
        parse_config(b'{"n": 1' + b"0" * 100 + b"}", "x")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b'{"n": NaN}', "NaN is not a JSON number"),
        (b'{"n": -Infinity}', "-Infinity is not a JSON number"),
        (rb'{"n": "\ud800"}', r"half a surrogate pair in '\ud800'"),
        (rb'{"\udc00x": 1}', r"half a surrogate pair in '\udc00x'"),
        (rb'{"x": [{"n": "\uDBFF"}]}', r"half a surrogate pair in '\udbff'"),
        (b'{"n": "\xff"}', "'utf-8' codec can't decode byte 0xff"),
        (b'\xef\xbb\xbf{"n": 1}', "Unexpected UTF-8 BOM"),
        ('{"n": 1}'.encode("utf-16"), "'utf-8' codec can't decode byte 0xff"),
    ],
)
def test_what_only_some_parsers_take_is_no_json(text: bytes, reason: str) -> None:
    with pytest.raises(FormatError) as caught:
        parse_object(text, "x.safetensors: header")
    assert str(caught.value).startswith(f"x.safetensors: header: not valid JSON: {reason}")


@BOTH
@pytest.mark.parametrize("text", [b"", b"{", b"{'n': 1}", b'{"n": 1,}', b'{"n": 01}', b"{} {}"])
def test_what_is_no_json_is_refused_where_it_stands(parse: Parse, text: bytes) -> None:
    with pytest.raises(json.JSONDecodeError):
        json.loads(text)
    with pytest.raises(FormatError, match=r"^config\.json: not "):
        parse(text, "config.json")


@BOTH
@pytest.mark.parametrize("text", [b"[]", b"3", b"null", b'"text"', b"true", b"[{}]"])
def test_what_is_no_object_is_refused(parse: Parse, text: bytes) -> None:
    with pytest.raises(FormatError, match=r"^x: a JSON object expected, found "):
        parse(text, "x")


@BOTH
@pytest.mark.parametrize(
    "text", [b'{"n": 1, "n": 1}', rb'{"a": 1, "\u0061": 2}', b'{"x": [{"a": 1, "a": 2}]}']
)
def test_a_key_that_stands_twice_is_refused_by_name(parse: Parse, text: bytes) -> None:
    key = "n" if b"n" in text else "a"
    with pytest.raises(FormatError, match=f"the key '{key}' stands twice"):
        parse(text, "x")


def test_a_pair_of_escaped_surrogates_is_one_character() -> None:
    assert parse_object(rb'{"\ud83d\ude00": "\uD83D\uDE00"}', "x") == {"😀": "😀"}


@BOTH
@pytest.mark.parametrize("kind", ["arrays", "objects"])
def test_nesting_has_a_limit_and_costs_no_stack(parse: Parse, kind: str) -> None:
    opening, closing = ("[", "]") if kind == "arrays" else ('{"a":', "}")

    def nested(depth: int) -> bytes:
        return f'{{"x": {opening * depth}1{closing * depth}}}'.encode()

    assert parse(nested(MAX_DEPTH - 1), "x") == json.loads(nested(MAX_DEPTH - 1))
    for depth in (MAX_DEPTH + 1, 100_000):
        with pytest.raises(FormatError, match="nested too deeply"):
            parse(nested(depth), "x")


@BOTH
def test_a_number_of_a_million_digits_is_never_made(parse: Parse) -> None:
    text = b'{"n": ' + b"9" * 1_000_000 + b"}"
    if parse is parse_object:
        assert parse(text, "x") == {"n": float("inf")}
    else:
        with pytest.raises(FormatError, match="a number of 1,000,000 digits"):
            parse(text, "x")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ([1, 2], "an array of 2"),
        ({}, "an object of 0"),
        ("two\nlines", r"'two\nlines'"),
        (True, "True"),
        (None, "None"),
        (1.5, "1.5"),
    ],
)
def test_a_value_is_described_in_a_few_words(value: object, said: str) -> None:
    assert describe(value) == said


@pytest.mark.parametrize("value", ["x" * 10**6, 10**1000, ["x" * 10**6] * 3, {"x" * 10**6: 1}])
def test_no_value_makes_a_long_message(value: object) -> None:
    assert len(describe(value)) <= 200
