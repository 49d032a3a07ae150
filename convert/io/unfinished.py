"""What lies half-done on the disk, for a process that ends without unwinding."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Final

_clearing: Final[list[Callable[[], None]]] = []
"""What takes it away, the oldest first."""


@contextmanager
def unfinished(clear: Callable[[], None]) -> Iterator[None]:
    """Keep ``clear`` in mind until the block has ended."""
    _clearing.append(clear)
    try:
        yield
    finally:
        if clear in _clearing:  # it may have been taken away
            _clearing.remove(clear)


def clear_unfinished() -> None:
    """Take away what is half-done; what cannot be, stays."""
    while _clearing:
        with suppress(Exception):
            _clearing.pop()()
