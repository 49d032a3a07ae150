"""What the program says by how it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Final

EQUAL: Final = 0
"""Done, and equal."""
DIFFERENT: Final = 1
"""The verification found differences."""
COULD_NOT: Final = 2
"""The job could not be done."""
INTERRUPTED: Final = 130
"""Ctrl-C has ended it."""
_BY_A_SIGNAL: Final = 128
"""What shells add to the number of a signal that ends a program."""


def stopped_by(number: int) -> int:
    """Return the exit code of a program that a signal ends: INTERRUPTED for SIGINT."""
    return _BY_A_SIGNAL + number
