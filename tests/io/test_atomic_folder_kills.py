"""A folder whose replacement is interrupted or killed, at each of its steps: it is old or new.

The steps are those of the module alone, without a conversion around them; whole conversions are
killed by tests/system/test_kills.py.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from gpt2_convert.formats.writers import WRITERS
from gpt2_convert.io.atomic_folder import partial_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OLD = {"config.json": b"{}", "model.safetensors": b"years of work"}
NEW = {"config.json": b'{"n": 1}', "model.safetensors": b"years of other work"}
LEFT = re.compile(r"hf\.[0-9a-f]{8}\.(partial|old)")

STOPPED = """
import os, pathlib, sys
from gpt2_convert.io import atomic_folder, folder_replacement

one_step, target, new, names = (eval(word) for word in sys.argv[1:])
replaceable = set(names).__contains__
if not one_step:
    folder_replacement.exchange = lambda first, second: False

def count_calls():
    countdown = step

    def count():
        nonlocal countdown
        if not countdown:
            os.kill(os.getpid(), number)
        countdown -= 1

    def counted(call):
        def do(*arguments, **options):
            count()
            result = call(*arguments, **options)
            count()
            return result
        return do

    folder_replacement.exchange = counted(folder_replacement.exchange)
    for name in ("mkdir", "fsync", "rename", "unlink", "rmdir"):
        setattr(os, name, counted(getattr(os, name)))

def replace(target):
    with atomic_folder.partial_folder(target, force=True, replaceable=replaceable) as partial:
        for name, content in new.items():
            (partial.path / name).write_bytes(content)

target = pathlib.Path(target)
for _ in range(2):  # whatever is imported late is there then
    replace(target.parent.parent / "warm-up")
for line in sys.stdin:
    number, step = map(int, line.split())
    child = os.fork()
    if not child:
        count_calls()
        try:
            replace(target)
        except KeyboardInterrupt:
            os._exit(130)
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
"""Replaces a folder in a new process for each line on stdin: a signal's number, and how many times
one of the system calls named has begun or ended before the signal comes."""


class Replacements:
    """The program STOPPED, and the folder that it replaces."""

    def __init__(self, process: subprocess.Popen[str], target: Path) -> None:
        self.process = process
        self.target = target

    def restore(self) -> None:
        """Have the older folder back, and nothing beside it."""
        shutil.rmtree(self.target.parent)
        self.target.mkdir(parents=True)
        for name, content in OLD.items():
            (self.target / name).write_bytes(content)

    def run(self, number: int, step: int) -> int:
        """Return the exit code of a replacement that receives a signal."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{int(number)} {step}\n")
        return int(self.process.stdout.readline())

    def lost(self, one_step: bool) -> bool:
        """Whether the older folder has lost its name, and is still there under another."""
        where = "hf.*.partial/hf" if one_step else "hf.*.old"
        return any(contents(path) == OLD for path in self.target.parent.glob(where))

    def left(self) -> set[str]:
        """Return what is beside the target."""
        return set(os.listdir(self.target.parent)) - {"hf"}


@pytest.fixture(params=["one step", "two steps"])
def one_step(request: pytest.FixtureRequest) -> bool:
    """Whether folders are exchanged in one step, as on Linux, or in two, as elsewhere."""
    if request.param == "one step" and sys.platform != "linux":
        pytest.skip("this system cannot exchange folders")
    return bool(request.param == "one step")


@pytest.fixture
def replacements(one_step: bool, tmp_path: Path) -> Iterator[Replacements]:
    target = tmp_path / "place" / "hf"
    target.mkdir(parents=True)
    arguments = (one_step, str(target), NEW, sorted(WRITERS["hf"].folder_of))
    with subprocess.Popen(
        [sys.executable, "-c", STOPPED, *map(repr, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    ) as process:
        yield Replacements(process, target)
        assert process.stdin is not None
        process.stdin.close()


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_interrupted_at_any_step_the_folder_is_old_or_new_and_alone(
    replacements: Replacements,
) -> None:
    seen: list[tuple[int, bool]] = []
    code = 130
    while code:
        replacements.restore()
        code = replacements.run(signal.SIGINT, len(seen))
        found = contents(replacements.target)
        assert found in (OLD, NEW)
        assert replacements.left() == set()
        seen.append((code, found == NEW))
    assert seen == sorted(seen, key=lambda outcome: (-outcome[0], outcome[1]))
    assert set(seen) == {(130, False), (130, True), (0, True)}
    assert len(seen) > 20


def test_killed_at_any_step_the_folder_is_old_or_new(
    replacements: Replacements, one_step: bool
) -> None:
    absent = 0
    step = 0
    replacements.restore()
    while code := replacements.run(signal.SIGKILL, step):
        assert code == -signal.SIGKILL
        assert all(LEFT.fullmatch(name) for name in replacements.left())
        if replacements.target.exists():
            assert contents(replacements.target) in (OLD, NEW)
        else:
            absent += 1
            (old,) = replacements.target.parent.glob("*.old")
            assert contents(old) == OLD
        replacements.restore()
        step += 1
    assert contents(replacements.target) == NEW
    assert replacements.left() == set()
    assert step > 20
    assert absent == (0 if one_step else 2)  # after the first of the two steps, before the second


def test_what_a_kill_has_left_disturbs_no_other_run(
    replacements: Replacements, one_step: bool
) -> None:
    replacements.restore()
    left: set[str] = set()
    step = 0
    # Right after the older folder has lost its name.
    while not replacements.lost(one_step):
        assert replacements.run(signal.SIGKILL, step)
        left = replacements.left()
        step += 1
    target = replacements.target
    with partial_folder(target, force=True, replaceable=OLD.__contains__) as partial:
        for name, content in NEW.items():
            (partial.path / name).write_bytes(content)
    assert contents(target) == NEW
    assert replacements.left() == left
