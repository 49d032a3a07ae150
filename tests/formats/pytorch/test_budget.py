"""What the pickles of one checkpoint may do: all of its files together."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from support import torch_files
from support.torch_files import members, state_dict

import gpt2_convert
from gpt2_convert.formats import limits
from gpt2_convert.formats.opening import open_raw
from gpt2_convert.formats.pytorch import budget
from gpt2_convert.formats.pytorch.budget import Budget
from gpt2_convert.formats.pytorch.interpreter import interpret

if TYPE_CHECKING:
    from pathlib import Path

FORMATS = pytest.mark.parametrize("format", torch_files.FORMATS)
OPCODES = b"]" + b"Na" * 49 + b"."
"""A hundred opcodes."""


def write_shards(folder: Path, count: int, format: str = "zip") -> Path:
    """Write as many shards, in each of them a tensor of one name of its own."""
    weight_map = {f"{number:04d}": f"x-{number:04d}.bin" for number in range(count)}
    for name, shard in weight_map.items():
        value = state_dict({name: np.ones(3, np.float32)})
        torch_files.write(folder / shard, value, format)
    path = folder / "pytorch_model.bin.index.json"
    path.write_text(json.dumps({"weight_map": weight_map}))
    return path


def test_the_opcodes_of_all_pickles_count_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "MAX_OPCODES", 250)
    one = Budget("x")
    for _ in range(2):
        interpret(OPCODES, "x", budget=one)
    assert one.opcodes == 50
    assert not one.exceeded
    with pytest.raises(gpt2_convert.UnsupportedError, match=r"^x: more than 250 opcodes"):
        interpret(OPCODES, "x", budget=one)
    assert one.exceeded


def test_the_opcodes_of_a_pickle_that_is_refused_count_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "MAX_OPCODES", 250)
    one = Budget("x")
    for left in (148, 46):
        with pytest.raises(gpt2_convert.FormatError):
            interpret(OPCODES[:-1] + b"NN.", "x", budget=one)
        assert one.opcodes == left


@FORMATS
def test_shards_share_a_budget(
    format: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_shards(tmp_path, 8, format)
    with open_raw(path) as raw:
        assert (len(raw.tensors), raw.faults) == (8, ())
    monkeypatch.setattr(budget, "MAX_OPCODES", 300)
    with pytest.raises(gpt2_convert.UnsupportedError, match="more than 300 opcodes"):
        open_raw(path)


@FORMATS
def test_the_pickles_of_shards_have_a_length_together(
    format: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_shards(tmp_path, 8, format)
    monkeypatch.setattr(limits, "MAX_HEADERS", 2000)
    with pytest.raises(gpt2_convert.UnsupportedError, match="more than 2,000 bytes of headers"):
        open_raw(path)


def test_the_directories_of_zip_files_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = members(state_dict({"a": np.ones(3, np.float32)}))
    path = tmp_path / "x.pt"
    path.write_bytes(torch_files.zipped(found | {f"extra/{turn}": b"" for turn in range(100)}))
    open_raw(path).close()
    monkeypatch.setattr(limits, "MAX_HEADERS", 100 * 50)
    with pytest.raises(gpt2_convert.UnsupportedError, match="more than 5,000 bytes of headers"):
        open_raw(path)


def test_one_file_under_two_names_is_no_two_shards(tmp_path: Path) -> None:
    path = write_shards(tmp_path, 2)
    (tmp_path / "x-0001.bin").unlink()
    (tmp_path / "x-0001.bin").hardlink_to(tmp_path / "x-0000.bin")
    with open_raw(path) as raw:
        (fault,) = raw.faults
    assert str(fault).startswith(f"{tmp_path / 'x-0001.bin'}: the same file as x-0000.bin")
