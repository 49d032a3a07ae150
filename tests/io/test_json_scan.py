"""JSON that is looked at and not built: taken and refused as Python's own parser does."""

from __future__ import annotations

import json
import tracemalloc

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gpt2_convert.errors import FormatError
from gpt2_convert.io.json_scan import Allowance, check_json, scan_numbers, spell_key

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def accepted(text: bytes) -> bool:
    try:
        check_json(text, "here")
    except FormatError:
        return False
    return True


@given(VALUES, st.sampled_from([None, 1]), st.booleans())
def test_whatever_python_writes_is_taken(value: object, indent: int | None, plain: bool) -> None:
    check_json(
        json.dumps(value, indent=indent, ensure_ascii=plain).encode("utf-8", "surrogatepass"),
        "here",
    )


@given(st.text(st.sampled_from('{}[]:,"\\ntrue0.5e-1 \n'), max_size=12))
@example("[1,]")
@example("{,}")
@example('{"a":1,}')
@example("[}")
@example("01")
@example('"\\x"')
@example("1 2")
@example("")
@example("]")
@example('{"a" 1}')
@example("{1: 2}")
@example("[,1]")
@example("-")
def test_it_takes_exactly_what_python_parses(text: str) -> None:
    try:
        json.loads(text)
        sound = True
    except ValueError:
        sound = False
    assert accepted(text.encode()) is sound


def test_nesting_is_bounded() -> None:
    assert accepted(b"[" * 1000 + b"]" * 1000)
    assert not accepted(b"[" * 1001 + b"]" * 1001)


def test_memory_stays_that_of_the_text() -> None:
    text = b"[" + b",".join([b"{}"] * 100_000) + b"]"
    tracemalloc.start()
    check_json(text, "here")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 60_000  # the objects would take a hundred times as much


@given(st.dictionaries(st.text(), st.integers(0, 10**9), max_size=8), st.sampled_from([None, 2]))
def test_keys_and_numbers_are_those_of_python(
    vocabulary: dict[str, int], indent: int | None
) -> None:
    text = json.dumps(vocabulary, indent=indent).encode()
    assert [(spell_key(key), number) for key, number in scan_numbers(text, "here")] == list(
        vocabulary.items()
    )


@pytest.mark.parametrize(
    "text",
    [b"[]", b'{"a"}', b'{"a": -1}', b'{"a": 1.5}', b'{"a": 1e3}', b'{"a": "1"}', b'{"a": true}',
     b'{"a": 1,}', b'{"a": 1} x', b'{"a": 12345678901}', b'{"a": 1 "b": 2}', b"{", b""],
)  # fmt: skip
def test_anything_but_keys_and_whole_numbers_is_refused(text: bytes) -> None:
    with pytest.raises(FormatError, match=r"^here: "):
        list(scan_numbers(text, "here"))


def test_what_comes_after_the_allowance_may_be_anything() -> None:
    text = b'{"a": [1, 2]} and more'
    for tokens in range(12):
        allowance = Allowance(tokens)
        if tokens > 8:
            with pytest.raises(FormatError, match=r"^here: not JSON at byte 13"):
                check_json(text, "here", allowance)
            continue
        check_json(text, "here", allowance)
        assert allowance.tokens == 0


def test_several_texts_share_an_allowance() -> None:
    allowance = Allowance(10)
    check_json(b"[1, 2]", "here", allowance)
    check_json(b"[]", "here", allowance)
    assert allowance.tokens == 3
    check_json(b"[1, 2, 3, 4]", "here", allowance)
    assert allowance.tokens == 0
    check_json(b"", "here", allowance)
