"""Measure what small files that cost much cost every command: seconds, and memory.

    make bench-bombs                 those that take the longest, and the most memory
    make bench-bombs BOMB=slots      all commands on those whose names have this in them

Each is done, or refused, within SECONDS and MOST_MEMORY on a machine with nothing else to do;
`test_bombs.py` asks for what is said of it. A time is the best of ROUNDS if the first is too long.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from support.bombs import BOMBS
from support.bombs.commands import COMMANDS, MOST_MEMORY, SECONDS, spell
from support.measure import measure
from tools.bench import RAM_DISK
from tools.bench_rows import PROGRAM

ROUNDS = 3
SHOWN = 12


def main() -> int:
    """Measure, print, and return 1 where one takes more than it may."""
    wanted = sys.argv[1] if len(sys.argv) > 1 else ""
    rows: list[tuple[float, int, str]] = []
    for name in (each for each in BOMBS if wanted in each):
        with tempfile.TemporaryDirectory(dir=RAM_DISK) as scratch:
            rows += measure_bomb(name, Path(scratch))
    shown = rows if wanted else sorted(rows, reverse=True)[:SHOWN]
    if not wanted:
        shown += sorted(rows, key=lambda row: row[1], reverse=True)[: SHOWN // 2]
    for seconds, peak, what in shown:
        print(f"{seconds:6.2f} s  {peak / 1e6:4.0f} MB  {what}")
    over = [row for row in rows if row[0] > SECONDS or row[1] > MOST_MEMORY]
    print(f"{len(rows)} runs, {len(over)} over {SECONDS} s or {MOST_MEMORY / 1e6:.0f} MB")
    return bool(over)


def measure_bomb(name: str, scratch: Path) -> list[tuple[float, int, str]]:
    """Return the seconds and the peak memory of each command on a bomb."""
    bomb = BOMBS[name]
    made, out = scratch / "made", scratch / "out"
    made.mkdir()
    bomb.write(made)
    rows = []
    for command in COMMANDS:
        best, peak = float("inf"), 0
        for _ in range(ROUNDS):
            out.mkdir()
            done = measure([PROGRAM, *spell(bomb, command, made, out)], scratch)
            shutil.rmtree(out)
            best, peak = min(best, done.seconds), max(peak, done.peak)
            if best <= SECONDS:
                break
        rows.append((best, peak, f"{command:11} {name}"))
    return rows


if __name__ == "__main__":
    sys.exit(main())
