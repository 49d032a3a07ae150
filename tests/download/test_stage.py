"""The stage: what has come survives, what is whole lands at once, and nothing else stays."""

from __future__ import annotations

import json
import os
import signal
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from support.mishaps import ordinary_user

from gpt2_convert.download import stage as module
from gpt2_convert.download.stage import NAME, Origin, Stage, open_stage
from gpt2_convert.errors import TargetError, TargetExistsError, spell_keyword
from gpt2_convert.io.rename import rename, rename_new
from gpt2_convert.progress import ignore_progress

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from gpt2_convert.io.rename import Entry

ORIGIN = Origin("SHA-256 1", '"tag"', 10)


class StopError(Exception):
    """The end of a fetch that broke off."""


def write(stage: Stage, name: str, data: bytes, start: int = 0) -> None:
    if not start:
        stage.remember(name, ORIGIN)
    with stage.partial(name, start) as fd:
        os.write(fd, data)


def break_off(folder: Path, data: bytes = b"12345") -> None:
    """Leave a stage with some bytes of a file."""
    with suppress(StopError), open_stage(folder, ignore_progress) as stage:
        write(stage, "file", data)
        raise StopError


def test_what_has_come_is_there_for_a_later_run(tmp_path: Path) -> None:
    break_off(tmp_path / "a" / "b")
    with open_stage(tmp_path / "a" / "b", ignore_progress) as stage:
        assert (stage.origin("file"), stage.size("file"), stage.nbytes) == (ORIGIN, 5, 5)
        write(stage, "file", b"67890", 5)
        assert (stage.path / "file").read_bytes() == b"1234567890"


def test_a_stage_that_is_done_is_gone(tmp_path: Path) -> None:
    break_off(tmp_path / "folder")
    with open_stage(tmp_path / "folder", ignore_progress) as stage:
        write(stage, "of another model", b"x")
        stage.land(["file"], force=False)
        assert (tmp_path / "folder" / "file").read_bytes() == b"12345"
    assert os.listdir(tmp_path / "folder") == ["file"]


def test_a_stage_of_nothing_is_gone_and_so_are_the_folders_made_for_it(tmp_path: Path) -> None:
    with suppress(StopError), open_stage(tmp_path / "a" / "b" / "c", ignore_progress) as stage:
        stage.remember("file", ORIGIN)
        raise StopError
    assert not os.listdir(tmp_path)


def test_a_folder_that_was_there_stays(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with suppress(StopError), open_stage(tmp_path / "folder", ignore_progress):
        raise StopError
    assert not os.listdir(tmp_path / "folder")


def test_what_comes_anew_begins_anew(tmp_path: Path) -> None:
    break_off(tmp_path)
    with open_stage(tmp_path, ignore_progress) as stage:
        write(stage, "file", b"x")
        assert (stage.path / "file").read_bytes() == b"x"
        stage.forget("file")
        assert (stage.origin("file"), stage.size("file")) == (None, 0)
        stage.forget("file")


def test_a_file_is_cut_where_it_goes_on(tmp_path: Path) -> None:
    break_off(tmp_path)
    with open_stage(tmp_path, ignore_progress) as stage:
        write(stage, "file", b"x", 3)
        assert (stage.path / "file").read_bytes() == b"123x"


def test_files_get_the_permissions_that_the_umask_leaves(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        with open_stage(tmp_path, ignore_progress) as stage:
            assert stage.path.stat().st_mode & 0o777 == 0o700
            write(stage, "file", b"x")
            stage.land(["file"], force=False)
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(
    "notes",
    [b"", b"{", b"[]", b'{"file": 1}', b'{"file": {"identity": 1}}', b"\xff", b"x" * 100,
     b'{"file": {"identity": "SHA-256 1", "validator": "x", "nbytes": "10"}}',
     b'{"../file": {"identity": "SHA-256 1", "validator": "x", "nbytes": 10}}'],
)  # fmt: skip
def test_notes_that_make_no_sense_are_none(notes: bytes, tmp_path: Path) -> None:
    break_off(tmp_path)
    (tmp_path / NAME / ".resume.json").write_bytes(notes)
    with open_stage(tmp_path, ignore_progress) as stage:
        assert stage.origin("file") is None


def test_notes_are_plain_json(tmp_path: Path) -> None:
    break_off(tmp_path)
    noted = json.loads((tmp_path / NAME / ".resume.json").read_text())
    assert noted == {"file": {"identity": "SHA-256 1", "validator": '"tag"', "nbytes": 10}}


def test_a_file_that_is_there_stands_on_the_stage_too_and_is_never_written(tmp_path: Path) -> None:
    break_off(tmp_path)
    (tmp_path / "file").write_bytes(b"right")
    with suppress(StopError), open_stage(tmp_path, ignore_progress) as stage:
        stage.link("file")
        assert (stage.path / "file").read_bytes() == b"right"
        assert stage.origin("file") is None
        write(stage, "other", b"x")
        raise StopError
    with open_stage(tmp_path, ignore_progress) as stage:
        write(stage, "file", b"wrong")
    assert (tmp_path / "file").read_bytes() == b"right"


def test_a_file_is_linked_where_there_are_no_hard_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError

    (tmp_path / "file").write_bytes(b"right")
    monkeypatch.setattr(os, "link", refuse)
    with open_stage(tmp_path, ignore_progress) as stage:
        stage.link("file")
        assert (stage.path / "file").is_symlink()
        assert (stage.path / "file").read_bytes() == b"right"
    assert os.listdir(tmp_path) == ["file"]
    assert (tmp_path / "file").read_bytes() == b"right"


def test_a_file_that_appeared_meanwhile_stays(tmp_path: Path) -> None:
    with pytest.raises(TargetExistsError, match="file: was created meanwhile; force=True"):
        land_over(tmp_path, force=False)
    assert (tmp_path / "file").read_bytes() == b"theirs"


def test_a_file_is_replaced_with_force(tmp_path: Path) -> None:
    land_over(tmp_path, force=True)
    assert (tmp_path / "file").read_bytes() == b"ours"


def land_over(folder: Path, *, force: bool) -> None:
    with open_stage(folder, ignore_progress) as stage:
        write(stage, "file", b"ours")
        (folder / "file").write_bytes(b"theirs")
        stage.land(["file"], force=force)


def test_what_is_replaced_hands_on_its_permissions(tmp_path: Path) -> None:
    (tmp_path / "file").touch(0o600)
    with open_stage(tmp_path, ignore_progress) as stage:
        write(stage, "file", b"ours")
        stage.land(["file"], force=True)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("force", [False, True])
def test_no_signal_comes_between_two_files(
    force: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = rename if force else rename_new

    def interrupt(old: Entry, new: Entry) -> object:
        os.kill(os.getpid(), signal.SIGINT)
        return real(old, new)

    with open_stage(tmp_path, ignore_progress) as stage:
        for name in ("a", "b", "c"):
            write(stage, name, b"x")
        monkeypatch.setattr(module, real.__name__, interrupt)
        with pytest.raises(KeyboardInterrupt):
            stage.land(["a", "b", "c"], force=force)
    assert sorted(os.listdir(tmp_path)) == ["a", "b", "c"]


def test_without_a_rename_that_replaces_nothing_a_link_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "rename_new", lambda *_: False)
    with open_stage(tmp_path, ignore_progress) as stage:
        write(stage, "file", b"x")
        stage.land(["file"], force=False)
    assert os.listdir(tmp_path) == ["file"]
    assert (tmp_path / "file").stat().st_nlink == 1
    with pytest.raises(TargetExistsError, match="file: was created meanwhile"):
        land_over(tmp_path, force=False)


def test_without_both_only_force_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError

    monkeypatch.setattr(module, "rename_new", lambda *_: False)
    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(TargetError, match="neither hard links nor a rename that replaces nothing"):
        land_over(tmp_path, force=False)
    land_over(tmp_path, force=True)
    assert (tmp_path / "file").read_bytes() == b"ours"


def test_a_stage_that_was_moved_away_gives_nothing_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "reach_folder", lambda _, path: path)  # as where there is no /proc

    def fetch() -> None:
        with open_stage(tmp_path, ignore_progress) as stage:
            write(stage, "file", b"ours")
            (tmp_path / NAME).rename(tmp_path / "moved")
            (tmp_path / NAME).mkdir()
            (tmp_path / NAME / "file").write_bytes(b"theirs")
            stage.land(["file"], force=False)

    with pytest.raises(TargetError, match=r"has moved \.gpt2-convert-fetch meanwhile"):
        fetch()
    assert not (tmp_path / "file").exists()


def test_only_what_a_fetch_has_put_there_is_removed(tmp_path: Path) -> None:
    (tmp_path / NAME).mkdir()
    (tmp_path / NAME / "precious").write_bytes(b"x")
    with open_stage(tmp_path, ignore_progress) as stage:
        assert stage.path.stat().st_mode & 0o777 == 0o700
        write(stage, "file", b"x")
    assert os.listdir(tmp_path / NAME) == ["precious"]


def test_what_is_kept_is_noted_at_the_error(tmp_path: Path) -> None:
    def fetch(data: bytes) -> None:
        with open_stage(tmp_path, ignore_progress) as stage:
            stage.remember("file", ORIGIN)
            with stage.partial("file", 0) as fd:
                os.write(fd, data)
            raise OSError(28, "No space left on device")

    with pytest.raises(TargetError) as caught:
        fetch(b"12345")
    assert caught.value.spell(spell_keyword) == (
        f"{tmp_path}: cannot be written: no space left on device; the 5 bytes that have come are "
        "kept, and the next fetch goes on from there"
    )
    (tmp_path / NAME / "file").unlink()
    with pytest.raises(TargetError) as caught:
        fetch(b"")
    assert not hasattr(caught.value, "__notes__")


def refusal(folder: Path) -> str:
    with pytest.raises(TargetError) as caught, open_stage(folder, ignore_progress):
        pass
    return str(caught.value)


def test_what_stands_in_the_place_of_the_stage_is_not_touched(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "precious").write_bytes(b"x")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / NAME).symlink_to(elsewhere)
    assert refusal(tmp_path / "folder").endswith("is not a folder of this user; remove it")
    assert (elsewhere / "precious").exists()


def test_a_folder_that_may_not_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir(mode=0o555)
    tmp_path.chmod(0o755)
    with ordinary_user():
        told = refusal(tmp_path / "folder")
    assert told == f"{tmp_path / 'folder'}: cannot be written: permission denied"


def test_a_file_in_the_way_of_the_folder_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    assert refusal(tmp_path / "file" / "folder").endswith("cannot be written: not a directory")


def test_files_are_on_the_disk_before_they_have_their_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []

    def watch(name: str) -> None:
        call = getattr(os, name)

        def note(*arguments: object, **options: object) -> object:
            steps.append(name)
            return call(*arguments, **options)

        monkeypatch.setattr(os, name, note)

    monkeypatch.setattr(module, "rename_new", lambda *_: False)
    with open_stage(tmp_path, ignore_progress) as stage:
        watch("fsync")
        watch("link")
        write(stage, "file", b"x")
        stage.land(["file"], force=False)
    assert expected_in(steps, ["fsync", "link", "fsync"])


def expected_in(steps: Sequence[str], expected: Sequence[str]) -> bool:
    left = iter(steps)
    return all(step in left for step in expected)


def test_the_stage_is_a_folder_that_conversions_do_not_look_into() -> None:
    assert module.NAME.startswith(".")
