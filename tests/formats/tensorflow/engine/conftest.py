"""TensorFlow's process: one for all tests that read with it, and none that starts slowly else."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
from support import bundles, stand_in

from gpt2_convert.formats.tensorflow.engine import process
from gpt2_convert.formats.tensorflow.engine.process import Connection

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import ModuleType


@pytest.fixture(scope="session")
def started(tf: ModuleType) -> Iterator[None]:
    """Keep one process with TensorFlow running: each start takes seconds."""
    connection = Connection()
    yield
    connection.close()


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Forget the process of the other tests, and leave none behind."""
    shared: list[process._Process] = []
    monkeypatch.setattr(process, "_shared", shared)
    yield
    for running in shared:
        if not running.ended:
            running.kill()


@pytest.fixture
def stand_in_tensorflow(alone: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let support/stand_in/tensorflow.py be what the process imports, and what is installed."""
    folder = next(iter(stand_in.__path__))
    monkeypatch.setenv("PYTHONPATH", folder)
    monkeypatch.setattr(sys, "path", [folder, *sys.path])
    monkeypatch.delitem(sys.modules, "tensorflow", raising=False)


@pytest.fixture
def readable(tiny: Path, stand_in_tensorflow: None) -> Path:
    """A checkpoint that the stand-in can read, too."""
    np.savez(tiny / "model.ckpt.npz", **bundles.gpt2_arrays())  # type: ignore[arg-type]
    return tiny
