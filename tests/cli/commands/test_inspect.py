"""What is shown of a checkpoint, and of a folder that is none."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import numpy as np
from support import bundles, raws

import gpt2_convert
from gpt2_convert.cli.program import run

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_stats_are_shown_for_every_tensor(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["inspect", "tiny", "--stats", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    for tensor in document["tensors"]:
        expected = raws.canonical()[tensor["name"]].astype(np.float64)
        assert tensor["stats"]["min"] == expected.min()
        assert tensor["stats"]["max"] == expected.max()
        np.testing.assert_allclose(tensor["stats"]["mean"], expected.mean(), rtol=0, atol=1e-12)
        np.testing.assert_allclose(tensor["stats"]["std"], expected.std(), rtol=1e-12)
        assert sum(tensor["stats"]["histogram"]) == expected.size
    assert run(["inspect", "tiny", "--stats"]) == 0
    text = capsys.readouterr().out
    rows = {line.split()[0]: line for line in text.splitlines() if "float32" in line}
    assert set(rows) >= set(raws.canonical())


def test_stats_of_a_checkpoint_without_its_data_are_left_out(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "tiny" / "model.ckpt.data-00000-of-00001").unlink()
    assert run(["inspect", "tiny", "--stats", "--json"]) == 2
    document = json.loads(capsys.readouterr().out)
    assert document["faults"]
    assert {str(tensor["stats"]) for tensor in document["tensors"]} == {"None"}


def test_shapes_are_told_as_inspect_tells_them(tmp_path: Path) -> None:
    small = bundles.write_gpt2(tmp_path / "small")
    sizes = {**bundles.TINY, "n_embd": 16}
    other = bundles.write_gpt2(tmp_path / "other", sizes)
    findings = gpt2_convert.verify(small, other).findings
    (found,) = (each for each in findings if each.tensor == "blocks[0].attn.c_attn.w")
    assert found.message == "[32, 96] in the source, [16, 48] in the target"


def test_a_folder_of_runs_is_answered_with_those_that_hold_a_checkpoint(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("step-1", "step-2", "logs"):
        (place / "runs" / name).mkdir(parents=True)
    (place / "runs" / "logs" / "events").write_bytes(b"some")
    gpt2_convert.convert("tiny", "runs/step-1", to="hf")
    shutil.copytree("tiny", "runs/step-2", dirs_exist_ok=True)
    assert run(["inspect", "runs"]) == 2
    said = capsys.readouterr().err
    assert said.endswith("in this folder; there is one in 'step-1', 'step-2'; name that\n")


def test_a_folder_of_one_archive_is_answered_with_its_name(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "artefacts").mkdir()
    gpt2_convert.convert("tiny", "artefacts/gpt2.npz")
    assert run(["inspect", "artefacts"]) == 2
    assert "holds 'gpt2.npz'; name that file" in capsys.readouterr().err


def test_a_folder_of_two_kinds_is_ambiguous(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for file in (place / "tiny").iterdir():
        (place / "model" / file.name).write_bytes(file.read_bytes())
    assert run(["convert", "model", "a.npz"]) == 2
    message = capsys.readouterr().err
    assert "TensorFlow" in message
    assert "name the file" in message
    assert run(["convert", "model/model.safetensors", "a.npz", "--quiet"]) == 0
    assert run(["tf2npz", "model", "b.npz", "--quiet"]) == 0
    assert run(["hf2npz", "model", "c.npz", "--quiet"]) == 0
