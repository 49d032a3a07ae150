"""Checkpoints that the tests of the command line share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from gpt2_convert.cli.program import run as run_here

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def npz(tiny: Path, tmp_path: Path) -> Path:
    """The small checkpoint, converted."""
    target = tmp_path / "tiny.npz"
    assert run_here(["tf2npz", "-q", str(tiny), str(target)]) == 0
    return target


@pytest.fixture
def changed(npz: Path, tmp_path: Path) -> Path:
    """An archive like ``npz`` in which one weight is another."""
    with np.load(npz) as archive:
        arrays = dict(archive)
    arrays["ln_f.g"][7] += 1
    np.savez(tmp_path / "changed.npz", **arrays)
    return tmp_path / "changed.npz"
