"""What a conversion may replace, and by which name an error calls its target."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from support.archives import spoil
from support.mishaps import at

import gpt2_convert
from gpt2_convert.api.target import choose_format
from gpt2_convert.formats.opening import open_written

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Any

    from gpt2_convert.checkpoint.raw import RawCheckpoint


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """An empty folder for targets."""
    (tmp_path / "place").mkdir()
    return tmp_path / "place"


@pytest.mark.parametrize(
    ("target", "into"),
    [
        ("out.npz", "npz"), ("OUT.NPZ", "npz"), ("out.safetensors", "safetensors"),
        ("out.h5", "hdf5"), ("out.hdf5", "hdf5"), ("out/", "hf"),
    ],
)  # fmt: skip
def test_the_end_of_a_name_says_the_format(target: str, into: str) -> None:
    assert choose_format(target, None, None) == into


def test_a_folder_that_is_there_asks_for_a_folder(place: Path) -> None:
    assert choose_format(place, None, None) == "hf"


def test_a_tensorflow_checkpoint_has_to_be_asked_for(tiny: Path) -> None:
    assert choose_format(tiny, None, None) == "hf"
    assert choose_format(tiny, "tensorflow", None) == "tensorflow"
    with pytest.raises(gpt2_convert.UsageError, match=r"none of '\.npz' \(npz\), .*'/' \(hf\)"):
        choose_format("out.ckpt", None, None)


@pytest.fixture
def bound(tiny: Path, tmp_path: Path) -> Iterator[Path]:
    """A second path to the folder of a Hugging Face model, where that can be had."""
    gpt2_convert.convert(tiny, tmp_path / "model", to="hf")
    second = tmp_path / "second"
    second.mkdir()
    mount = shutil.which("mount")
    command = [mount or "mount", "--bind", str(tmp_path / "model"), str(second)]
    if os.geteuid() or not mount or subprocess.run(command, check=False).returncode:
        pytest.skip("nothing can be mounted here")
    yield second
    subprocess.run(["umount", str(second)], check=True)


def test_a_folder_is_its_own_source_under_any_path(bound: Path, tmp_path: Path) -> None:
    source = tmp_path / "model"
    before = {file.name: file.read_bytes() for file in source.iterdir()}
    for one, other in ((source, bound), (bound, source)):
        with pytest.raises(gpt2_convert.UsageError, match="source lies in the target folder"):
            gpt2_convert.convert(one, other, to="hf", force=True)
    assert {file.name: file.read_bytes() for file in source.iterdir()} == before


def test_a_folder_above_the_source_is_no_target(bound: Path, tmp_path: Path) -> None:
    inner = tmp_path / "model" / "vocab.json"  # a name that a folder to be replaced may hold
    inner.mkdir()
    for file in ("config.json", "model.safetensors"):
        (tmp_path / "model" / file).rename(inner / file)
    with pytest.raises(gpt2_convert.UsageError, match="source lies in the target folder"):
        gpt2_convert.convert(inner, bound, to="hf", force=True)


@pytest.mark.parametrize("to", ["npz", "hf"])
def test_a_target_that_becomes_the_source_meanwhile_is_not_replaced(
    to: Any,  # noqa: ANN401 - a key of WRITERS
    tiny: Path,
    place: Path,
) -> None:
    gpt2_convert.convert(tiny, place / "model", to="hf")
    source = place / "model" / "model.safetensors" if to == "npz" else place / "model"
    target = place / "out"
    if to == "hf":
        shutil.copytree(source, target)
    else:
        target.write_bytes(b"older")

    def become_it() -> None:
        if to == "npz":
            os.link(source, place / "linked")
            os.replace(place / "linked", target)
        else:
            shutil.rmtree(target)
            os.rename(source, target)
            os.symlink(target, source)

    with pytest.raises(gpt2_convert.UsageError, match="source"):
        gpt2_convert.convert(
            source,
            target,
            to=to,
            force=True,
            progress=at("verifying", become_it),
        )
    assert gpt2_convert.verify(tiny, source).ok


@pytest.mark.parametrize(("to", "name"), [("npz", "out.npz"), ("hf", "out")])
def test_an_error_of_what_was_written_names_the_target(
    to: Any,  # noqa: ANN401 - a key of WRITERS
    name: str,
    tiny: Path,
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def cut_short(path: Path, format: str) -> RawCheckpoint:
        os.truncate(path / "model.safetensors" if to == "hf" else path, 1000)
        return open_written(path, format)

    monkeypatch.setattr("gpt2_convert.api.convert.open_written", cut_short)
    target = place / name
    with pytest.raises(gpt2_convert.FormatError) as caught:
        gpt2_convert.convert(tiny, target, to=to)
    message = str(caught.value)
    assert message.startswith(str(target))
    assert "/proc/" not in message
    assert ".partial" not in message
    assert os.listdir(place) == []


def test_what_stays_behind_is_a_note_of_the_report(
    tiny: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rmdir = os.rmdir

    def refuse(name: str, *, dir_fd: int | None = None) -> None:
        if name.endswith(".partial"):
            raise PermissionError(1, "Operation not permitted")
        rmdir(name, dir_fd=dir_fd)

    monkeypatch.setattr(os, "rmdir", refuse)
    report = gpt2_convert.convert(tiny, place / "out.npz")
    (left,) = set(os.listdir(place)) - {"out.npz"}
    assert report.notes[-1] == (f"{place / left}: could not be removed: operation not permitted")
    spoil(tiny)
    with pytest.raises(
        gpt2_convert.ChecksumError, match=r"partial: could not be removed"
    ) as caught:
        gpt2_convert.convert(tiny, place / "out.npz", force=True)
    assert "\n" not in caught.value.spell(lambda option, value: option)


def change(path: Path, flag: str) -> None:
    chattr = shutil.which("chattr")
    if not chattr or subprocess.run([chattr, flag, path], capture_output=True).returncode:
        pytest.skip("files cannot be made immutable here")


def test_an_immutable_file_of_the_older_folder_is_named(tiny: Path, place: Path) -> None:
    target = place / "hf"
    gpt2_convert.convert(tiny, target, to="hf")
    change(target / "config.json", "+i")
    try:
        report = gpt2_convert.convert(tiny, target, to="hf", force=True)
    finally:
        (kept,) = (path for path in place.rglob("config.json") if path.parent != target)
        change(kept, "-i")
    assert gpt2_convert.verify(tiny, target).ok
    (left,) = set(os.listdir(place)) - {"hf"}
    assert left.endswith(".old")
    assert f"{place / left}: could not be removed: operation not permitted" in report.notes
    assert os.listdir(place / left) == ["config.json"]


def test_a_folder_to_which_can_only_be_added_is_good_enough(tiny: Path, place: Path) -> None:
    change(place, "+a")
    try:
        report = gpt2_convert.convert(tiny, place / "out.npz")
    finally:
        change(place, "-a")
    assert gpt2_convert.verify(tiny, place / "out.npz").ok
    (left,) = set(os.listdir(place)) - {"out.npz"}
    assert report.notes[-1] == f"{place / left}: could not be removed: operation not permitted"
    assert os.listdir(place / left) == []
