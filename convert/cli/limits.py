"""What the system lets this process have of memory and of the processor."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Final

FLOOR: Final = 256 << 20
"""Bytes of memory that the process has to be allowed, mapped or not.

A conversion takes 170 MiB of address space on two processors and 210 MiB on six or more, libraries
and the stacks of threads included (CPython 3.11, NumPy 2.4, h5py 3.14). The size of a model adds
nothing, but that the safetensors library maps a whole target. With less, OpenBLAS ends the process
while NumPy is imported, or some library crashes, and no error of ours could be told.
"""
_KIB: Final = 1024
"""The unit of ulimit."""


def find_memory_limit() -> tuple[int, str, str] | None:
    """Return the tightest limit of this process's memory; None where there is none.

    That is how many bytes it may have, of what, and the command of a shell that says so.
    Other systems than Linux have the names of these limits, and do not keep them.
    """
    if sys.platform != "linux":
        return None
    import resource

    limits = (
        (resource.getrlimit(resource.RLIMIT_AS)[0], "address space", "ulimit -v"),
        (resource.getrlimit(resource.RLIMIT_DATA)[0], "data", "ulimit -d"),
    )
    found = [limit for limit in limits if limit[0] != resource.RLIM_INFINITY]
    return min(found, default=None)


def may_have_threads() -> bool:
    """Whether memory is not limited, and a thread a core can be started.

    NumPy starts one less; the other is for what a command does beside computing.
    """
    if find_memory_limit():
        return False
    import os
    import threading

    enough = threading.Event()
    threads: list[threading.Thread] = []
    try:
        for _ in range(os.cpu_count() or 1):
            thread = threading.Thread(target=enough.wait, daemon=True)
            thread.start()
            threads.append(thread)
    except RuntimeError:
        return False
    finally:
        enough.set()
        for thread in threads:
            thread.join()
    return True


def describe_lack() -> str | None:
    """Return what speaks against starting at all; None where nothing does."""
    limit = find_memory_limit()
    if limit is None:
        return None
    nbytes, what, command = limit
    if nbytes >= FLOOR:
        return None
    return (
        f"{nbytes:,} bytes of {what} are allowed, and {FLOOR:,} are needed; "
        f"raise the limit ({command} {FLOOR // _KIB})"
    )
