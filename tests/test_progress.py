"""Progress: a watcher gets phases and bytes, and nobody need watch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from support import raws

import gpt2_convert
from gpt2_convert.progress import ignore_progress

if TYPE_CHECKING:
    from pathlib import Path


def test_a_watcher_sees_each_phase_grow_from_nothing_to_all(tiny: Path, tmp_path: Path) -> None:
    seen: dict[str, list[tuple[int, int]]] = {}

    def watch(phase: str, done: int, total: int) -> None:
        seen.setdefault(phase, []).append((done, total))

    watched: gpt2_convert.Progress = watch
    gpt2_convert.convert(tiny, tmp_path / "out.npz", progress=watched)
    nbytes = sum(array.nbytes for array in raws.canonical().values())
    assert list(seen) == ["writing", "verifying"]
    for reports in seen.values():
        done = [each for each, _ in reports]
        assert done == sorted(done)
        assert (done[0], done[-1]) == (0, nbytes)
        assert {total for _, total in reports} == {nbytes}


def test_who_does_not_watch_changes_nothing(tiny: Path, tmp_path: Path) -> None:
    silent: gpt2_convert.Progress = ignore_progress
    gpt2_convert.convert(tiny, tmp_path / "a.npz", progress=silent)
    gpt2_convert.convert(tiny, tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
