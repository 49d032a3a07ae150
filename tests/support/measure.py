"""Wall time and peak memory of a command, as the operating system accounts for it."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_LAUNCH = """
import json, os, resource, subprocess, sys, time
started = time.perf_counter()
patience = float(sys.argv[2])
done = subprocess.run(
    sys.argv[3:], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=patience
)
seconds = time.perf_counter() - started
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
with open(sys.argv[1], "w") as file:
    json.dump([done.returncode, seconds, peak, done.stdout.decode(), done.stderr.decode()], file)
"""
"""A child starts with the peak of its parent, so the parent has to be a small process."""


@dataclass(frozen=True)
class Measured:
    """``peak`` is in bytes."""

    code: int
    seconds: float
    peak: int
    stdout: str
    stderr: str


def measure(command: Sequence[str | Path], scratch: Path, patience: float = 3600.0) -> Measured:
    """Run ``command``; ``scratch`` is a folder for the result.

    Raises:
        CalledProcessError: it is still running after ``patience`` seconds.
    """
    result = scratch / "measured.json"
    launcher: list[str | Path] = [sys.executable, "-I", "-S", "-c", _LAUNCH, result, str(patience)]
    subprocess.run([*launcher, *command], check=True)
    code, seconds, peak, stdout, stderr = json.loads(result.read_text())
    result.unlink()
    # Linux counts in KiB, macOS in bytes.
    return Measured(code, seconds, peak * (1 if sys.platform == "darwin" else 1024), stdout, stderr)
