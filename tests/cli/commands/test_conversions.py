"""The conversion commands: each exists, takes the same options, and insists on its own source."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from support import bundles, raws
from support.console import is_one_error_line

import gpt2_convert
from gpt2_convert.cli.commands.conversions import COMMANDS
from gpt2_convert.cli.program import run

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
    "hf2tf": ("model", "out"),
}


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


def test_convert_takes_what_any_of_the_others_takes() -> None:
    options = {
        name: {option for param in COMMANDS[name].params for option in param.opts}
        for name in (*NAMED, "convert")
    }
    assert options["convert"] - {"--to"} == set().union(*(options[name] for name in NAMED))
    assert set.intersection(*options.values()) >= {
        "--force", "--no-verify", "--scope", "--drop", "--n-head", "--dtype", "--allow-overflow",
        "--digest", "--json", "--quiet",
    }  # fmt: skip


@pytest.mark.parametrize("target", ["a.npz", "a.SAFETENSORS", "a.h5", "a.hdf5", "a/"])
def test_convert_goes_by_the_suffix(target: str, place: Path) -> None:
    assert run(["convert", "tiny", target, "--quiet"]) == 0
    assert gpt2_convert.verify("tiny", target).ok


def test_convert_goes_by_to_before_the_suffix(place: Path) -> None:
    assert run(["convert", "tiny", "a.npz", "--to", "safetensors", "--quiet"]) == 0
    np.testing.assert_array_equal(load_file("a.npz")["wte"], raws.canonical()["wte"])


def test_convert_writes_a_tensorflow_checkpoint_where_it_is_told_to(place: Path) -> None:
    for source, target in (("tiny", "a"), ("model", "b/")):
        assert run(["convert", source, target, "--to", "tensorflow", "--quiet"]) == 0
        assert gpt2_convert.verify("tiny", target).ok
        assert (place / target / "model.ckpt.index").is_file()


@pytest.mark.parametrize(
    ("command", "target", "instead"),
    [
        ("tf2npz", "a.safetensors", "'tf2safetensors'"),
        ("tf2npz", "a.HDF5", "'tf2hdf5'"),
        ("tf2npz", "a/", "'tf2hf'"),
        ("tf2hf", "a.npz", "'tf2npz'"),
        ("tf2safetensors", "a.h5", "'tf2hdf5'"),
        ("tf2hdf5", "a.npz", "'tf2npz'"),
        ("hf2tf", "a.safetensors", "'hf2safetensors'"),
        ("hf2npz", "a.h5", "'hf2hdf5'"),
        ("hf2hdf5", "a/", "use 'convert'"),  # which copies
        ("hf2safetensors", "a.pt", "PyTorch"),
        ("tf2hf", "a.bin", "PyTorch"),
    ],
)
def test_a_name_of_another_format_is_refused_with_the_command_for_it(
    command: str, target: str, instead: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = "tiny" if command.startswith("tf") else "model"
    assert run([command, source, target]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert is_one_error_line(printed.err)
    assert printed.err.startswith(f"gpt2-convert: {target}: ")
    assert instead in printed.err
    assert not (place / target).exists()
    if "PyTorch" not in printed.err:
        named = re.findall(r"'(\w+)'", printed.err)
        for name in named:  # each of them does
            assert run([name, source, target, "--force", "--quiet"]) == 0
        assert named[-1] == "convert"


@pytest.mark.parametrize(
    ("command", "target"), [("tf2npz", "a"), ("tf2npz", "a.tar"), ("tf2hf", "a.d/"), ("hf2tf", "a")]
)
def test_a_name_of_no_format_is_taken(command: str, target: str, place: Path) -> None:
    source = "tiny" if command.startswith("tf") else "model"
    assert run([command, source, target, "--quiet"]) == 0
    assert gpt2_convert.verify(source, target).ok


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
    for command in ("tf2npz", "convert"):
        assert run([command, "tiny", "a.npz", "--compress", "gzip"]) == 2
        assert "compress" in capsys.readouterr().err


@pytest.mark.parametrize("target", ["a.npz", "a --to hdf5"])
def test_files_beside_the_weights_are_left_out_only_where_they_would_travel(
    target: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["convert", "model", *target.split(), "--weights-only"]) == 2
    error = capsys.readouterr().err
    assert is_one_error_line(error)
    assert "--weights-only has no effect: a" in error
    (place / "model" / "README.md").write_text("# A model\n")
    assert run(["convert", "model", "copy/", "--weights-only", "--quiet"]) == 0
    assert not (place / "copy" / "README.md").exists()
    assert run(["convert", "model", "whole/", "--quiet"]) == 0
    assert (place / "whole" / "README.md").exists()


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


def test_a_head_that_a_target_has_no_name_for_is_left_out_by_the_flag_that_is_advised(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arrays = load_file("model/model.safetensors")
    arrays["lm_head.weight"] = arrays["transformer.wte.weight"] + 1
    save_file(arrays, "model/model.safetensors")
    assert run(["hf2tf", "model", "out"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("gpt2-convert: model/model.safetensors: 'lm_head.weight' differs from")
    assert error.endswith("or --drop lm_head.weight leaves it out and changes the model\n")
    assert run(["hf2tf", "model", "out", "--drop", "lm_head.weight", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["target"]["format"] == "tensorflow"
    assert any(note.startswith("the model was changed") for note in report["notes"])
