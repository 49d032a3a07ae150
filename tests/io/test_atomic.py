"""The target appears whole or not at all, and whatever was there before stays until then."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import stat
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support import bundles
from support.archives import OLD, assert_complete, refuse, spoil
from support.mishaps import at, ordinary_user

import gpt2_convert
from gpt2_convert.io import atomic

if TYPE_CHECKING:
    from collections.abc import Iterator


def test_nothing_but_the_target_is_left(tiny: Path, place: Path) -> None:
    gpt2_convert.convert(tiny, place / "out.npz")
    assert os.listdir(place) == ["out.npz"]
    assert_complete(place / "out.npz")


def test_existing_target_needs_force(tiny: Path, place: Path) -> None:
    target = place / "out.npz"
    target.write_bytes(OLD)
    refuse(gpt2_convert.TargetExistsError, "force=True replaces it", tiny, target, force=False)
    assert target.read_bytes() == OLD
    gpt2_convert.convert(tiny, target, force=True)
    assert_complete(target)
    assert os.listdir(place) == ["out.npz"]


@pytest.mark.parametrize("existing", [False, True])
def test_source_that_fails_late_leaves_everything_as_it_was(
    existing: bool, tiny: Path, place: Path
) -> None:
    target = place / "out.npz"
    if existing:
        target.write_bytes(OLD)
    spoil(tiny)
    refuse(gpt2_convert.ChecksumError, "crc32c", tiny, target)
    assert os.listdir(place) == (["out.npz"] if existing else [])
    assert not existing or target.read_bytes() == OLD


SOURCE_FILES = ("model.ckpt.index", "model.ckpt.data-00000-of-00001", "hparams.json")


@pytest.mark.parametrize("name", SOURCE_FILES)
@pytest.mark.parametrize("way", ["name", "dots", "symlink", "hard link"])
def test_source_is_never_its_own_target(name: str, way: str, tiny: Path, place: Path) -> None:
    file = tiny / name
    before = file.read_bytes()
    target = place / "link"
    match way:
        case "name":
            target = file
        case "dots":
            target = tiny / ".." / tiny.name / name
        case "symlink":
            target.symlink_to(file)
        case "hard link":
            target.hardlink_to(file)
    refuse(gpt2_convert.UsageError, "same file", tiny, target)
    assert file.read_bytes() == before
    assert len(os.listdir(tiny)) == 4


def test_archive_is_never_its_own_target(tiny: Path, place: Path) -> None:
    target = place / "out.npz"
    gpt2_convert.convert(tiny, target, to="npz")
    before = target.read_bytes()
    refuse(gpt2_convert.UsageError, "same file", target, target)
    assert target.read_bytes() == before


def test_folder_as_target_is_refused(tiny: Path, place: Path) -> None:
    refuse(gpt2_convert.TargetError, "is a folder", tiny, place)
    assert os.listdir(place) == []


def test_pipe_as_target_is_refused_and_stays(tiny: Path, place: Path) -> None:
    target = place / "pipe"
    os.mkfifo(target)
    refuse(gpt2_convert.TargetError, "not a regular file", tiny, target)
    assert stat.S_ISFIFO(target.stat().st_mode)
    assert os.listdir(place) == ["pipe"]


@pytest.mark.parametrize("device", ["/dev/null", "/dev/zero", "/dev/full"])
def test_device_as_target_is_refused_and_stays(device: str, tiny: Path) -> None:
    if not os.path.exists(device):
        pytest.skip(f"this system has no {device}")
    before = os.stat(device)
    refuse(gpt2_convert.TargetError, "not a regular file", tiny, Path(device))
    assert os.stat(device).st_mode == before.st_mode


def test_missing_folder_is_named(tiny: Path, place: Path) -> None:
    refuse(gpt2_convert.TargetError, "no folder .*absent", tiny, place / "absent" / "out.npz")
    assert os.listdir(place) == []


def test_file_in_place_of_the_folder_is_refused(tiny: Path, place: Path) -> None:
    (place / "file").write_bytes(OLD)
    refuse(gpt2_convert.TargetError, "not a directory", tiny, place / "file" / "out.npz")
    assert (place / "file").read_bytes() == OLD


def test_unwritable_folder_is_an_error_and_keeps_the_old_file() -> None:
    # Not pytest's folder, into which only one user may look.
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)  # noqa: S103
        source = bundles.write_gpt2(Path(folder) / "tiny")
        place = Path(folder) / "place"
        place.mkdir()
        target = place / "out.npz"
        gpt2_convert.convert(source, target)  # also imports all that is needed
        target.write_bytes(OLD)
        place.chmod(0o555)
        with ordinary_user():
            refuse(gpt2_convert.TargetError, "permission denied", source, target)
            refuse(gpt2_convert.TargetError, "permission denied", source, place / "new.npz")
            assert os.listdir(place) == ["out.npz"]
            assert target.read_bytes() == OLD
        place.chmod(0o755)


def test_link_stays_a_link_and_its_file_is_replaced(tiny: Path, place: Path) -> None:
    (place / "there").mkdir()
    file = place / "there" / "real.npz"
    file.write_bytes(OLD)
    link = place / "link.npz"
    link.symlink_to(Path("there") / "real.npz")
    refuse(gpt2_convert.TargetExistsError, "exists", tiny, link, force=False)
    gpt2_convert.convert(tiny, link, force=True)
    assert os.readlink(link) == "there/real.npz"
    assert not file.is_symlink()
    assert_complete(file)
    assert sorted(os.listdir(place)) == ["link.npz", "there"]
    assert os.listdir(place / "there") == ["real.npz"]


def test_dangling_link_gets_the_file_that_it_points_at(tiny: Path, place: Path) -> None:
    link = place / "link.npz"
    link.symlink_to("real.npz")
    gpt2_convert.convert(tiny, link)
    assert link.is_symlink()
    assert_complete(place / "real.npz")
    link.unlink()
    link.symlink_to("absent/real.npz")
    refuse(gpt2_convert.TargetError, "no folder .*absent", tiny, link)


def test_link_that_leads_to_itself_is_refused(tiny: Path, place: Path) -> None:
    (place / "a").symlink_to("b")
    (place / "b").symlink_to("a")
    refuse(gpt2_convert.TargetError, "symbolic links", tiny, place / "a")
    assert sorted(os.listdir(place)) == ["a", "b"]


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_permissions_of_a_new_file_follow_the_umask(umask: int, tiny: Path, place: Path) -> None:
    target = place / "out.npz"
    before = os.umask(umask)
    try:
        gpt2_convert.convert(tiny, target)
    finally:
        os.umask(before)
    assert stat.S_IMODE(target.stat().st_mode) == 0o666 & ~umask


@pytest.mark.parametrize("name", ["a" * 255, "é" * 127 + "a", "重" * 85])
def test_longest_file_name_works(name: str, tiny: Path, place: Path) -> None:
    assert len(os.fsencode(name)) == 255
    seen: list[str] = []
    gpt2_convert.convert(
        tiny,
        place / name,
        to="npz",
        progress=lambda phase, done, total: seen.extend(os.listdir(place)),
    )
    assert os.listdir(place) == [name]
    partial = seen[0]
    assert partial.endswith(".partial")
    assert partial.isprintable()  # no letter was cut into bytes
    refuse(gpt2_convert.TargetError, "file name too long", tiny, place / (name + "b"))


def test_partial_file_is_beside_the_target_and_clearly_named(tiny: Path, place: Path) -> None:
    seen: set[str] = set()
    gpt2_convert.convert(
        tiny,
        place / "out.npz",
        progress=lambda phase, done, total: seen.update(os.listdir(place)),
    )
    (partial,) = seen
    assert partial.startswith("out.npz.")
    assert partial.endswith(".partial")


def test_file_size_limit_leaves_nothing(tiny: Path, place: Path) -> None:
    # Python ignores SIGXFSZ from its start, so the write fails with EFBIG.
    target = place / "out.npz"
    target.write_bytes(OLD)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        refuse(gpt2_convert.TargetError, "file too large", tiny, target)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert target.read_bytes() == OLD
    assert os.listdir(place) == ["out.npz"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 100 KB, where one can be mounted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    command = [mount or "mount", "-t", "tmpfs", "-o", "size=100k", "none", str(folder)]
    if os.geteuid() or not mount or subprocess.run(command, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("told", [True, False])
def test_full_disk_leaves_nothing(
    told: bool, small_disk: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = small_disk / "out.npz"
    target.write_bytes(OLD)
    if not told:
        monkeypatch.setattr("gpt2_convert.api.target.check_free_space", lambda *asked: None)
    message = "bytes are needed, and the file system has" if told else "no space left on device"
    refuse(gpt2_convert.TargetError, message, tiny, target)
    assert os.listdir(small_disk) == ["out.npz"]
    assert target.read_bytes() == OLD


@pytest.mark.parametrize("call", ["fsync", "replace", "link"])
def test_failure_of_the_last_steps_leaves_nothing(
    call: str, tiny: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = place / "out.npz"
    force = call != "link"
    if force:
        target.write_bytes(OLD)

    def fail(*arguments: object, **options: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, call, fail)
    # What takes the place of a link that is refused.
    monkeypatch.setattr(atomic, "rename_new", lambda old, new: False)
    refuse(gpt2_convert.TargetError, "input/output error", tiny, target, force=force)
    assert os.listdir(place) == (["out.npz"] if force else [])
    assert not force or target.read_bytes() == OLD


def without_links(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", fail)


def test_file_system_without_hard_links_is_good_enough(
    tiny: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_links(monkeypatch)
    gpt2_convert.convert(tiny, place / "out.npz")
    assert_complete(place / "out.npz")
    assert os.listdir(place) == ["out.npz"]


def test_without_hard_links_too_nothing_is_replaced_that_appears_meanwhile(
    tiny: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_links(monkeypatch)
    target = place / "out.npz"
    appear = at("verifying", lambda: target.write_bytes(OLD))
    with pytest.raises(gpt2_convert.TargetExistsError, match="was created meanwhile"):
        gpt2_convert.convert(tiny, target, progress=appear)
    assert os.listdir(place) == ["out.npz"]
    assert target.read_bytes() == OLD


def test_file_system_that_can_only_replace_is_asked_for_no_less_than_that(
    tiny: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_links(monkeypatch)
    monkeypatch.setattr(atomic, "rename_new", lambda old, new: False)
    target = place / "out.npz"
    refuse(gpt2_convert.TargetError, "force=True allows that", tiny, target, force=False)
    assert os.listdir(place) == []
    gpt2_convert.convert(tiny, target, force=True)
    assert_complete(target)


def test_relative_target_in_a_deleted_folder_is_refused(
    tiny: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    place.rmdir()
    refuse(gpt2_convert.TargetError, "working directory was deleted", tiny, Path("out.npz"))


def test_waived_proof_reads_nothing_again(tiny: Path, place: Path) -> None:
    phases: set[str] = set()
    report = gpt2_convert.convert(
        tiny,
        place / "out.npz",
        verify=False,
        progress=lambda phase, done, total: phases.add(phase),
    )
    assert phases == {"writing"}
    assert report.verification is None
    assert_complete(place / "out.npz")
