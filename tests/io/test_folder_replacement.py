"""The step that replaces a folder is undone whenever it cannot be completed."""

from __future__ import annotations

import errno
import os
import re
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.folders import (
    EXCHANGE,
    NEW,
    OLD,
    RENAME,
    STRANGERS,
    add_file,
    add_folder,
    assert_only,
    is_model,
    reach,
    replace,
)
from support.mishaps import at

import gpt2_convert
from gpt2_convert.io import folder_replacement
from gpt2_convert.io.folder_replacement import remove_folder
from gpt2_convert.io.private_folder import open_folder
from gpt2_convert.io.rename import Entry

if TYPE_CHECKING:
    from collections.abc import Callable


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

    def exchange(first: Entry, second: Entry) -> bool:
        if not names and moment == "right before":
            names.add(add(reach(second)))
        exchanged = one_step and EXCHANGE(first, second)
        if not names and exchanged:
            names.add(add(reach(first)))
        return exchanged

    def rename_and_add(first: Entry, second: Entry) -> None:
        RENAME(first, second)
        if not names and second.name.endswith(".old"):
            names.add(add(reach(second)))

    if moment == "early":
        early: Callable[[], object] = lambda: names.add(add(target))  # noqa: E731
    else:
        early = lambda: None  # noqa: E731
        monkeypatch.setattr(folder_replacement, "exchange", exchange)
        if not one_step:
            monkeypatch.setattr(folder_replacement, "rename", rename_and_add)
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

    def add_and_unlink(name: str, *, dir_fd: int) -> None:
        add_file(Path(f"/proc/self/fd/{dir_fd}"))
        monkeypatch.setattr(os, "unlink", unlink)
        unlink(name, dir_fd=dir_fd)

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
    monkeypatch.setattr(folder_replacement, "exchange", lambda *folders: changes.append(folders))
    with pytest.raises(gpt2_convert.TargetError, match=r"holds 'notes\.txt'"):
        replace(source, target, lambda: add_file(target))
    assert changes == []


def test_exchange_that_cannot_be_undone_in_one_step_is_undone_in_two(
    source: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if sys.platform != "linux":
        pytest.skip("this system cannot exchange folders")

    def exchange_once(first: Entry, second: Entry) -> bool:
        monkeypatch.setattr(folder_replacement, "exchange", lambda first, second: False)
        add_file(reach(second))
        return EXCHANGE(first, second)

    monkeypatch.setattr(folder_replacement, "exchange", exchange_once)
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
@pytest.mark.parametrize("step", [2, 3])
def test_failure_between_the_steps_brings_the_older_folder_back(
    step: int,
    when: str,
    problem: BaseException,
    source: Path,
    target: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls = 0

    def fail(first: Entry, second: Entry) -> None:
        nonlocal calls
        calls += 1
        if calls == step and when == "before":
            raise problem
        RENAME(first, second)
        if calls == step:
            raise problem

    monkeypatch.setattr(folder_replacement, "exchange", lambda first, second: False)
    monkeypatch.setattr(folder_replacement, "rename", fail)
    raised = gpt2_convert.TargetError if isinstance(problem, OSError) else KeyboardInterrupt
    with pytest.raises(raised):
        replace(source, target)
    assert calls >= step
    assert_only(target, OLD)


@pytest.mark.parametrize("problem", [KeyboardInterrupt(), OSError(errno.EIO, "broken")])
def test_failure_after_the_one_step_brings_the_older_folder_back(
    problem: BaseException, source: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if sys.platform != "linux":
        pytest.skip("this system cannot exchange folders")

    def exchange_and_fail(first: Entry, second: Entry) -> bool:
        assert EXCHANGE(first, second)
        monkeypatch.setattr(folder_replacement, "exchange", EXCHANGE)
        monkeypatch.setattr(folder_replacement, "check_contents", fail)
        return True

    def fail(*arguments: object) -> None:
        raise problem

    monkeypatch.setattr(folder_replacement, "exchange", exchange_and_fail)
    raised = gpt2_convert.TargetError if isinstance(problem, OSError) else KeyboardInterrupt
    with pytest.raises(raised):
        replace(source, target)
    assert_only(target, OLD)


def test_error_says_where_the_older_folder_is_when_it_cannot_be_brought_back(
    source: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail_at_target(first: Entry, second: Entry) -> None:
        if second.name == target.name and not target.exists():
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        RENAME(first, second)

    monkeypatch.setattr(folder_replacement, "exchange", lambda first, second: False)
    monkeypatch.setattr(folder_replacement, "rename", fail_at_target)
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
        def do(*arguments: object, **options: object) -> None:
            call(*arguments, **options)
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


def test_an_empty_folder_is_removed_where_no_file_can_be_opened_any_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty").mkdir()

    def refuse(*arguments: object) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(folder_replacement, "open_folder", refuse)
    with open_folder(tmp_path) as parent:
        remove_folder(Entry(parent, "empty"), lambda name: True)
    assert os.listdir(tmp_path) == []
