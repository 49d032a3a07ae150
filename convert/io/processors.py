"""The processors that this process may use, which may be fewer than the machine has."""

from __future__ import annotations

import os


def count_processors() -> int:
    """Return how many threads can really run at the same time, one at least."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0)) or 1
    return os.cpu_count() or 1
