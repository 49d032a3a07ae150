"""What files say, in messages: quoted, on one line and never long."""

from __future__ import annotations

import errno
import os

import pytest

from gpt2_convert.quoting import clip, os_reason, quote, quote_some


@pytest.mark.parametrize(
    ("name", "quoted"),
    [
        ("h.0.attn.c_attn.weight", "'h.0.attn.c_attn.weight'"),
        ("it's", '"it\'s"'),
        ("two\nlines\x1b", r"'two\nlines\x1b'"),
        (b"h0\xff", r"b'h0\xff'"),
        ("\udce4", r"'\udce4'"),
        ("x" * 198, f"'{'x' * 198}'"),
        ("x" * 199, f"'{'x' * 196}..."),
        (b"\xff" * 1_000_000, "b'" + r"\xff" * 48 + r"\xf..."),
    ],
    ids=range(8),
)
def test_a_name_is_quoted_on_one_line_and_cut_where_it_is_long(
    name: str | bytes, quoted: str
) -> None:
    assert quote(name) == quoted
    assert len(quote(name)) <= 200


def test_what_others_say_is_cut_but_not_quoted() -> None:
    assert clip("it's broken") == "it's broken"
    assert clip("x" * 200) == "x" * 200
    assert clip("x" * 201) == "x" * 197 + "..."


def test_names_are_listed_as_long_as_they_stay_readable_and_at_least_one_is() -> None:
    assert quote_some([]) == ""
    assert quote_some(["a"]) == "'a'"
    assert quote_some(["a", "it's"]) == """'a', "it's\""""
    assert quote_some(["x" * 1000, "y"]) == f"'{'x' * 196}..., ..."
    hundred = [f"name{number:04}" for number in range(100)]
    assert quote_some(hundred) == ", ".join(map(repr, hundred[:20])) + ", ..."
    assert quote_some(hundred[:20]) == ", ".join(map(repr, hundred[:20]))


def test_what_the_system_says_has_neither_number_nor_path() -> None:
    error = OSError(errno.EACCES, os.strerror(errno.EACCES), "/a/path")
    assert os_reason(error) == "permission denied"
    assert os_reason(OSError("Unable to open file")) == "unable to open file"


@pytest.mark.parametrize(
    ("number", "limit"),
    [(errno.EMFILE, "(ulimit -n)"), (errno.EFBIG, "(ulimit -f, or the file system)")],
)
def test_a_limit_of_the_shell_is_named(number: int, limit: str) -> None:
    reason = os.strerror(number)
    assert os_reason(OSError(number, reason)) == f"{reason.lower()} {limit}"
