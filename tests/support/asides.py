"""Forks that work on what is much too small for them, and are counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpt2_convert.tensors import aside, side_by_side
from gpt2_convert.tensors.aside import ForkedWork

if TYPE_CHECKING:
    from typing import Any

    import pytest


TRIES = 100
"""How often something may be done until a fork has a part in it: this process may be faster."""


def let_forks_work(monkeypatch: pytest.MonkeyPatch, processors: int = 3) -> list[int]:
    """Have forks work, as on so many processors; return a list of the items that they have done.

    The threads that are there, of whatever runs the tests, are taken for none.
    """
    monkeypatch.setattr(aside, "active_count", lambda: 1)
    monkeypatch.setattr(aside, "SHARE", 1)
    monkeypatch.setattr(side_by_side, "SHARE", 1)
    for module in (aside, side_by_side):
        monkeypatch.setattr(module, "count_processors", lambda: processors)
    done: list[int] = []
    ask = ForkedWork._ask

    def count(self: ForkedWork[Any], number: int) -> tuple[int, bytes] | None:
        answer = ask(self, number)
        if answer is not None:
            done.append(number)
        return answer

    monkeypatch.setattr(ForkedWork, "_ask", count)
    return done
