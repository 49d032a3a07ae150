"""The machine that a pickle runs on: what it takes, keeps and gives, and where it ends."""

from __future__ import annotations

import pytest

from gpt2_convert import FormatError
from gpt2_convert.formats.pytorch.machine import LONGEST_NAME, MAX_DEPTH, Machine, TruncatedError
from gpt2_convert.formats.pytorch.values import Kind, Node


def machine(data: bytes = b"") -> Machine:
    return Machine(data, 0, "x.pt: data.pkl")


def test_bytes_are_taken_one_after_the_other_and_never_more_than_there_are() -> None:
    taking = machine(b"abcdefg")
    assert (taking.take_byte(), taking.take(2), taking.take_number(2)) == (97, b"bc", 0x6564)
    with pytest.raises(TruncatedError):
        taking.take(3)
    assert taking.take_text(2) == "fg"
    for take in (taking.take_byte, lambda: taking.take(1), taking.take_line):
        with pytest.raises(TruncatedError):
            take()


def test_a_line_ends_and_is_not_longer_than_a_name() -> None:
    taking = machine(b"os\n" + b"x" * LONGEST_NAME + b"\n")
    assert taking.take_line() == "os"
    with pytest.raises(FormatError, match="a name of more than 1,000 bytes"):
        taking.take_line()


def test_text_is_utf_8_half_surrogate_pairs_included() -> None:
    assert machine(b"\xc3\xa9").take_text(2) == "é"
    assert machine(b"\xed\xa0\x80").take_text(3) == "\ud800"  # as Python pickles it
    with pytest.raises(FormatError, match=r"b'\\xff' is no text in UTF-8"):
        machine(b"\xff").take_text(1)


def test_the_stack_gives_what_was_put_on_it_and_is_out_of_reach_below_a_mark() -> None:
    running = machine()
    running.push(1)
    running.mark()
    with pytest.raises(FormatError, match="the stack is empty"):
        running.pop()
    with pytest.raises(FormatError, match="the stack is empty"):
        running.top()
    running.push(2)
    running.push(3)
    assert running.pop_marked() == [2, 3]
    assert (running.top(), running.pop()) == (1, 1)
    with pytest.raises(FormatError, match="there is no mark"):
        running.pop_marked()


def test_items_are_added_to_their_own_kind_of_container_alone() -> None:
    running = machine()
    running.push(Node(Kind.LIST))
    running.add([1, 2], Kind.LIST)
    assert running.top() == [1, 2]
    with pytest.raises(FormatError, match="items of a dict for a list"):
        running.add([1, 2], Kind.DICT)
    running.push(7)
    with pytest.raises(FormatError, match="items of a list for 7"):
        running.add([1], Kind.LIST)


def test_the_memo_gives_what_was_kept_and_nothing_else() -> None:
    running = machine()
    running.push("a")
    running.store(1 << 31)
    running.fetch(1 << 31)
    assert running.stack == ["a", "a"]
    with pytest.raises(FormatError, match="it fetches the value 0, which it has not kept"):
        running.fetch(0)


def test_neither_containers_nor_marks_go_deeper_than_the_limit() -> None:
    running = machine()
    node = Node(Kind.TUPLE)
    for _ in range(MAX_DEPTH - 1):
        node = Node(Kind.TUPLE, [node])
    running.push(node)
    with pytest.raises(FormatError, match="nested more than 64 levels deep"):
        running.push(Node(Kind.LIST, [node]))
    running.push(Node(Kind.LIST))
    with pytest.raises(FormatError, match="nested more than 64 levels deep"):
        running.add([node], Kind.LIST)
    for _ in range(MAX_DEPTH):
        running.mark()
    with pytest.raises(FormatError, match="nested more than 64 levels deep"):
        running.mark()
