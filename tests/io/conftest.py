"""Where the targets of these tests lie."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """An empty folder for targets, so that a listing shows whatever was left behind."""
    folder = tmp_path / "place"
    folder.mkdir()
    return folder
