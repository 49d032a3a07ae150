"""A folder appears whole or not at all, and what somebody else has put there is never removed."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support import bundles
from support.folders import (
    NEW,
    OLD,
    STRANGERS,
    assert_only,
    replace,
)
from support.mishaps import ordinary_user

import gpt2_convert
from gpt2_convert.io import folder_replacement

if TYPE_CHECKING:
    from collections.abc import Callable


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


@pytest.mark.parametrize("existing", [False, True])
def test_everything_is_on_the_disk_before_it_is_relied_upon(
    one_step: bool, existing: bool, source: Path, target: Path, monkeypatch: pytest.MonkeyPatch
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
        def do(*arguments: object, **options: object) -> object:
            events.append(name)
            return call(*arguments, **options)

        return do

    now = vars(folder_replacement)["exchange"]  # which may be one that cannot
    monkeypatch.setattr(os, "fsync", log_fsync)
    monkeypatch.setattr(os, "rename", logged("rename", os.rename))
    monkeypatch.setattr(os, "unlink", logged("unlink", os.unlink))
    monkeypatch.setattr(folder_replacement, "exchange", logged("exchange", now))
    replace(source, target)

    def inode(path: Path) -> tuple[int, int]:
        status = path.stat()
        return status.st_ino, 0 if path.is_dir() else status.st_size

    contents = max(events.index(inode(path)) for path in target.iterdir())
    folder = events.index(inode(target))
    first_name = events.index("rename")
    parent = events.index(inode(target.parent))
    assert contents < folder < first_name < parent
    if existing:  # what is removed can be had back only from the disk
        names = events.count("exchange") + events[:parent].count("rename")
        assert names == (2 if one_step else 4)
        assert parent < events.index("unlink")


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
