"""The demo leaves a model to play with, and what it says to try next works there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run_demo(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tools.demo", "--folder", folder],
        env={**os.environ, "PYTHONPATH": str(ROOT / "tests")},
        cwd=folder.parent,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_what_the_demo_says_to_try_next_works(tmp_path: Path) -> None:
    for _ in range(2):  # the second begins anew
        done = run_demo(tmp_path / "demo")
        assert done.returncode == 0, done.stderr
    _, _, following = done.stdout.partition("To go on:\n\n")
    lines = [line.strip() for line in following.splitlines()]
    assert len(lines) > 5
    script = "\n".join(lines)
    subprocess.run(["sh", "-ec", script], cwd=tmp_path, check=True, capture_output=True)
    assert {"out.npz", "out.safetensors", "half.npz"} <= set(os.listdir(tmp_path / "demo"))


def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "mine").write_text("mine")
    done = run_demo(tmp_path / "demo")
    assert done.returncode == 1
    assert "was not made by the demo" in done.stderr
    assert os.listdir(tmp_path / "demo") == ["mine"]
