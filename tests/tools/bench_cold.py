"""Measure tf2npz on a disk, its source not in memory, against cp and sync.

    make bench-cold                          at 124M, in the folder for temporary files
    make bench-cold SIZES=774M TMPDIR=/mnt   on another disk

The system is asked to forget the source before each run (posix_fadvise), which it does with pages
that are on the disk; how many of them it still has is not told. cp does not wait for the disk and
tf2npz does, so cp is followed by sync of what it has written.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from .bench import make_checkpoint
from .bench_rows import PROGRAM, SHARD
from .timing import ROUNDS, Row, list_rows, time_rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .bench_rows import Words


def forget(source: Path) -> None:
    """Have the system drop what it keeps of the files in memory."""
    for path in source.iterdir():
        fd = os.open(path, os.O_RDONLY)
        try:
            os.fsync(fd)
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(fd)


def bench_size(size: str, folder: Path) -> Iterator[str]:
    source = make_checkpoint(folder, size)
    target, copy, cold = folder / "target", folder / "copy", partial(forget, source)
    cp: Words = ["cp", source / SHARD, copy]
    sync: Words = ["sync", copy]
    tf2npz: Words = [PROGRAM, "tf2npz", source, target]
    rows = [
        Row("cp, sync", (cp, sync), makes=(copy,), before=cold),
        Row("tf2npz", (tf2npz,), ("cp, sync",), (target,), before=cold),
        Row(
            "tf2npz --no-verify", ([*tf2npz, "--no-verify"],), ("cp, sync",), (target,), before=cold
        ),
    ]
    yield from list_rows(size, rows, time_rows(rows, folder))
    shutil.rmtree(source)


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="gpt2-convert-bench-") as folder:
        print(f"in {folder}; medians of {ROUNDS} rounds, largest peak")
        for size in sys.argv[1:] or ["124M"]:
            for line in bench_size(size, Path(folder)):
                print(line, flush=True)


if __name__ == "__main__":
    main()
