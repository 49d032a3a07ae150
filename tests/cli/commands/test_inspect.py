"""What is shown of a checkpoint, and of a folder that is none."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest
from safetensors.numpy import save_file
from support import bundles, raws
from support.documents import PROGRAM, assert_valid

import gpt2_convert
from gpt2_convert.cli.program import run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any

    Arrays = dict[str, Any]

FLOAT = np.zeros(1, np.float32)


def lacking(name: str) -> Callable[[Path], object]:
    """Return what writes a safetensors model without one of its tensors."""
    arrays = {key: each for key, each in raws.huggingface().items() if key != name}
    return lambda folder: save_file(arrays, folder / "x.safetensors")


def npz(arrays: Arrays) -> Callable[[Path], object]:
    return lambda folder: np.savez(folder / "x.npz", **arrays)


def mix(arrays: Arrays) -> Arrays:
    """Turn some of the matrices, so that they contradict the others."""
    return {
        name: each.T.copy() if name.endswith("c_attn.weight") else each
        for name, each in arrays.items()
    }


SOURCES: dict[str, tuple[Callable[[Path], object], tuple[str, ...]]] = {
    "a model": (npz(raws.huggingface()), ()),
    "a model as it is": (npz(raws.huggingface()), ("--as-is",)),
    "a mixed layout": (npz(mix(raws.huggingface())), ()),
    "a mixed layout as it is": (npz(mix(raws.huggingface())), ("--as-is",)),
    "a missing tensor": (lacking("h.1.ln_1.bias"), ()),
    "an unknown tensor": (npz({**raws.huggingface(), "x": FLOAT}), ()),
    "an unknown tensor that is left out": (
        npz({**raws.huggingface(), "x": FLOAT}),
        ("--drop", "x"),
    ),
    "the head of another task": (npz({**raws.huggingface(), "score.weight": FLOAT}), ()),
    "multi-query attention": (npz({**raws.huggingface(), "h.0.attn.kv_attn.bias": FLOAT}), ()),
    "another layer": (npz({**raws.huggingface(), "h.9.ln_1.bias": FLOAT}), ()),
    "weights that are whole numbers": (
        npz({**raws.huggingface(), "ln_f.bias": np.zeros(32, np.int32)}),
        (),
    ),
    "another model": (npz({"bert.encoder.layer.0.x": FLOAT}), ()),
    "another model as it is": (npz({"bert.encoder.layer.0.x": FLOAT}), ("--as-is",)),
    "nothing to take": (npz({"x": FLOAT}), ("--as-is", "--drop", "*")),
    "two models": (
        npz(
            {
                f"{scope}/{name}": each
                for scope in "ab"
                for name, each in bundles.gpt2_arrays().items()
            }
        ),
        (),
    ),
    "one of two models": (
        npz(
            {
                f"{scope}/{name}": each
                for scope in "ab"
                for name, each in bundles.gpt2_arrays().items()
            }
        ),
        ("--scope", "a"),
    ),
}

STOPPED = {"a mixed layout", "nothing to take"}
"""Those that nothing can be made of with these options."""


@pytest.mark.parametrize("case", SOURCES)
def test_what_stops_any_conversion_is_its_exit_code_and_being_no_gpt2_is_not(
    case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write, options = SOURCES[case]
    write(tmp_path)
    (source,) = map(str, tmp_path.glob("x.*"))
    code = run(["convert", source, str(tmp_path / "out.npz"), *options])
    refused = capsys.readouterr().err
    stopped = case in STOPPED
    assert code == 2 or not stopped
    assert run(["inspect", source, *options]) == (2 if stopped else 0)
    shown = capsys.readouterr()
    assert shown.err == (refused if stopped else "")
    assert "\n  total  " in shown.out
    assert ("\n  refused   " in shown.out) is (code == 2)
    assert run(["inspect", source, *options, "--json"]) == (2 if stopped else 0)
    document = json.loads(capsys.readouterr().out)
    assert_valid({key: document[key] for key in document if key not in PROGRAM}, "inspect")
    assert document["ok"] is not stopped
    assert [f"gpt2-convert: {each['message']}\n" for each in document["findings"]] == (
        [refused] if stopped else []
    )


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
