"""A model folder as a target: what replaces it, what gets in the way, and what is left."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from safetensors.numpy import load_file
from support import raws
from support.mishaps import at

import gpt2_convert
from gpt2_convert.io.rename import exchange, rename

if TYPE_CHECKING:
    from collections.abc import Callable

    from gpt2_convert.io.rename import Entry

OLD, NEW = 0, 1
"""Seeds of the weights in the folder that is there, and in the one that is to replace it."""
FILES = {"config.json", "model.safetensors"}
EXCHANGE = exchange
RENAME = rename


def replace(source: Path, target: Path, act: Callable[[], object] = lambda: None) -> None:
    gpt2_convert.convert(source, target, to="hf", force=True, progress=at("verifying", act))


def is_model(folder: Path, seed: int) -> bool:
    """Whether ``folder`` holds all of the weights, by the official library's reading."""
    expected = raws.huggingface(seed=seed)
    found = load_file(folder / "model.safetensors")
    return found.keys() == {f"transformer.{name}" for name in expected} and all(
        np.array_equal(found[f"transformer.{name}"], array) for name, array in expected.items()
    )


def assert_only(target: Path, seed: int, *more: str) -> None:
    """Whether the weights are in their place, with the files named and nothing beside them."""
    assert is_model(target, seed)
    assert set(os.listdir(target)) == {*FILES, *more}
    assert os.listdir(target.parent) == [target.name]


def reach(entry: Entry) -> Path:
    """Return a path to what has a name in an open folder."""
    return Path(f"/proc/self/fd/{entry.folder}/{entry.name}")


def add_file(folder: Path) -> str:
    (folder / "notes.txt").write_text("years of work")
    return "notes.txt"


def add_folder(folder: Path) -> str:
    (folder / "vocab.json").mkdir()
    (folder / "vocab.json" / "notes.txt").write_text("years of work")
    return "vocab.json"


def add_link(folder: Path) -> str:
    (folder / "merges.txt").symlink_to("config.json")
    return "merges.txt"


STRANGERS = pytest.mark.parametrize("add", [add_file, add_folder, add_link])
