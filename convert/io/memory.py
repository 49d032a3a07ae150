"""The allocators, asked to suit a program that moves weights chunk by chunk."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Final

_M_ARENA_MAX: Final = -8
"""The name of the parameter in glibc's malloc.h."""
_MADE_AND_KEPT: Final = 100_000


@cache
def keep_freed_memory() -> None:
    """Have the allocator keep the memory of chunks for the next ones.

    glibc takes the largest block ever freed (up to 32 MiB) as a sign of what comes, and keeps twice
    as much instead of giving it back to the system. One such block, of which no page is ever
    touched, spares every chunk the page faults of fresh memory: a third of the time of a pass.
    Once is enough, and a second block would be taken from what is kept, and cleared.
    """
    bytes(16 << 20)


def collect_seldom() -> None:
    """Have Python look for cycles seldom; only for a process that is this program's own.

    It looks after every 700 objects that are made and kept, again and again at all of them: where
    16,000 tensors are listed a fifth of the time. There are next to no cycles.
    """
    import gc

    gc.set_threshold(_MADE_AND_KEPT)


def share_one_arena() -> None:
    """Have all threads allocate from one arena; only for a process that is this program's own.

    Each thread of glibc's gets an arena of its own, and each arena keeps what was freed in it: at
    six threads a third of all memory. Python allocates under its own lock anyway. Elsewhere than in
    glibc there is no such parameter and nothing happens.
    """
    import ctypes

    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, 1)
