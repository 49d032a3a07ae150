"""The storages that a pickle mentions: what is believed of them, and what is refused."""

from __future__ import annotations

import pytest

from gpt2_convert import FormatError, UnsupportedError
from gpt2_convert.formats.pytorch.storages import parse_storage
from gpt2_convert.formats.pytorch.values import Kind, Name, Node, Storage
from gpt2_convert.tensors.dtype import DType

PLACE = "x.pt: data.pkl"
FLOATS = Name("torch.FloatStorage")


def parse(*fields: object) -> tuple[Storage, Storage]:
    return parse_storage(Node(Kind.TUPLE, fields), PLACE)


def test_a_storage_has_a_key_a_dtype_and_a_length() -> None:
    expected = Storage("0", DType.FLOAT32, 6)
    assert parse("storage", FLOATS, "0", "cuda:0", 6) == (expected, expected)
    assert parse("storage", FLOATS, "0", "cpu", 6, None) == (expected, expected)
    half = Storage("a/b", DType.BFLOAT16, 0)
    assert parse("storage", Name("torch.BFloat16Storage"), "a/b", "cpu", 0) == (half, half)


def test_a_part_of_a_storage_begins_further_on() -> None:
    view = Node(Kind.TUPLE, ["1", 2, 3])
    root, part = parse("storage", FLOATS, "0", "cpu", 6, view)
    assert root == Storage("0", DType.FLOAT32, 6)
    assert part == Storage("0", DType.FLOAT32, 3, 2)


@pytest.mark.parametrize("view", [("1", 4, 3), ("1", 7, 0), ("1", -1, 3), ("1", 0, 1.0), ("1", 0)])
def test_a_part_that_does_not_lie_in_its_storage_is_refused(view: tuple[object, ...]) -> None:
    with pytest.raises(FormatError, match="of a storage"):
        parse("storage", FLOATS, "0", "cpu", 6, Node(Kind.TUPLE, view))


@pytest.mark.parametrize("pid", [None, "0", 7, Node(Kind.TUPLE), ("module", FLOATS, "a.py", "x")])
def test_what_is_no_storage_is_refused(pid: object) -> None:
    pid = Node(Kind.TUPLE, pid) if isinstance(pid, tuple) else pid
    with pytest.raises(UnsupportedError, match="a storage expected, found"):
        parse_storage(pid, PLACE)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ((FLOATS, "0", "cpu"), "5 or 6 fields of a storage expected, found 4"),
        ((FLOATS, "0", "cpu", 6, None, None), "found 7"),
        ((Name("torch.float32"), "0", "cpu", 6), "the type of a storage expected"),
        (("FloatStorage", "0", "cpu", 6), "the type of a storage expected"),
        ((FLOATS, 0, "cpu", 6), "the key of a storage expected, found 0"),
        ((FLOATS, "0", "cpu", -1), "the numel of a storage: found -1"),
        ((FLOATS, "0", "cpu", 1 << 63), "the numel of a storage: found 9"),
        ((FLOATS, "0", "cpu", True), "the numel of a storage: found True"),
        ((FLOATS, "0", "cpu", 6, "0"), "the part of a storage: found '0'"),
    ],
)
def test_fields_that_are_not_what_they_should_be_are_refused(
    fields: tuple[object, ...], words: str
) -> None:
    with pytest.raises(FormatError, match=words):
        parse("storage", *fields)
