"""Work for a child process, as the tests have it done."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gpt2_convert.formats.hdf5.confined import confine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

needs_proc = pytest.mark.skipif(not Path("/proc/self").exists(), reason="there is no /proc")


def list_children() -> set[str]:
    """Return the processes that this one has started and not waited for."""
    path = Path(f"/proc/self/task/{os.getpid()}/children")
    return set(path.read_text().split()) if path.exists() else set()


def is_running(pid: int) -> bool:
    """Whether there is such a process, and not only its exit code that nobody has asked for."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return status.rpartition(")")[2].split()[0] not in {"Z", "X"}


def does(act: Callable[[], object]) -> Callable[[], Iterator[bytes]]:
    """Return work that says something, then does ``act`` and then says something again."""

    def work() -> Iterator[bytes]:
        yield b"before"
        act()
        yield b"after"

    return work


def told(act: Callable[[], object]) -> list[bytes]:
    """Return what work that does ``act`` tells, once it has come to its end."""
    return list(confine(does(act), "x.h5"))


def learn(find: Callable[[], object]) -> object:
    """Return what ``find`` returns in the child, which JSON must be able to say."""
    [found] = confine(lambda: [json.dumps(find()).encode()], "x.h5")
    return json.loads(found)
