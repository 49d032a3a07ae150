"""A folder appears whole or not at all, and what somebody else has put there is never removed."""

from __future__ import annotations

import errno
import os
import re
import shutil
import stat
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from safetensors.numpy import load_file
from support import bundles, raws
from support.mishaps import at, ordinary_user

import gpt2_convert
from gpt2_convert.io import atomic_folder

if TYPE_CHECKING:
    from collections.abc import Callable

OLD, NEW = 0, 1
"""Seeds of the weights in the folder that is there, and in the one that is to replace it."""
FILES = {"config.json", "model.safetensors"}
EXCHANGE = atomic_folder._exchange


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
        monkeypatch.setattr(atomic_folder, "_exchange", lambda first, second: False)
        return False
    if sys.platform != "linux":
        pytest.skip("this system cannot exchange folders")
    return True


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


@STRANGERS
def test_folder_with_a_stranger_in_it_is_refused_at_once(
    add: Callable[[Path], str], source: Path, target: Path
) -> None:
    name = add(target)
    began = []
    with pytest.raises(gpt2_convert.TargetError, match=f"holds '{name}'"):
        replace(source, target, lambda: began.append(True))
    assert not began
    assert_only(target, OLD, name)


@STRANGERS
@pytest.mark.parametrize("moment", ["early", "right before", "right after"])
def test_stranger_that_comes_meanwhile_stays_and_stops_the_replacement(
    moment: str,
    add: Callable[[Path], str],
    one_step: bool,
    source: Path,
    target: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names: set[str] = set()

    def exchange(first: Path, second: Path) -> bool:
        if not names and moment == "right before":
            names.add(add(second))
        exchanged = one_step and EXCHANGE(first, second)
        if not names and exchanged:
            names.add(add(first))
        return exchanged

    rename = os.rename

    def rename_and_add(first: Path, second: Path) -> None:
        rename(first, second)
        if not names and str(second).endswith(".old"):
            names.add(add(second))

    if moment == "early":
        early: Callable[[], object] = lambda: names.add(add(target))  # noqa: E731
    else:
        early = lambda: None  # noqa: E731
        monkeypatch.setattr(atomic_folder, "_exchange", exchange)
        if not one_step:
            monkeypatch.setattr(os, "rename", rename_and_add)
    with pytest.raises(gpt2_convert.TargetError, match="so it is never replaced"):
        replace(source, target, early)
    (name,) = names
    assert_only(target, OLD, name)
    if add is add_folder:
        assert (target / name / "notes.txt").read_text() == "years of work"


@pytest.mark.usefixtures("one_step")
def test_stranger_that_comes_even_later_outlives_the_older_folder(
    source: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unlink = os.unlink

    def add_and_unlink(path: Path) -> None:
        add_file(path.parent)
        monkeypatch.setattr(os, "unlink", unlink)
        unlink(path)

    monkeypatch.setattr(os, "unlink", add_and_unlink)
    replace(source, target)
    assert is_model(target, NEW)
    (left,) = set(os.listdir(target.parent)) - {"hf"}
    assert re.fullmatch(r"hf\.[0-9a-f]{8}\.old", left)
    assert os.listdir(target.parent / left) == ["notes.txt"]


def test_stranger_that_comes_early_spares_the_target_any_change(
    source: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = []
    monkeypatch.setattr(atomic_folder, "_exchange", lambda *folders: changes.append(folders))
    with pytest.raises(gpt2_convert.TargetError, match=r"holds 'notes\.txt'"):
        replace(source, target, lambda: add_file(target))
    assert changes == []


def test_exchange_that_cannot_be_undone_in_one_step_is_undone_in_two(
    source: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if sys.platform != "linux":
        pytest.skip("this system cannot exchange folders")

    def exchange_once(first: Path, second: Path) -> bool:
        monkeypatch.setattr(atomic_folder, "_exchange", lambda first, second: False)
        add_file(second)
        return EXCHANGE(first, second)

    monkeypatch.setattr(atomic_folder, "_exchange", exchange_once)
    with pytest.raises(gpt2_convert.TargetError, match=r"holds 'notes\.txt'"):
        replace(source, target)
    assert_only(target, OLD, "notes.txt")


@pytest.mark.parametrize("kind", ["file", "pipe", "link"])
def test_what_takes_the_place_of_the_folder_meanwhile_is_not_replaced(
    kind: str, source: Path, target: Path
) -> None:
    other = target.parent / "other"

    def take_its_place() -> None:
        target.rename(other)
        match kind:
            case "file":
                target.write_text("years of work")
            case "pipe":
                os.mkfifo(target)
            case "link":
                target.symlink_to("other")

    with pytest.raises(gpt2_convert.TargetError, match="not a directory"):
        replace(source, target, take_its_place)
    mode = target.lstat().st_mode
    assert {"file": stat.S_ISREG, "pipe": stat.S_ISFIFO, "link": stat.S_ISLNK}[kind](mode)
    assert is_model(other, OLD)
    assert sorted(os.listdir(target.parent)) == ["hf", "other"]


@pytest.mark.parametrize("empty", [False, True])
def test_folder_that_appears_meanwhile_is_not_replaced_without_force(
    empty: bool, tiny: Path, source: Path, place: Path
) -> None:
    target = place / "hf"
    if empty:
        target.mkdir()
    appear = at("verifying", lambda: gpt2_convert.convert(tiny, target, to="hf"))
    with pytest.raises(gpt2_convert.TargetExistsError, match="created meanwhile"):
        gpt2_convert.convert(source, target, to="hf", progress=appear)
    assert_only(target, OLD)


@pytest.mark.usefixtures("one_step")
def test_model_folder_that_appears_meanwhile_is_replaced_with_force(
    tiny: Path, source: Path, place: Path
) -> None:
    target = place / "hf"
    replace(source, target, lambda: gpt2_convert.convert(tiny, target, to="hf"))
    assert_only(target, NEW)


@pytest.mark.parametrize("problem", [KeyboardInterrupt(), OSError(errno.EIO, "broken")])
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(
    ("one_step", "step"),
    [("one step", 2), ("two steps", 2), ("two steps", 3)],
    indirect=["one_step"],
)
@pytest.mark.usefixtures("one_step")
def test_failure_between_the_steps_brings_the_older_folder_back(
    step: int,
    when: str,
    problem: BaseException,
    source: Path,
    target: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rename = os.rename
    calls = 0

    def fail(first: Path, second: Path) -> None:
        nonlocal calls
        calls += 1
        if calls == step and when == "before":
            raise problem
        rename(first, second)
        if calls == step:
            raise problem

    monkeypatch.setattr(os, "rename", fail)
    raised = gpt2_convert.TargetError if isinstance(problem, OSError) else KeyboardInterrupt
    with pytest.raises(raised):
        replace(source, target)
    assert calls >= step
    assert_only(target, OLD)


def test_error_says_where_the_older_folder_is_when_it_cannot_be_brought_back(
    source: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = os.rename

    def fail_at_target(first: Path, second: Path) -> None:
        if second == target and not target.exists():
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        rename(first, second)

    monkeypatch.setattr(atomic_folder, "_exchange", lambda first, second: False)
    monkeypatch.setattr(os, "rename", fail_at_target)
    with pytest.raises(gpt2_convert.TargetError, match="the older folder is now") as caught:
        replace(source, target)
    (left,) = target.parent.iterdir()
    assert str(caught.value).endswith(f"input/output error; the older folder is now {left}")
    assert is_model(left, OLD)


def test_one_step_is_never_without_a_target(
    one_step: bool, source: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    absent = []

    def watched(call: Callable[..., None]) -> Callable[..., None]:
        def do(*arguments: object) -> None:
            call(*arguments)
            if not target.exists():
                absent.append(os.listdir(target.parent))

        return do

    for name in ("rename", "unlink", "rmdir"):
        monkeypatch.setattr(os, name, watched(getattr(os, name)))
    replace(source, target)
    assert_only(target, NEW)
    assert len(absent) == (0 if one_step else 1)
    for names in absent:  # what is then the only copy must not look like what may be deleted
        assert sorted(name.rpartition(".")[2] for name in names) == ["old", "partial"]


def test_two_replacements_at_once_disturb_neither(
    one_step: bool, tiny: Path, source: Path, target: Path
) -> None:
    replace(source, target, lambda: replace(tiny, target))
    assert_only(target, NEW)


def test_folder_that_could_not_be_removed_is_not_replaced() -> None:
    # Not pytest's folder, into which only one user may look.
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)  # noqa: S103
        source = bundles.write_gpt2(Path(folder) / "tiny")
        place = Path(folder) / "place"
        place.mkdir()
        place.chmod(0o777)
        gpt2_convert.convert(source, place / "hf", to="hf")
        (place / "hf").chmod(0o555)
        with ordinary_user(), pytest.raises(gpt2_convert.TargetError, match="permission denied"):
            replace(source, place / "hf")
        assert_only(place / "hf", OLD)
        (place / "hf").chmod(0o755)


def test_relative_target_in_a_deleted_folder_is_refused(
    tiny: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    place.rmdir()
    with pytest.raises(gpt2_convert.TargetError, match="working directory was deleted"):
        gpt2_convert.convert(tiny, "hf", to="hf")


def refusing_folders(number: int) -> Callable[[int], None]:
    """Return an fsync that fails for folders."""
    fsync = os.fsync

    def fail(fd: int) -> None:
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            raise OSError(number, os.strerror(number))
        fsync(fd)

    return fail


def test_file_system_that_cannot_sync_folders_is_good_enough(
    source: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", refusing_folders(errno.EINVAL))
    replace(source, target)
    assert_only(target, NEW)


def test_folder_that_fails_to_reach_the_disk_is_an_error(
    source: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", refusing_folders(errno.EIO))
    with pytest.raises(gpt2_convert.TargetError, match="input/output error"):
        replace(source, target)
    assert_only(target, OLD)


@pytest.mark.usefixtures("one_step")
@pytest.mark.parametrize("existing", [False, True])
def test_everything_is_on_the_disk_before_it_is_relied_upon(
    existing: bool, source: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not existing:
        shutil.rmtree(target)
    events: list[tuple[int, int] | str] = []
    fsync = os.fsync

    def log_fsync(fd: int) -> None:
        status = os.fstat(fd)
        events.append((status.st_ino, 0 if stat.S_ISDIR(status.st_mode) else status.st_size))
        fsync(fd)

    def logged(name: str, call: Callable[..., object]) -> Callable[..., object]:
        def do(*arguments: Path) -> object:
            if name != "unlink" or ".old" in str(arguments[0]):
                events.append(name)
            return call(*arguments)

        return do

    monkeypatch.setattr(os, "fsync", log_fsync)
    monkeypatch.setattr(os, "rename", logged("rename", os.rename))
    monkeypatch.setattr(os, "unlink", logged("unlink", os.unlink))
    monkeypatch.setattr(atomic_folder, "_exchange", logged("exchange", atomic_folder._exchange))
    replace(source, target)

    def inode(path: Path) -> tuple[int, int]:
        status = path.stat()
        return status.st_ino, 0 if path.is_dir() else status.st_size

    contents = max(events.index(inode(path)) for path in target.iterdir())
    folder = events.index(inode(target))
    first_name = events.index("rename")
    last_name = max(index for index, event in enumerate(events) if event in ("rename", "exchange"))
    parent = len(events) - 1 - events[::-1].index(inode(target.parent))
    assert contents < folder < first_name <= last_name < parent
    if existing:  # what is removed can be had back only from the disk
        assert last_name < events.index(inode(target.parent)) < events.index("unlink")


def test_nothing_is_written_that_could_not_be_removed(source: Path, target: Path) -> None:
    (source / "encoder.json").write_bytes(b'{"a": 0}')
    (source / "vocab.bpe").write_bytes(b"#version: 0.2\n")
    replace(source, target)
    assert_only(target, NEW, "vocab.json", "merges.txt")
    replace(source, target)
    assert_only(target, NEW, "vocab.json", "merges.txt")


def test_what_a_conversion_writes_itself_it_replaces_again_and_another_does_not(
    source: Path, target: Path
) -> None:
    (source / "code.py").write_bytes(b"first")
    replace(source, target)
    (source / "code.py").write_bytes(b"second")
    replace(source, target)
    assert (target / "code.py").read_bytes() == b"second"
    (source / "code.py").unlink()
    with pytest.raises(gpt2_convert.TargetError, match=r"holds 'code\.py'"):
        replace(source, target)
    assert_only(target, NEW, "code.py")
