"""A conversion as a library call: what comes out, and that nothing half-done ever does."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING

import h5py
import numpy as np
import pytest
from safetensors.numpy import save_file
from support import bundles, raws, torch_files
from support.writers import WRITERS

import gpt2_convert

if TYPE_CHECKING:
    from pathlib import Path

LATE_IMPORTS = """
import json, sys
import gpt2_convert

present = None

def watch(phase, done, total):
    global present
    present = present or set(sys.modules)

gpt2_convert.convert(sys.argv[1], sys.argv[2], progress=watch, **json.loads(sys.argv[3]))
print(sorted(set(sys.modules) - present))
"""
"""Converts, and prints the modules that were imported once there was something of the target."""


def test_npz_holds_every_weight_in_canonical_form(tiny: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.npz"
    report = gpt2_convert.convert(tiny, target)
    assert report.ok
    assert report.verification is not None
    expected = raws.canonical()
    with np.load(target) as archive:
        assert archive.files == list(expected)
        for name, weights in expected.items():
            assert archive[name].dtype == np.float32
            np.testing.assert_array_equal(archive[name], weights, strict=True)


def test_members_are_stored_and_pass_zipfile_s_own_test(tiny: Path, tmp_path: Path) -> None:
    gpt2_convert.convert(tiny, tmp_path / "out.npz")
    with zipfile.ZipFile(tmp_path / "out.npz") as archive:
        assert archive.testzip() is None
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}


def test_member_headers_are_numpy_s(tiny: Path, tmp_path: Path) -> None:
    gpt2_convert.convert(tiny, tmp_path / "out.npz")
    np.save(tmp_path / "wpe.npy", raws.canonical()["wpe"])
    with zipfile.ZipFile(tmp_path / "out.npz") as archive:
        assert archive.read("wpe.npy") == (tmp_path / "wpe.npy").read_bytes()


def test_comment_states_hparams_alone(tiny: Path, tmp_path: Path) -> None:
    gpt2_convert.convert(tiny, tmp_path / "out.npz")
    with zipfile.ZipFile(tmp_path / "out.npz") as archive:
        comment = json.loads(archive.comment)
    statement = {"hparams": bundles.TINY}
    text = json.dumps(statement, sort_keys=True, separators=(",", ":")).encode()
    assert comment == {**statement, "checksum": hashlib.sha256(text).hexdigest()}
    with gpt2_convert.open(tmp_path / "out.npz") as checkpoint:
        assert checkpoint.hparams.known() == bundles.TINY


def test_reports_name_the_checkpoint_that_was_read(tmp_path: Path) -> None:
    for step in (1, 2):
        bundles.write_gpt2(tmp_path / str(step)).rename(tmp_path / f"run{step}")
    run = tmp_path / "run1"
    for path in list(run.glob("model.ckpt*")):
        path.rename(run / path.name.replace("model.ckpt", "model.ckpt-1"))
    for path in (tmp_path / "run2").glob("model.ckpt*"):
        path.rename(run / path.name.replace("model.ckpt", "model.ckpt-2"))
    (run / "checkpoint").write_text('model_checkpoint_path: "model.ckpt-2"')
    names: dict[int | None, str] = {None: "model.ckpt-2", 1: "model.ckpt-1"}
    for chosen, name in names.items():
        report = gpt2_convert.convert(run, tmp_path / "out.npz", step=chosen, force=True)
        assert report.source.path == str(run / name)
        assert gpt2_convert.digest(run, step=chosen).side.path == str(run / name)


def test_bytes_depend_on_the_tensors_alone(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "else where" / "gpt2"
    shutil.copytree(tiny, elsewhere)
    for old in list(elsewhere.glob("model.ckpt*")):
        old.rename(old.with_name(old.name.replace("model.ckpt", "renamed-77")))
    (elsewhere / "checkpoint").unlink()
    targets = [tmp_path / f"{number}.npz" for number in range(5)]
    monkeypatch.chdir(tiny)
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    gpt2_convert.convert(".", targets[0])
    gpt2_convert.convert(tiny / "model.ckpt", targets[1])
    gpt2_convert.convert(tiny / "model.ckpt.index", targets[2])
    gpt2_convert.convert("model.ckpt.data-00000-of-00001", targets[3])
    gpt2_convert.convert(elsewhere, targets[4])
    assert len({target.read_bytes() for target in targets}) == 1


def test_report_accounts_for_every_source_tensor(tmp_path: Path) -> None:
    arrays = {**bundles.gpt2_arrays(), "global_step": np.ones((), np.int64)}
    source = bundles.write_gpt2(tmp_path / "trained", arrays=arrays)
    report = gpt2_convert.convert(source, tmp_path / "out.npz")
    accounted = [source_name for source_name, _ in report.mapped]
    accounted += [drop.source_name for drop in report.dropped]
    assert sorted(accounted) == sorted(arrays)
    assert [name for _, name in report.mapped] == list(raws.canonical())
    assert report.dropped == (gpt2_convert.Dropped("global_step", "the training step"),)


@pytest.mark.parametrize("suffix", ["npz", "h5", "safetensors", "pt"])
def test_a_trainer_s_counters_are_left_out_of_any_container(suffix: str, tmp_path: Path) -> None:
    counters = {"step": np.array(7), "epoch": np.array(2.5, np.float32)}
    arrays = {**raws.huggingface(), **counters}
    source = tmp_path / f"x.{suffix}"
    if suffix == "npz":
        np.savez(source, allow_pickle=False, **arrays)
    elif suffix == "h5":
        with h5py.File(source, "w") as file:
            for name, array in arrays.items():
                file[name.replace(".", "/")] = array
    elif suffix == "safetensors":
        save_file(arrays, source)
    else:
        torch_files.write(source, torch_files.state_dict(arrays))
    report = gpt2_convert.convert(source, tmp_path / "out.npz")
    assert {each.source_name for each in report.dropped} == set(counters)
    assert gpt2_convert.verify(tmp_path / "out.npz", source).ok
    assert gpt2_convert.convert(source, tmp_path / "all.npz", as_is=True).totals.tensors == 42


def test_without_hparams_the_target_states_what_the_shapes_say(tmp_path: Path) -> None:
    source = bundles.write_gpt2(tmp_path / "bare", hparams=False)
    report = gpt2_convert.convert(source, tmp_path / "out.npz")
    assert report.hparams_from == "the shapes"
    assert report.hparams is not None
    assert report.hparams.n_head is None
    with zipfile.ZipFile(tmp_path / "out.npz") as archive:
        assert "n_head" not in json.loads(archive.comment)["hparams"]
    assert gpt2_convert.verify(source, tmp_path / "out.npz").ok


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_other_widths_are_kept_as_stored(dtype: str, tmp_path: Path) -> None:
    arrays = bundles.gpt2_arrays(dtype=dtype)
    source = bundles.write_gpt2(tmp_path / "source", arrays=arrays)
    assert gpt2_convert.convert(source, tmp_path / "out.npz").totals.dtype == dtype
    with np.load(tmp_path / "out.npz") as archive:
        np.testing.assert_array_equal(archive["wpe"], arrays["model/wpe"], strict=True)


def test_bfloat16_is_refused_because_numpy_has_none(tmp_path: Path) -> None:
    bundle = bundles.Bundle()
    for name, array in bundles.gpt2_arrays(dtype="float16").items():
        bundle.add(name, array)
        bundle.entries[name].dtype = bundles.BFLOAT16
    bundle.write(tmp_path / "source" / "model.ckpt")
    with pytest.raises(gpt2_convert.UnsupportedError, match="no bfloat16 dtype"):
        gpt2_convert.convert(tmp_path / "source", tmp_path / "out.npz")
    assert not list(tmp_path.glob("out*"))


def test_first_corrupt_tensor_is_named_and_nothing_is_left(tiny: Path, tmp_path: Path) -> None:
    shard = tiny / "model.ckpt.data-00000-of-00001"
    shard.write_bytes(bytes(shard.stat().st_size))
    with pytest.raises(gpt2_convert.ChecksumError, match="'model/wte': crc32c"):
        gpt2_convert.convert(tiny, tmp_path / "out.npz")
    assert not list(tmp_path.glob("out*"))


def test_unverified_is_said(tiny: Path, tmp_path: Path) -> None:
    report = gpt2_convert.convert(tiny, tmp_path / "out.npz", verify=False)
    assert report.verification is None
    assert report.as_json()["verified"] is False
    assert gpt2_convert.verify(tiny, tmp_path / "out.npz").ok


def test_progress_covers_both_phases_and_ends_at_the_total(tiny: Path, tmp_path: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    gpt2_convert.convert(tiny, tmp_path / "out.npz", progress=lambda *event: seen.append(event))
    total = 4 * sum(array.size for array in bundles.gpt2_arrays().values())
    for phase in ("writing", "verifying"):
        counts = [done for name, done, of in seen if name == phase and of == total]
        assert counts == sorted(counts)
        assert (counts[0], counts[-1]) == (0, total)
    assert {name for name, _, _ in seen} == {"writing", "verifying"}


def test_an_unknown_format_is_a_usage_error(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(gpt2_convert.UsageError, match="no such format: 'zarr'"):
        gpt2_convert.convert(tiny, tmp_path / "out.zarr", to="zarr")  # type: ignore[arg-type]


@pytest.mark.parametrize("path", ["", "a\0b", "a\ud800b.npz"])
def test_what_no_file_name_can_be_is_a_usage_error(path: str, tiny: Path) -> None:
    with pytest.raises(gpt2_convert.UsageError):
        gpt2_convert.open(path)
    with pytest.raises(gpt2_convert.UsageError):
        gpt2_convert.convert(tiny, path, to="npz")


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize(
    "options",
    [
        {},
        pytest.param({"dtype": "float16", "verify": False}, marks=pytest.mark.slow),
        pytest.param({"dtype": "float64", "digest": True}, marks=pytest.mark.slow),
    ],
)
def test_nothing_is_imported_while_there_is_half_a_target(
    options: dict[str, object], writer: str, tmp_path: Path
) -> None:
    # An import may fail in many ways, and a library may even end the process.
    source = bundles.write_gpt2(tmp_path / "model")
    (source / "README.md").write_text("# A model\n")
    options = {**WRITERS[writer].options, **options}
    command: list[str | Path] = [
        sys.executable, "-c", LATE_IMPORTS, source, tmp_path / WRITERS[writer].name,
        json.dumps(options),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
