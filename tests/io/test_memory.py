"""The allocator does what it is asked to: counted by the kernel, and listed by the C library."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc", reason="these are habits of glibc's allocator"
)

FAULTS = """
import mmap, resource
from gpt2_convert.io.memory import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        [b"x" * (1 << 20) for _ in range(6)]
    return (resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) * mmap.PAGESIZE >> 20

before = faults()
keep_freed_memory()
faults()
print(before, faults())
"""
"""Prints how many MiB of pages the system had to provide for six chunks of one MiB, ten times."""

ARENAS = """
import ctypes, os, sys, threading
from gpt2_convert.io.memory import share_one_arena

if sys.argv[1] == "shared":
    share_one_arena()
together = threading.Barrier(4)

def allocate():
    held = [bytes(5000) for _ in range(100)]
    together.wait()

threads = [threading.Thread(target=allocate) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
libc = ctypes.CDLL(None)
libc.fdopen.restype = ctypes.c_void_p
stream = ctypes.c_void_p(libc.fdopen(1, b"w"))
libc.malloc_info(0, stream)
libc.fflush(stream)
"""
"""Prints what glibc says of its arenas, after four threads have allocated at once."""


def run(*arguments: str) -> str:
    command = [sys.executable, "-c", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_freed_chunks_are_used_again_instead_of_fresh_memory() -> None:
    before, after = map(int, run(FAULTS).split())
    assert before >= 30
    assert after <= 2


def test_threads_share_one_arena_where_that_was_asked_for() -> None:
    assert run(ARENAS, "apart").count("<heap nr=") > 1
    assert run(ARENAS, "shared").count("<heap nr=") == 1
