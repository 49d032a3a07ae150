"""Conversions killed 300 times: the target is absent, old or complete, and the next run is fine."""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import time
from typing import TYPE_CHECKING

import pytest
from support import bundles
from support.writers import every_writer

import gpt2_convert

if TYPE_CHECKING:
    from pathlib import Path

    from support.forked import Program
    from support.writers import Writer

pytestmark = pytest.mark.slow

KILLS = 60
"""Of each of the five writers, so 300."""
SIZES = {**bundles.TINY, "n_vocab": 9001, "n_layer": 1}
"""1.2 MB, most of it in one tensor of two chunks."""
LEFT = re.compile(r"out.*\.[0-9a-f]{8}\.(partial|old)")


def run(program: Program, *arguments: str | Path, moment: float | None = None) -> tuple[int, float]:
    """Run the program, kill it after so many seconds, and return its exit code and its duration."""
    started = time.monotonic()
    running = program.start(*arguments)
    if moment is not None:
        time.sleep(moment)
        running.send_signal(signal.SIGKILL)
    return running.finish(b"").code, time.monotonic() - started


def content(target: Path) -> dict[str, bytes]:
    """Return the files of a target and their bytes; none where there is no target."""
    if target.is_dir():
        return {file.name: file.read_bytes() for file in target.iterdir()}
    return {"": target.read_bytes()} if target.exists() else {}


def remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@every_writer
def test_killed_at_random_moments_the_target_is_absent_old_or_complete(
    writer: Writer, program: Program, tmp_path: Path
) -> None:
    source = bundles.write_gpt2(tmp_path / "new", SIZES)
    older = {key: -array for key, array in bundles.gpt2_arrays(SIZES).items()}
    older_source = bundles.write_gpt2(tmp_path / "older", SIZES, arrays=older)
    place = tmp_path / "place"
    place.mkdir()
    target = place / writer.name
    moments = random.Random(writer.name)  # noqa: S311 - not for secrets
    convert = ("convert", "-q", *writer.arguments)
    assert run(program, *convert, older_source, target)[0] == 0
    old = content(target)
    remove(target)
    code, whole = run(program, *convert, source, target)
    assert code == 0
    assert gpt2_convert.verify(source, target).ok
    new = content(target)
    assert new.keys() == old.keys()
    assert new != old
    ends = dict.fromkeys(("before", "new"), 0)
    for turn in range(KILLS):
        before = old if turn % 2 else {}
        put(target, before)
        force = ["--force"] if before else []
        moment = moments.uniform(0, 1.1) * whole
        run(program, *convert, *force, source, target, moment=moment)
        found = content(target)
        assert found in (before, new), moment
        ends["new" if found == new else "before"] += 1
        left = sorted(os.listdir(place))
        assert all(LEFT.fullmatch(each) for each in left if each != writer.name), left
        if turn % 10 > 7:
            # What the kills have left disturbs no other run, and is not touched by it.
            assert run(program, *convert, "--force", source, target)[0] == 0
            assert content(target) == new
            assert set(os.listdir(place)) == {*left, writer.name}
            for each in place.iterdir():
                remove(each)
    # Kills that never came amid the work would prove nothing.
    assert ends["before"] > KILLS // 4, ends


def put(target: Path, files: dict[str, bytes]) -> None:
    remove(target)
    for name, data in files.items():
        if name:
            target.mkdir(exist_ok=True)
        (target / name if name else target).write_bytes(data)
