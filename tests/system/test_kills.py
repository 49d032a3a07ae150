"""Conversions killed 300 times: the target is absent, old or complete, and the next run is fine."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from support import bundles

import gpt2_convert

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import IO

KILLS = 60
"""Of each of the five writers, so 300."""
SIZES = {**bundles.TINY, "n_vocab": 9001}
"""1.3 MB, most of it in one tensor of two chunks."""
WRITERS = {
    "npz": ("out.npz", ()),
    "safetensors": ("out.safetensors", ()),
    "hdf5": ("out.h5", ()),
    "hdf5 gzip": ("out.h5", ("--compress", "gzip")),
    "hf": ("out", ("--to", "hf")),
}
"""The target, and the options that ask for it."""
LEFT = re.compile(r"out.*\.[0-9a-f]{8}\.(partial|old)")

STARTER = """
import json, os, signal, sys, time
import h5py, numpy, safetensors
import gpt2_convert.cli.commands, gpt2_convert.cli
gpt2_convert.convert(sys.argv[1], sys.argv[2])  # whatever is imported late is loaded then

for line in sys.stdin:
    arguments, moment = json.loads(line)
    started = time.monotonic()
    child = os.fork()
    if not child:
        sys.argv[1:] = arguments
        gpt2_convert.cli.main()
    if moment is not None:
        time.sleep(moment)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    print(json.dumps([os.waitstatus_to_exitcode(status), time.monotonic() - started]), flush=True)
"""
"""Runs the program anew for each line on stdin, and kills it after so many seconds. All modules are
loaded before, so that a random moment is one of the program's work and not of its start."""


@dataclass(frozen=True)
class Starter:
    stdin: IO[str]
    stdout: IO[str]

    def run(self, *arguments: str | Path, moment: float | None = None) -> tuple[int, float]:
        """Return exit code (or minus the signal) and duration of a run."""
        self.stdin.write(json.dumps([[str(each) for each in arguments], moment]) + "\n")
        code, seconds = json.loads(self.stdout.readline())
        return code, seconds


@contextmanager
def starting(source: Path, scratch: Path) -> Iterator[Starter]:
    with subprocess.Popen(
        [sys.executable, "-c", STARTER, source, scratch],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield Starter(process.stdin, process.stdout)
        process.stdin.close()


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


@pytest.mark.parametrize("writer", WRITERS)
def test_killed_at_random_moments_the_target_is_absent_old_or_complete(
    writer: str, tmp_path: Path
) -> None:
    name, options = WRITERS[writer]
    source = bundles.write_gpt2(tmp_path / "new", SIZES)
    older = {key: -array for key, array in bundles.gpt2_arrays(SIZES).items()}
    older_source = bundles.write_gpt2(tmp_path / "older", SIZES, arrays=older)
    place = tmp_path / "place"
    place.mkdir()
    target = place / name
    moments = random.Random(writer)  # noqa: S311 - not for secrets
    with starting(source, tmp_path / "warm.npz") as starter:
        assert starter.run("convert", "-q", *options, older_source, target)[0] == 0
        old = content(target)
        remove(target)
        code, whole = starter.run("convert", "-q", *options, source, target)
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
            starter.run("convert", "-q", *force, *options, source, target, moment=moment)
            found = content(target)
            assert found in (before, new), moment
            ends["new" if found == new else "before"] += 1
            left = sorted(os.listdir(place))
            assert all(LEFT.fullmatch(each) for each in left if each != name), left
            if turn % 10 > 7:
                # What the kills have left disturbs no other run, and is not touched by it.
                code, _ = starter.run("convert", "-q", "--force", *options, source, target)
                assert code == 0
                assert content(target) == new
                assert set(os.listdir(place)) == {*left, name}
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
