"""Where the targets of these tests lie, and an older one."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
from support import bundles
from support.folders import NEW

import gpt2_convert
from gpt2_convert.io import folder_replacement


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """An empty folder for targets, so that a listing shows whatever was left behind."""
    folder = tmp_path / "place"
    folder.mkdir()
    return folder


@pytest.fixture(scope="module")
def older(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the older weights, written once."""
    folder = tmp_path_factory.mktemp("older")
    gpt2_convert.convert(bundles.write_gpt2(folder / "tiny"), folder / "hf", to="hf")
    return folder / "hf"


@pytest.fixture
def target(older: Path, place: Path) -> Path:
    """A copy of that folder, which may be replaced."""
    return Path(shutil.copytree(older, place / "hf"))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A checkpoint with the newer weights."""
    return bundles.write_gpt2(tmp_path / "source", arrays=bundles.gpt2_arrays(seed=NEW))


@pytest.fixture(params=["one step", "two steps"])
def one_step(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether folders are exchanged in one step, as on Linux, or in two, as elsewhere."""
    if request.param == "two steps":
        monkeypatch.setattr(folder_replacement, "exchange", lambda first, second: False)
        return False
    if sys.platform != "linux":
        pytest.skip("this system cannot exchange folders")
    return True
