"""Checkpoints that the tests of the commands share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import gpt2_convert

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def place(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a TensorFlow checkpoint and the same weights as a Hugging Face model."""
    tiny.rename(tmp_path / "tiny")
    monkeypatch.chdir(tmp_path)
    gpt2_convert.convert("tiny", "model", to="hf")
    return tmp_path
