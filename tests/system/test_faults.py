"""Faults while a target is written, for every writer: nothing half-written, nothing left behind."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support import bundles
from support.console import HELD, tell_interruption
from support.mishaps import at, ordinary_user
from support.writers import WRITERS, every_writer

import gpt2_convert

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy as np
    from support.forked import Program
    from support.writers import Writer

    Files = dict[str, bytes]

pytestmark = pytest.mark.slow


def content(target: Path) -> Files:
    """Return the bytes of a target by file; none where there is no target."""
    if target.is_dir():
        return {file.name: file.read_bytes() for file in target.iterdir()}
    return {"": target.read_bytes()} if target.exists() else {}


def expected(writer: Writer, source: Path, scratch: Path) -> Files:
    """Return what an undisturbed conversion writes; its bytes depend on the source alone."""
    scratch.mkdir()
    writer.convert(source, scratch / writer.name)
    found = content(scratch / writer.name)
    shutil.rmtree(scratch)
    return found


def other_weights() -> dict[str, np.ndarray[tuple[int, ...], np.dtype[np.float32]]]:
    return {name: -array for name, array in bundles.gpt2_arrays().items()}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    folder = tmp_path / "place"
    folder.mkdir()
    return folder


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A model of the same sizes and other weights, to be the older target."""
    return bundles.write_gpt2(tmp_path / "old", arrays=other_weights())


def refuse(
    error: type[gpt2_convert.Gpt2ConvertError],
    says: str,
    writer: Writer,
    source: Path,
    target: Path,
    **options: object,
) -> None:
    """Convert in vain, with an older target and without: each stays as it was."""
    before = content(target)
    folder = os.listdir(target.parent)
    with pytest.raises(error, match=says) as caught:
        writer.convert(source, target, force=True, **options)
    assert "\n" not in str(caught.value)
    assert content(target) == before
    assert os.listdir(target.parent) == folder


# What has no room.


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 800 KB, where one can be mounted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=800k", "none", str(folder)]
    if os.geteuid() or not shutil.which("mount") or subprocess.run(command, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@every_writer
@pytest.mark.parametrize("room", [0, 4, 60, 150])
def test_a_full_disk_leaves_the_older_target_and_nothing_else(
    room: int,
    writer: Writer,
    tiny: Path,
    old: Path,
    disk: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Asked first, the disk would tell; but others fill it up meanwhile.
    monkeypatch.setattr("gpt2_convert.api.target.check_free_space", lambda *asked: None)
    target = disk / writer.name
    writer.convert(old, target)
    free = os.statvfs(disk)
    (disk / "filler").write_bytes(bytes(free.f_bavail * free.f_frsize - (room << 10)))
    refuse(gpt2_convert.TargetError, "no space left on device", writer, tiny, target)
    (disk / "filler").unlink()
    writer.convert(tiny, target, force=True)
    assert gpt2_convert.verify(tiny, target).ok


@every_writer
def test_a_disk_that_may_only_be_read_is_said(
    writer: Writer, tiny: Path, old: Path, disk: Path
) -> None:
    target = disk / writer.name
    writer.convert(old, target)
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    refuse(gpt2_convert.TargetError, "read-only file system", writer, tiny, target)
    refuse(gpt2_convert.TargetError, "read-only file system", writer, tiny, target.with_name("new"))


@every_writer
@pytest.mark.parametrize("limit", [0, 1000, 40_000, 150_000])
@pytest.mark.parametrize("existing", [False, True])
def test_a_limit_of_file_sizes_leaves_everything_as_it_was(
    existing: bool, limit: int, writer: Writer, tiny: Path, old: Path, place: Path
) -> None:
    target = place / writer.name
    if existing:
        writer.convert(old, target)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        refuse(gpt2_convert.TargetError, "file too large", writer, tiny, target)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@every_writer
def test_a_folder_that_may_not_be_written_keeps_its_target(writer: Writer) -> None:
    # Not pytest's folder, into which only one user may look.
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        source = bundles.write_gpt2(folder / "new")
        place = folder / "place"
        place.mkdir()
        target = place / writer.name
        writer.convert(source, target)  # also imports all that is needed
        place.chmod(0o555)
        try:
            with ordinary_user():
                refuse(gpt2_convert.TargetError, "permission denied", writer, source, target)
                new = target.with_name("new")
                refuse(gpt2_convert.TargetError, "permission denied", writer, source, new)
        finally:
            place.chmod(0o755)


# Signals.


@every_writer
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
@pytest.mark.parametrize(
    ("phase", "fraction"), [("writing", 0), ("writing", 1), ("verifying", 0), ("verifying", 1)]
)
def test_a_signal_at_any_point_leaves_everything_as_it_was(
    phase: str,
    fraction: float,
    number: int,
    writer: Writer,
    program: Program,
    tiny: Path,
    old: Path,
    place: Path,
) -> None:
    target = place / writer.name
    writer.convert(old, target)
    before = content(target)
    arguments = ["convert", "--force", *writer.arguments]
    running = program.start_held(HELD, phase, str(fraction), *arguments, tiny, target)
    running.send_signal(number)
    done = running.finish()
    assert (done.code, done.out) == (128 + number, "")
    assert done.err == tell_interruption(number)
    assert content(target) == before
    assert os.listdir(place) == [writer.name]


# Sources that change.


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same model in every container, each in a folder of its own; tests copy them."""
    folder = tmp_path_factory.mktemp("sources")
    found = {"tensorflow": bundles.write_gpt2(folder / "tensorflow" / "model")}
    for name, writer in WRITERS.items():
        (folder / name).mkdir()
        found[name] = folder / name / writer.name
        writer.convert(found["tensorflow"], found[name])
    return found


@pytest.fixture
def path(source: str, sources: dict[str, Path], tmp_path: Path) -> Path:
    """A copy of the source that a test is about."""
    shutil.copytree(sources[source].parent, tmp_path / "source")
    return tmp_path / "source" / sources[source].name


def largest_file(source: Path) -> Path:
    files = source.iterdir() if source.is_dir() else [source]
    return max(files, key=lambda file: file.stat().st_size)


def truncate(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


def empty(file: Path) -> None:
    os.truncate(file, 0)


def zero(file: Path) -> None:
    size = file.stat().st_size
    with file.open("r+b") as stream:
        stream.seek(size // 3)
        stream.write(bytes(size // 3))


def replace(file: Path) -> None:
    """Put another file in its place, as an unfinished download would be."""
    other = file.with_name("other")
    other.write_bytes(file.read_bytes()[:-5000])
    other.replace(file)


@pytest.mark.parametrize("source", ["tensorflow", *WRITERS])
@pytest.mark.parametrize("phase", ["writing", "verifying"])
@pytest.mark.parametrize("change", [truncate, empty, zero, replace])
def test_a_source_that_changes_while_it_is_read_leaves_nothing(
    change: Callable[[Path], None],
    phase: str,
    source: str,
    path: Path,
    sources: dict[str, Path],
    place: Path,
) -> None:
    target = place / "out.npz"
    disturb = at(phase, lambda: change(largest_file(path)))
    if phase == "verifying" and change is replace:
        # The replaced file is still open, and read to its end: what was written is whole.
        gpt2_convert.convert(path, target, progress=disturb)
        assert gpt2_convert.verify(sources["tensorflow"], target).ok
        return
    if phase == "writing" and change is zero and source in ("safetensors", "hf"):
        gpt2_convert.convert(path, target, progress=disturb)
        # No checksum tells what was there before; the target is what the source is by now.
        assert gpt2_convert.verify(path, target).ok
        return
    with pytest.raises(gpt2_convert.Gpt2ConvertError) as caught:
        gpt2_convert.convert(path, target, progress=disturb)
    assert "\n" not in str(caught.value)
    assert os.listdir(place) == []


@pytest.mark.parametrize("source", ["tensorflow", *WRITERS])
def test_a_source_that_becomes_another_model_is_not_passed_off_as_it(
    source: str, path: Path, tmp_path: Path, old: Path, place: Path
) -> None:
    other = old if source == "tensorflow" else tmp_path / f"other-{path.name}"
    if source != "tensorflow":
        WRITERS[source].convert(old, other)

    def exchange() -> None:
        path.rename(tmp_path / "aside")
        other.rename(path)

    with pytest.raises(gpt2_convert.VerificationError, match="differs"):
        # Before the last chunk is written: the proof opens the source afresh.
        gpt2_convert.convert(path, place / "out.npz", progress=at("writing", exchange))
    assert os.listdir(place) == []


# Two at once.


@every_writer
@pytest.mark.parametrize("force", [False, True])
def test_two_processes_with_one_target_leave_one_whole_result(
    force: bool,
    writer: Writer,
    program: Program,
    tiny: Path,
    old: Path,
    tmp_path: Path,
    place: Path,
) -> None:
    target = place / writer.name
    results = [expected(writer, source, tmp_path / "scratch") for source in (tiny, old)]
    arguments = ["convert", "-q", *(["--force"] if force else []), *writer.arguments]
    first = program.start_held(HELD, "verifying", "0", *arguments, tiny, target)
    second = program.start_held(HELD, "verifying", "1", *arguments, old, target)
    assert len(os.listdir(place)) == 2
    outcomes = [first.finish(), second.finish()]
    if force:
        assert [(done.code, done.err) for done in outcomes] == [(0, ""), (0, "")]
        assert content(target) == results[1]
    else:
        assert [done.code for done in outcomes] == [0, 2]
        assert "was created meanwhile" in outcomes[1].err
        assert content(target) == results[0]
    assert os.listdir(place) == [writer.name]


# Names.


@every_writer
def test_a_link_stays_and_what_it_leads_to_is_replaced(
    writer: Writer, tiny: Path, old: Path, tmp_path: Path, place: Path
) -> None:
    real = tmp_path / "elsewhere" / writer.name
    real.parent.mkdir()
    writer.convert(old, real)
    link = place / "link"
    link.symlink_to(real)
    writer.convert(tiny, link, force=True)
    assert Path(os.readlink(link)) == real
    assert content(real) == expected(writer, tiny, tmp_path / "scratch")
    assert os.listdir(real.parent) == [writer.name]
    assert os.listdir(place) == ["link"]


STRANGE = {
    "spaces": b" a  b ",
    "a newline": b"a\nb",
    "bytes that are no text": b"\xff\xfe\x80",
    "a dash": b"--force",
    "a percent sign": b"%s%n{0}",
}


@every_writer
@pytest.mark.parametrize("name", STRANGE.values(), ids=STRANGE)
def test_any_path_can_be_read_from_and_written_to(
    name: bytes, writer: Writer, program: Program, tiny: Path, tmp_path: Path
) -> None:
    folder = tmp_path / os.fsdecode(name)
    folder.mkdir()
    source = folder / os.fsdecode(name)
    tiny.rename(source)
    target = folder / (os.fsdecode(name) + Path(writer.name).suffix)
    if target == source:
        target = folder / "out"
    done = program.run("convert", *writer.arguments, "--", bytes(source), bytes(target))
    assert (done.code, done.err) == (0, "")
    assert done.out.replace("\n", "").isprintable()
    assert gpt2_convert.verify(source, target).ok
    gpt2_convert.convert(target, folder / "again", to="npz")
    assert gpt2_convert.verify(source, folder / "again").ok
    done = program.run("convert", *writer.arguments, "--", bytes(source), bytes(target))
    assert done.code == 2
    assert done.err.count("\n") == 1
