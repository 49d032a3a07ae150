"""Measure what more processors change, and whether a gigabyte takes as long in a larger model.

    make bench-scale                      at 124M and 1558M
    make bench-scale SIZES="124M 774M"

Each job runs on one, two, four and eight processors, as far as this process may use as many, and
so do the peers. ``s/GB`` are seconds for 10^9 bytes of the model, start-up included.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from .bench import RAM_DISK, convert_with, make_checkpoint
from .bench_rows import FROMFILE, PROGRAM, SHARD, TREE, python
from .timing import Row, list_rows, time_rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .timing import Command

ROUNDS = 3


def list_jobs(source: Path) -> list[Row]:
    """Return the jobs; the archive of the same weights lies beside ``source``."""
    npz, target = source.parent / "source.npz", source.parent / "target"
    shard = source / SHARD
    tf2npz: Command = [PROGRAM, "tf2npz", source, target]
    return [
        Row("cp, cmp", (["cp", shard, target], ["cmp", shard, target]), makes=(target,)),
        Row("tf2npz", (tf2npz,), ("cp, cmp",), (target,)),
        Row(
            "tf2npz --dtype float16",
            ([*tf2npz, "--dtype", "float16"],),
            ("tf2npz",),
            (target,),
        ),
        Row("np.fromfile", (python(FROMFILE, shard),)),
        Row("open().tree()", (python(TREE, source),), ("np.fromfile",)),
        Row("verify", ([PROGRAM, "verify", source, npz],)),
        Row("inspect --stats", ([PROGRAM, "inspect", source, "--stats"],), ("verify",)),
    ]


def on_processors(row: Row, numbers: list[int]) -> Row:
    """Return the job, bound to these processors."""
    bound = ["taskset", "-c", ",".join(map(str, numbers))]
    return replace(row, commands=tuple([*bound, *each] for each in row.commands), rounds=ROUNDS)


def bench_size(size: str, folder: Path) -> Iterator[str]:
    source = make_checkpoint(folder, size)
    gigabytes = (source / SHARD).stat().st_size / 1e9
    convert_with(source, folder / "source.npz", "npz")
    free = sorted(os.sched_getaffinity(0))
    for count in (1, 2, 4, 8):
        if count > len(free):
            yield f"{size:<6} {count} processors: there are {len(free)}"
            break
        rows = [on_processors(row, free[:count]) for row in list_jobs(source)]
        figures = time_rows(rows, folder)
        for row, line in zip(rows, list_rows(size, rows, figures), strict=True):
            yield f"{count} x {line}  {figures[row.name].seconds / gigabytes:5.2f} s/GB"
    (folder / "source.npz").unlink()
    shutil.rmtree(source)


def main() -> None:
    if shutil.which("taskset") is None:
        raise SystemExit("taskset, of util-linux, is needed")
    home = RAM_DISK if os.access(RAM_DISK, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="gpt2-convert-bench-", dir=home) as folder:
        print(f"in {folder}; medians of {ROUNDS} rounds, largest peak")
        for size in sys.argv[1:] or ["124M", "1558M"]:
            for line in bench_size(size, Path(folder)):
                print(line, flush=True)


if __name__ == "__main__":
    main()
