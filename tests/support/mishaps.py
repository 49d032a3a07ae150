"""What may get in the way of a conversion."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def at(phase: str, action: Callable[[], object]) -> Callable[[str, int, int], None]:
    """Return a progress callback that acts once, when ``phase`` begins."""
    acted = False

    def watch(now: str, done: int, total: int) -> None:
        nonlocal acted
        if now == phase and not acted:
            acted = True
            action()

    return watch


@contextmanager
def ordinary_user() -> Iterator[None]:
    """Act without the super-user's rights, which know no unwritable folder."""
    if os.geteuid():
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)
