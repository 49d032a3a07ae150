"""In a folder that others may write, nobody can exchange what is being made for something else."""

from __future__ import annotations

import os
import re
import shutil
import signal
import stat
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from support.archives import OLD, assert_complete
from support.mishaps import at, ordinary_user

import gpt2_convert
from gpt2_convert.io import private_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FOREIGN = 0.5
"""What the other user's archives hold in place of the weights."""
PARTIAL = re.compile(r"out(\.npz)?\.[0-9a-f]{8}\.partial")


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder that everybody may write to, and enter: pytest's lets one user in."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)  # noqa: S103
        place = Path(folder) / "place"
        place.mkdir()
        place.chmod(0o777)
        yield place
        shutil.rmtree(place)


@pytest.fixture
def foreign(tiny: Path, shared: Path) -> Path:
    """The other user's file: an archive like that of the checkpoint, but for its values."""
    made = gpt2_convert.convert(tiny, shared.parent / "foreign.npz")
    with np.load(made.target.path) as archive:
        arrays = {name: np.full_like(archive[name], FOREIGN) for name in archive.files}
    np.savez(shared.parent / "foreign.npz", **arrays)
    os.chmod(shared.parent / "foreign.npz", 0o644)
    return shared.parent / "foreign.npz"


def find_partial(shared: Path) -> Path:
    (name,) = (name for name in os.listdir(shared) if PARTIAL.fullmatch(name))
    return shared / name


def put_a_folder(partial: Path, foreign: Path) -> None:
    partial.rename(partial.with_name("moved"))
    partial.mkdir()
    shutil.copy(foreign, partial / "out.npz")
    (partial / "out").mkdir()


def put_a_link(partial: Path, foreign: Path) -> None:
    partial.rename(partial.with_name("moved"))
    partial.symlink_to(foreign.parent)


def put_a_file(partial: Path, foreign: Path) -> None:
    partial.rename(partial.with_name("moved"))
    shutil.copy(foreign, partial)


def take_away(partial: Path, foreign: Path) -> None:
    partial.rename(partial.with_name("moved"))


ATTACKS = pytest.mark.parametrize("attack", [put_a_folder, put_a_link, put_a_file, take_away])


@ATTACKS
@pytest.mark.parametrize("phase", ["writing", "verifying"])
@pytest.mark.parametrize("name", ["out.npz", "out"])
def test_what_another_user_puts_in_its_place_is_never_taken_for_it(
    name: str, phase: str, attack: Callable[[Path, Path], None], tiny: Path, shared: Path,
    foreign: Path,
) -> None:  # fmt: skip
    def act() -> None:
        with ordinary_user():
            attack(find_partial(shared), foreign)

    with pytest.raises(gpt2_convert.TargetError, match="has moved or replaced"):
        gpt2_convert.convert(
            tiny, shared / name, to="npz" if name == "out.npz" else "hf", progress=at(phase, act)
        )
    assert name not in os.listdir(shared)
    assert not (shared / "moved" / name).exists()


@ATTACKS
def test_what_is_put_back_in_time_was_never_read(
    attack: Callable[[Path, Path], None], tiny: Path, shared: Path, foreign: Path
) -> None:
    def watch(phase: str, done: int, total: int) -> None:
        if phase != "verifying":
            return
        if not done:
            partial = find_partial(shared)
            attack(partial, foreign)
            partials.append(partial)
        elif done == total:
            partial = partials.pop()
            if partial.is_symlink() or partial.is_file():
                partial.unlink()
            elif partial.exists():
                shutil.rmtree(partial)
            partial.with_name("moved").rename(partial)

    partials: list[Path] = []
    gpt2_convert.convert(tiny, shared / "out.npz", progress=watch)
    assert not partials
    assert_complete(shared / "out.npz")
    assert os.listdir(shared) == ["out.npz"]


@pytest.mark.parametrize("attack", [put_a_folder, put_a_link, put_a_file])
@pytest.mark.parametrize("name", ["out.npz", "out"])
def test_what_takes_its_place_before_it_is_opened_is_not_written_to(
    name: str, attack: Callable[[Path, Path], None], tiny: Path, shared: Path, foreign: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    mkdir = os.mkdir

    def make_and_lose(made: str, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
        mkdir(made, mode, dir_fd=dir_fd)
        monkeypatch.setattr(os, "mkdir", mkdir)
        with ordinary_user():
            attack(find_partial(shared), foreign)

    victim = foreign.parent / name
    victim.write_bytes(OLD)
    monkeypatch.setattr(os, "mkdir", make_and_lose)
    with pytest.raises(gpt2_convert.TargetError):
        gpt2_convert.convert(tiny, shared / name, to="npz" if name == "out.npz" else "hf")
    assert victim.read_bytes() == OLD
    assert name not in os.listdir(shared)


def test_an_empty_folder_of_another_user_is_not_ours(
    tiny: Path, shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if os.geteuid():
        pytest.skip("only root can be another user")
    mkdir = os.mkdir

    def make_and_lose(made: str, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
        mkdir(made, mode, dir_fd=dir_fd)
        monkeypatch.setattr(os, "mkdir", mkdir)
        with ordinary_user():
            partial = find_partial(shared)
            partial.rename(shared / "moved")
            partial.mkdir(0o700)

    monkeypatch.setattr(os, "mkdir", make_and_lose)
    with pytest.raises(gpt2_convert.TargetError, match="another user has put a folder"):
        gpt2_convert.convert(tiny, shared / "out.npz")
    assert "out.npz" not in os.listdir(shared)


RACE = 20
"""Conversions against which the other user runs."""


def test_another_user_who_tries_all_the_time_wins_nothing(
    tiny: Path, shared: Path, foreign: Path
) -> None:
    if os.geteuid():
        pytest.skip("only root can be another user")
    attacker = os.fork()
    if not attacker:
        try:
            os.setuid(65534)
            keep_attacking(shared, foreign)
        finally:
            os._exit(1)
    try:
        for _ in range(RACE):
            try:
                gpt2_convert.convert(tiny, shared / "out.npz", force=True)
            except gpt2_convert.TargetError:
                assert not (shared / "out.npz").exists()
            else:
                with np.load(shared / "out.npz") as archive:
                    assert archive["wte"].flat[0] != FOREIGN
                (shared / "out.npz").unlink()
    finally:
        os.kill(attacker, signal.SIGKILL)
        os.waitpid(attacker, 0)


def keep_attacking(shared: Path, foreign: Path) -> None:
    end = time.monotonic() + 60
    number = 0
    while time.monotonic() < end:
        for name in os.listdir(shared):
            if PARTIAL.fullmatch(name):
                number += 1
                try:
                    os.rename(shared / name, shared / f"moved{number}")
                    if number % 2:
                        os.mkdir(shared / name)
                        shutil.copy(foreign, shared / name / "out.npz")
                    else:
                        os.symlink(foreign.parent, shared / name)
                except OSError:
                    pass


@contextmanager
def private(target: Path) -> Iterator[private_folder.PrivateFolder]:
    with private_folder.private_folder(target, lambda folder: None) as folder:
        yield folder


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o000])
def test_nobody_else_may_enter_it(umask: int, place: Path) -> None:
    before = os.umask(umask)
    try:
        with private(place / "out"):
            (found,) = place.iterdir()
            assert stat.S_IMODE(found.stat().st_mode) == 0o700
    finally:
        os.umask(before)
    assert os.listdir(place) == []


def test_file_system_without_permissions_is_good_enough(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As on a USB stick: whatever mode a folder is made with, everybody may enter it.
    mkdir = os.mkdir

    def make(name: str, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
        mkdir(name, 0o755, dir_fd=dir_fd)

    monkeypatch.setattr(os, "mkdir", make)
    with private(place / "out") as folder:
        assert stat.S_IMODE(os.fstat(folder.fd).st_mode) == 0o755


def test_without_descriptors_in_the_file_system_the_name_serves(
    tiny: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(private_folder, "_DESCRIPTORS", str(place / "absent"))
    with private(place / "out") as folder:
        assert folder.reach() == folder.path / "out"
    for to in ("npz", "safetensors", "hdf5", "hf", "tensorflow"):
        gpt2_convert.convert(tiny, place / f"out.{to}", to=to)
        assert gpt2_convert.verify(tiny, place / f"out.{to}").ok
    assert len(os.listdir(place)) == 5


def test_folder_that_may_be_written_and_not_listed_is_good_enough(shared: Path) -> None:
    shared.chmod(0o333)
    with ordinary_user(), private(shared / "out") as folder:
        os.close(os.open(folder.inside.name, os.O_WRONLY | os.O_CREAT, dir_fd=folder.fd))
        os.unlink(folder.inside.name, dir_fd=folder.fd)
    shared.chmod(0o777)
    assert os.listdir(shared) == []
