"""Folders for files of gigabytes."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

RAM_DISK = Path("/dev/shm")  # noqa: S108 - read by nobody else, and removed at the end


@contextmanager
def room(size: int, elsewhere: Path) -> Iterator[Path]:
    """Yield an empty folder for ``size`` bytes, in memory where as much stays free, and remove it.

    Where there is no such room in the folder ``elsewhere`` either, the test is skipped.
    """
    home = RAM_DISK if free_memory() > 2 * size else elsewhere
    if shutil.disk_usage(home).free < size + (1 << 30):
        pytest.skip(f"needs {size:,} bytes of disk at {home}")
    with tempfile.TemporaryDirectory(prefix="gpt2-convert-tests-", dir=home) as folder:
        yield Path(folder)


def free_memory() -> int:
    """Return how many bytes files in memory may take; 0 where there is no RAM disk."""
    if not os.access(RAM_DISK, os.W_OK):
        return 0
    available = Path("/proc/meminfo").read_text().partition("MemAvailable:")[2].split()[0]
    return min(int(available) << 10, shutil.disk_usage(RAM_DISK).free)
