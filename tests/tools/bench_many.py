"""Measure many small checkpoints converted with proof in one process, as a service would.

    make bench-many               1,000 checkpoints of 1 MB
    make bench-many COUNT=10000

Prints milliseconds a checkpoint, and how much larger than after the first hundred the process is at
the end: its memory, its threads and its descriptors, none of which should grow.
"""

from __future__ import annotations

import gc
import os
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from support import bundles
from support.descriptors import list_descriptors

import gpt2_convert

from .bench import RAM_DISK

if TYPE_CHECKING:
    from collections.abc import Callable

SMALL = {"n_vocab": 500, "n_ctx": 64, "n_embd": 64, "n_head": 4, "n_layer": 4}
WARM = 100


@dataclass(frozen=True)
class Holdings:
    """What a process holds; ``rss`` is in bytes."""

    rss: int
    threads: int
    descriptors: int

    @classmethod
    def now(cls) -> Holdings:
        gc.collect()
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        descriptors = len(list_descriptors())
        return cls(pages * os.sysconf("SC_PAGE_SIZE"), threading.active_count(), descriptors)


def repeat(name: str, count: int, job: Callable[[], object]) -> None:
    """Do a job many times, and print what one took and what it left."""
    for _ in range(min(WARM, count)):
        job()
    before = Holdings.now()
    started = time.perf_counter()
    for _ in range(count):
        job()
    each = (time.perf_counter() - started) / count
    after = Holdings.now()
    print(
        f"{name:<22} {each * 1e3:6.2f} ms each; grown by {(after.rss - before.rss) / 1e6:.1f} MB, "
        f"{after.threads - before.threads} threads, "
        f"{after.descriptors - before.descriptors} descriptors",
        flush=True,
    )


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    home = RAM_DISK if os.access(RAM_DISK, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="gpt2-convert-bench-", dir=home) as folder:
        arrays = bundles.gpt2_arrays(SMALL)
        source = bundles.write_gpt2(Path(folder) / "small", arrays=arrays, sizes=SMALL)
        nbytes = sum(array.nbytes for array in arrays.values())
        print(f"{count:,} times {nbytes / 1e6:.2f} MB in {folder}")
        for to in ("npz", "safetensors", "hdf5"):
            target = Path(folder) / f"target.{to}"
            repeat(
                f"convert to {to}",
                count,
                lambda target=target, to=to: gpt2_convert.convert(  # type: ignore[misc]
                    source, target, to=to, force=True
                ),
            )
        npz = Path(folder) / "target.npz"
        repeat("verify", count, lambda: gpt2_convert.verify(source, npz))
        repeat("open().tree()", count, lambda: gpt2_convert.open(source).tree())


if __name__ == "__main__":
    main()
