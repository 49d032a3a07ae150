"""The conversion commands: each exists, takes the same options, and insists on its own source."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest
from safetensors.numpy import load_file
from support import bundles, raws

import gpt2_convert
from gpt2_convert.cli.commands import commands, run

if TYPE_CHECKING:
    from pathlib import Path

NAMED = {
    "tf2npz": ("tiny", "out.npz"),
    "tf2safetensors": ("tiny", "out.safetensors"),
    "tf2hdf5": ("tiny", "out.h5"),
    "tf2hf": ("tiny", "out"),
    "hf2npz": ("model", "out.npz"),
    "hf2safetensors": ("model", "out.safetensors"),
    "hf2hdf5": ("model", "out.h5"),
}


@pytest.fixture
def place(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a TensorFlow checkpoint and the same weights as a Hugging Face model."""
    tiny.rename(tmp_path / "tiny")
    monkeypatch.chdir(tmp_path)
    gpt2_convert.convert("tiny", "model", to="hf")
    return tmp_path


@pytest.mark.parametrize("command", NAMED)
def test_each_named_command_converts(command: str, place: Path) -> None:
    source, target = NAMED[command]
    assert run([command, source, target, "--quiet"]) == 0
    assert gpt2_convert.verify("tiny", target).ok


@pytest.mark.parametrize("command", NAMED)
def test_each_named_command_refuses_the_other_kind_of_source(
    command: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, target = NAMED[command]
    other = "model" if source == "tiny" else "tiny"
    assert run([command, other, target]) == 2
    assert "'convert' takes any" in capsys.readouterr().err
    assert not (place / target).exists()


def test_all_conversions_take_the_same_options() -> None:
    options = {
        name: {option for param in commands.commands[name].params for option in param.opts}
        for name in (*NAMED, "convert")
    }
    assert options["convert"] - {"--to"} == options["tf2npz"]
    assert len({frozenset(options[name]) for name in NAMED}) == 1
    assert options["tf2npz"] >= {
        "--force", "--no-verify", "--step", "--scope", "--drop", "--dtype", "--allow-overflow",
        "--compress", "--digest", "--json", "--quiet",
    }  # fmt: skip


@pytest.mark.parametrize("target", ["a.npz", "a.SAFETENSORS", "a.h5", "a.hdf5", "a/"])
def test_convert_goes_by_the_suffix(target: str, place: Path) -> None:
    assert run(["convert", "tiny", target, "--quiet"]) == 0
    assert gpt2_convert.verify("tiny", target).ok


def test_convert_goes_by_to_before_the_suffix(place: Path) -> None:
    assert run(["convert", "tiny", "a.npz", "--to", "safetensors", "--quiet"]) == 0
    np.testing.assert_array_equal(load_file("a.npz")["wte"], raws.canonical()["wte"])


def test_an_unknown_suffix_is_asked_about(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["convert", "tiny", "a.bin"]) == 2
    assert "say it with --to" in capsys.readouterr().err


def test_a_file_is_not_written_where_a_folder_was_named(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["tf2npz", "tiny", "new/"]) == 2
    assert "names a folder" in capsys.readouterr().err
    assert not (place / "new").exists()


def test_compression_is_offered_by_hdf5_alone(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["tf2hdf5", "tiny", "a.h5", "--compress", "gzip", "--quiet"]) == 0
    assert gpt2_convert.verify("tiny", "a.h5").ok
    assert run(["tf2npz", "tiny", "a.npz", "--compress", "gzip"]) == 2
    assert "compress" in capsys.readouterr().err


def test_overflow_is_refused_unless_it_is_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arrays = bundles.gpt2_arrays()
    arrays["model/wpe"][2, 3] = 70_000
    bundles.write_gpt2(tmp_path / "tiny", arrays=arrays)
    monkeypatch.chdir(tmp_path)
    assert run(["tf2npz", "tiny", "a.npz", "--dtype", "float16"]) == 2
    message = capsys.readouterr().err
    assert "wpe" in message
    assert "70000" in message.replace(",", "")
    assert not (tmp_path / "a.npz").exists()
    arguments = ["tf2npz", "tiny", "a.npz", "--dtype", "float16", "--allow-overflow", "--json"]
    assert run(arguments) == 0
    assert json.loads(capsys.readouterr().out)["cast"]["overflows"] == 1
    with np.load(tmp_path / "a.npz") as archive:
        assert np.isinf(archive["wpe"][2, 3])
    again = ["verify", "tiny", "a.npz", "--dtype", "float16", "--quiet"]
    assert run(again) == 2
    assert run([*again, "--allow-overflow"]) == 0


def test_digest_ends_with_the_digests_of_weights_configuration_and_model(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["digest", "tiny"]) == 0
    *lines, weights, config, model = capsys.readouterr().out.splitlines()
    report = gpt2_convert.digest("model")
    assert lines == [tensor.line for tensor in report.tensors]
    assert weights == f"{report.weights_sha256}  weights"
    assert config == f"{report.config_sha256}  config {report.config_text}"
    assert model == f"{report.sha256}  model"


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


@pytest.mark.parametrize("value", ["-1", "x"])
def test_a_tolerance_is_no_negative_number(
    value: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["verify", "tiny", "model", "--atol", value]) == 2
    assert "--atol" in capsys.readouterr().err


def test_stats_of_a_checkpoint_without_its_data_are_left_out(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "tiny" / "model.ckpt.data-00000-of-00001").unlink()
    assert run(["inspect", "tiny", "--stats", "--json"]) == 2
    document = json.loads(capsys.readouterr().out)
    assert document["faults"]
    assert {str(tensor["stats"]) for tensor in document["tensors"]} == {"None"}


def test_an_unknown_source_format_is_a_usage_error(place: Path) -> None:
    with pytest.raises(gpt2_convert.UsageError, match="not a zarr"):
        gpt2_convert.convert("tiny", "a.npz", format="zarr")  # type: ignore[arg-type]


def test_the_number_of_heads_may_be_said_where_nothing_states_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bundles.write_gpt2(tmp_path / "bare", hparams=False)
    monkeypatch.chdir(tmp_path)
    assert run(["tf2hf", "bare", "hf"]) == 2
    assert "--n-head" in capsys.readouterr().err
    assert run(["tf2hf", "bare", "hf", "--n-head", "5"]) == 2
    assert "does not divide n_embd 32" in capsys.readouterr().err
    assert run(["tf2hf", "bare", "hf", "--n-head", "4", "--quiet"]) == 0
    assert json.loads((tmp_path / "hf" / "config.json").read_text())["n_head"] == 4
    assert run(["hf2npz", "hf", "a.npz", "--n-head", "8"]) == 2
    assert "says 4" in capsys.readouterr().err


def test_a_folder_of_one_archive_is_answered_with_its_name(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "artefacts").mkdir()
    gpt2_convert.convert("tiny", "artefacts/gpt2.npz")
    assert run(["inspect", "artefacts"]) == 2
    assert "holds 'gpt2.npz'; name that file" in capsys.readouterr().err


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


def test_a_difference_in_dtype_says_how_to_compare(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["convert", "tiny", "half.npz", "--dtype", "float16", "--quiet"]) == 0
    assert run(["verify", "tiny", "half.npz"]) == 1
    assert "--dtype float16" in capsys.readouterr().out
    assert run(["verify", "tiny", "half.npz", "--dtype", "float16", "-q"]) == 0


def test_shapes_are_told_as_inspect_tells_them(tmp_path: Path) -> None:
    small = bundles.write_gpt2(tmp_path / "small")
    sizes = {**bundles.TINY, "n_embd": 16}
    other = bundles.write_gpt2(tmp_path / "other", sizes)
    findings = gpt2_convert.verify(small, other).findings
    (found,) = (each for each in findings if each.tensor == "blocks[0].attn.c_attn.w")
    assert found.message == "[32, 96] in the source, [16, 48] in the target"
