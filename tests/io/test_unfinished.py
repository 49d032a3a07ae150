"""What is half-done is known as long as it is, and can be taken away at any moment."""

from __future__ import annotations

import pytest

from gpt2_convert.io.unfinished import clear_unfinished, unfinished


def test_the_newest_is_taken_away_first_and_once() -> None:
    cleared: list[str] = []
    with unfinished(lambda: cleared.append("outer")), unfinished(lambda: cleared.append("inner")):
        clear_unfinished()
        clear_unfinished()
    assert cleared == ["inner", "outer"]


def test_what_is_done_is_forgotten_even_after_an_error() -> None:
    cleared: list[str] = []
    with pytest.raises(LookupError), unfinished(lambda: cleared.append("failed")):
        raise LookupError
    with unfinished(lambda: cleared.append("done")):
        pass
    clear_unfinished()
    assert cleared == []


def test_what_cannot_be_taken_away_keeps_nothing_else_back() -> None:
    cleared: list[str] = []

    def refuse() -> None:
        raise PermissionError

    with unfinished(lambda: cleared.append("outer")), unfinished(refuse):
        clear_unfinished()
    assert cleared == ["outer"]
