"""Commands that are measured in turns, and compared with a peer that was measured beside them."""

from __future__ import annotations

import shutil
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

from support.measure import measure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from support.measure import Measured

    Command = Sequence[str | Path]
    Measure = Callable[[Command, Path], Measured]

ROUNDS = 5


@dataclass(frozen=True)
class Row:
    """One job: commands that follow each other, whose times add up.

    ``peers`` are the names of rows of the same stage that it is compared with. ``makes`` is what it
    leaves, which is removed after each run. Of one that takes a minute there are fewer ``rounds``;
    with one alone there is no warm-up either.
    """

    name: str
    commands: tuple[Command, ...]
    peers: tuple[str, ...] = ()
    makes: tuple[Path, ...] = ()
    rounds: int = ROUNDS
    before: Callable[[], None] = lambda: None


@dataclass(frozen=True)
class Figures:
    """Seconds are the median of all rounds, ``peak`` is the largest, in bytes."""

    seconds: float
    peak: int


def time_rows(rows: Iterable[Row], folder: Path, measure: Measure = measure) -> dict[str, Figures]:
    """Measure the rows, taking turns, so that what else the machine does meets them all.

    The first round is a warm-up and does not count.

    Raises:
        SystemExit: a command fails.
    """
    rows = list(rows)
    seconds: dict[str, list[float]] = {row.name: [] for row in rows}
    peaks = dict.fromkeys(seconds, 0)
    for turn in range(max(row.rounds for row in rows) + 1):
        for row in rows:
            if turn > row.rounds or (turn == 0 and row.rounds == 1):
                continue
            row.before()
            total = 0.0
            for command in row.commands:
                done = measure(command, folder)
                if done.code:
                    raise SystemExit(f"{row.name}: {done.stderr or done.stdout}")
                total += done.seconds
                peaks[row.name] = max(peaks[row.name], done.peak)
            for path in row.makes:
                remove(path)
            if turn:
                seconds[row.name].append(total)
    return {name: Figures(statistics.median(times), peaks[name]) for name, times in seconds.items()}


def list_rows(label: str, rows: Iterable[Row], figures: dict[str, Figures]) -> Iterator[str]:
    """Yield a line for each row: seconds, peak memory, and how many times its peers' seconds."""
    for row in rows:
        found = figures[row.name]
        ratios = "".join(
            f"  {found.seconds / figures[peer].seconds:5.2f} x {peer}" for peer in row.peers
        )
        yield (
            f"{label:<6} {row.name:<28} {found.seconds:7.3f} s {found.peak / 1e6:7.0f} MB{ratios}"
        )


def remove(path: Path) -> None:
    """Remove a file or a folder, if it is there."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
