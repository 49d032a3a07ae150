"""Renames that the system does in one step, or not at all."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from gpt2_convert.io.rename import Entry, exchange, rename, rename_new

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(
    sys.platform not in ("linux", "darwin"), reason="this system has no such calls"
)


@pytest.fixture
def folders(place: Path) -> Iterator[tuple[int, int]]:
    """Two folders, open."""
    (place / "a").mkdir()
    (place / "b").mkdir()
    fds = os.open(place / "a", os.O_RDONLY), os.open(place / "b", os.O_RDONLY)
    yield fds
    for fd in fds:
        os.close(fd)


def test_a_new_name_is_given_in_another_folder(folders: tuple[int, int], place: Path) -> None:
    (place / "a" / "x").write_bytes(b"x")
    assert rename_new(Entry(folders[0], "x"), Entry(folders[1], "y"))
    assert os.listdir(place / "a") == []
    assert (place / "b" / "y").read_bytes() == b"x"


@pytest.mark.parametrize("kind", ["file", "link", "folder"])
def test_a_name_that_is_taken_is_not_given(
    kind: str, folders: tuple[int, int], place: Path
) -> None:
    (place / "a" / "x").write_bytes(b"x")
    taken = place / "b" / "y"
    if kind == "file":
        taken.write_bytes(b"y")
    elif kind == "link":
        taken.symlink_to("nowhere")
    else:
        taken.mkdir()
    before = taken.lstat()
    with pytest.raises(FileExistsError):
        rename_new(Entry(folders[0], "x"), Entry(folders[1], "y"))
    assert (place / "a" / "x").read_bytes() == b"x"
    assert taken.lstat() == before


def test_two_names_are_exchanged(folders: tuple[int, int], place: Path) -> None:
    (place / "a" / "x").mkdir()
    (place / "b" / "y").write_bytes(b"y")
    assert exchange(Entry(folders[0], "x"), Entry(folders[1], "y"))
    assert (place / "a" / "x").read_bytes() == b"y"
    assert (place / "b" / "y").is_dir()


def test_nothing_is_exchanged_for_what_is_not_there(folders: tuple[int, int], place: Path) -> None:
    (place / "a" / "x").write_bytes(b"x")
    assert not exchange(Entry(folders[0], "x"), Entry(folders[1], "y"))
    assert (place / "a" / "x").read_bytes() == b"x"


def test_names_that_are_not_unicode_are_renamed(folders: tuple[int, int], place: Path) -> None:
    name = os.fsdecode(b"\xff\xfe")
    (place / "a" / name).write_bytes(b"x")
    assert rename_new(Entry(folders[0], name), Entry(folders[1], name + "y"))
    rename(Entry(folders[1], name + "y"), Entry(folders[0], name))
    assert (place / "a" / name).read_bytes() == b"x"


def test_a_system_without_such_calls_says_so(
    folders: tuple[int, int], place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "sunos5")
    (place / "a" / "x").write_bytes(b"x")
    assert not rename_new(Entry(folders[0], "x"), Entry(folders[1], "y"))
    assert not exchange(Entry(folders[0], "x"), Entry(folders[1], "y"))
    assert (place / "a" / "x").read_bytes() == b"x"
