"""The progress bar on stderr: phase, bytes, rate and time left."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    ProgressColumn,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Column

from .color import has_color
from .interruption import stop_if_interrupted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Final

    from rich.progress import TaskID

    from ..progress import Progress as Callback


_INTERVAL: Final = 0.1
"""Seconds between two drawings."""
_NARROW: Final = 50
"""Columns of a terminal that has no room for a bar beside the numbers."""
_NUMBERS: Final = 32
"""Columns of bytes, rate and time left, with spaces: 497.8/497.8 MB 999.9 MB/s 00:00."""
_FEW_NUMBERS: Final = 22
"""The same with a percentage in the place of bytes: 100% 999.9 MB/s 00:00."""
_LONGEST: Final = 32
"""Columns of the name of a phase, which may be a file's."""


class _Bar(Progress):
    """A bar that is drawn no more once its terminal is gone, which is no reason to stop the job."""

    def refresh(self) -> None:
        """Draw it."""
        try:
            super().refresh()
        except OSError:
            self.disable = True


@contextmanager
def progress_bar(*, one_by_one: bool = False) -> Iterator[Callback]:
    """Yield a callback that keeps the bar up to date; the bar disappears at the end.

    Where there are many phases, files that is, they are shown ``one_by_one``; else below each
    other. It is drawn by the calls, and by no thread of its own, which might not be started where
    threads are few.
    """
    console = Console(stderr=True, no_color=not has_color(sys.stderr))
    narrow = console.width < _NARROW
    room = min(console.width - (_FEW_NUMBERS if narrow else _NUMBERS), _LONGEST)
    name = Column(no_wrap=True, overflow="ellipsis", max_width=max(room, 1))
    whole = Column(no_wrap=True)
    part: list[ProgressColumn] = [TaskProgressColumn(table_column=whole)]
    if not narrow:
        # The bar has what the terminal has left.
        part = [BarColumn(bar_width=None), DownloadColumn(table_column=whole)]
    columns: list[ProgressColumn] = [
        TextColumn("{task.description:<9}", table_column=name),
        *part,
        TransferSpeedColumn(table_column=whole),
        TimeRemainingColumn(compact=narrow, table_column=whole),
    ]
    bar = _Bar(
        *columns,
        console=console,
        expand=not narrow,
        transient=True,
        auto_refresh=False,
    )
    tasks: dict[str, TaskID] = {}
    before = 0
    drawn = 0.0

    def show(phase: str, done: int, total: int) -> None:
        nonlocal before, drawn
        stop_if_interrupted()
        if one_by_one and (phase not in tasks or done < before):
            while tasks:
                bar.remove_task(tasks.popitem()[1])
        before = done
        if phase not in tasks:
            tasks[phase] = bar.add_task(phase, total=total or None)
        now = time.monotonic()
        due = now - drawn >= _INTERVAL
        drawn = now if due else drawn
        bar.update(tasks[phase], completed=done, refresh=due)

    with suppress(OSError):
        bar.start()
    try:
        yield show
    finally:
        with suppress(OSError):
            bar.live.stop()
