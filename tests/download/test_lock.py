"""One fetch at a time in a folder; who waits goes on when the other has ended, or does not move."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from gpt2_convert.download import lock as module
from gpt2_convert.download.lock import LOCK, WAITING, hold_lock, show_life
from gpt2_convert.errors import TargetError
from gpt2_convert.progress import ignore_progress

if TYPE_CHECKING:
    from pathlib import Path

HOLD = """
import sys
from pathlib import Path
from gpt2_convert.download.lock import hold_lock
with hold_lock(Path(sys.argv[1]), "stage", lambda *_: None):
    print("held", flush=True)
    sys.stdin.readline()
"""


NAME = "stage"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "models" / "tiny"


def test_two_never_hold_it_at_once(folder: Path) -> None:
    inside = 0
    most = 0

    def work() -> None:
        nonlocal inside, most
        for _ in range(5):
            with hold_lock(folder, NAME, ignore_progress):
                inside += 1
                most = max(most, inside)
                time.sleep(0.005)
                inside -= 1
                (folder / NAME / LOCK).unlink()  # as the one does whose fetch is done
                with suppress(OSError):  # the next one may be there already
                    (folder / NAME).rmdir()
                    folder.rmdir()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1


def test_who_waits_says_so_and_goes_on_when_the_other_has_ended(folder: Path) -> None:
    seen: list[str] = []

    def watch(phase: str, done: int, total: int) -> None:
        if not seen:
            assert holder.stdin
            holder.stdin.close()
        seen.append(phase)

    with hold_elsewhere(folder) as holder:
        with hold_lock(folder, NAME, watch):
            assert set(seen) == {WAITING}
        holder.wait()


def test_a_lock_ends_with_its_process(folder: Path) -> None:
    with hold_elsewhere(folder) as holder:
        holder.kill()
        holder.wait()
        with hold_lock(folder, NAME, ignore_progress):
            pass


def hold_elsewhere(folder: Path) -> subprocess.Popen[bytes]:
    """Start another process, and return it when it holds the lock."""
    command = [sys.executable, "-c", HOLD, str(folder)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout
    assert process.stdout.readline() == b"held\n"
    return process


def test_another_that_does_not_move_is_not_waited_for(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.2)
    with (
        hold_lock(folder, NAME, ignore_progress),
        pytest.raises(TargetError) as caught,
        hold_lock(folder, NAME, ignore_progress),
    ):
        pass
    assert str(caught.value) == (
        f"{folder}: another fetch is at work there and has done nothing for 0.2 s; end it, "
        "or name another folder"
    )


def test_another_that_moves_is_waited_for(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.3)
    waited = 0

    def move(*_: object) -> None:
        nonlocal waited
        waited += 1
        os.utime(folder / NAME / LOCK)
        if waited == 6:
            raise InterruptedError

    with (
        hold_lock(folder, NAME, ignore_progress),
        pytest.raises(InterruptedError),
        hold_lock(folder, NAME, move),
    ):
        pass
    assert waited == 6


def test_progress_is_a_sign_of_life(folder: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    file = folder / NAME / LOCK
    with hold_lock(folder, NAME, ignore_progress) as held:
        os.utime(file, (1, 1))
        watch = show_life(held, lambda *step: seen.append(step))
        watch("file", 1, 2)
        assert file.stat().st_mtime > 1
        os.utime(file, (1, 1))
        watch("file", 2, 2)
        assert file.stat().st_mtime == 1  # not more than once a second
    assert seen == [("file", 1, 2), ("file", 2, 2)]
    show_life(held, ignore_progress)("file", 1, 2)  # of a lock that is gone


def test_what_is_held_is_open_until_the_end(folder: Path) -> None:
    with hold_lock(folder, NAME, ignore_progress) as held:
        assert os.listdir(held.outer) == [NAME]
        assert os.listdir(held.fd) == [LOCK]
        assert os.fstat(held.fd).st_mode & 0o777 == 0o700
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(held.fd)


def test_a_link_in_the_place_of_the_lock_is_not_followed(folder: Path, tmp_path: Path) -> None:
    (folder / NAME).mkdir(parents=True)
    (folder / NAME / LOCK).symlink_to(tmp_path / "elsewhere")
    with (
        pytest.raises(OSError, match="symbolic links"),
        hold_lock(folder, NAME, ignore_progress),
    ):
        pass
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("kind", ["link", "file"])
def test_what_stands_in_the_place_of_the_folder_is_not_entered(
    kind: str, folder: Path, tmp_path: Path
) -> None:
    folder.mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    if kind == "link":
        (folder / NAME).symlink_to(tmp_path / "elsewhere")
    else:
        (folder / NAME).touch()
    with pytest.raises(TargetError) as caught, hold_lock(folder, NAME, ignore_progress):
        pass
    assert str(caught.value) == f"{folder / NAME}: is not a folder of this user; remove it"
    assert not os.listdir(tmp_path / "elsewhere")


def test_a_folder_of_another_user_is_not_entered(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / NAME).mkdir(parents=True)
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with (
        pytest.raises(TargetError, match="is not a folder of this user"),
        hold_lock(folder, NAME, ignore_progress),
    ):
        pass


def test_a_folder_that_others_could_enter_is_closed(folder: Path) -> None:
    (folder / NAME).mkdir(parents=True, mode=0o777)
    with hold_lock(folder, NAME, ignore_progress) as held:
        assert os.fstat(held.fd).st_mode & 0o777 == 0o700
