"""Folders with more names than any checkpoint's, and files that would have to be opened."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from support import bundles

import gpt2_convert
from gpt2_convert import SourceNotFoundError, UnsupportedError
from gpt2_convert.formats import detect, folders
from gpt2_convert.formats.folders import check_lookups, list_names
from gpt2_convert.formats.tensorflow import reader as tensorflow

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are opened."""
    names: list[str] = []
    real = os.open

    def watch(path: str | os.PathLike[str], *more: int) -> int:
        names.append(os.path.basename(path))
        return real(path, *more)

    monkeypatch.setattr(os, "open", watch)
    return names


def test_names_come_in_their_order(tmp_path: Path) -> None:
    for name in ("b", "a", ".hidden", "c"):
        (tmp_path / name).touch()
    assert list_names(tmp_path) == [".hidden", "a", "b", "c"]


def test_more_names_than_a_folder_may_have_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        (tmp_path / str(number)).touch()
    monkeypatch.setattr(folders, "MAX_ENTRIES", 5)
    assert len(list_names(tmp_path)) == 5
    monkeypatch.setattr(folders, "MAX_ENTRIES", 4)
    with pytest.raises(UnsupportedError, match=f"^{tmp_path}: more than 4 names in this folder; "):
        list_names(tmp_path)


def test_a_thousand_files_may_be_opened_to_see_what_they_are(tmp_path: Path) -> None:
    check_lookups(1_000, tmp_path)
    with pytest.raises(UnsupportedError, match=f"^{tmp_path}: more than 1,000 files whose names "):
        check_lookups(1_001, tmp_path)


def test_no_more_files_are_opened_than_may_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opened: list[str]
) -> None:
    for name in "abcdef":
        (tmp_path / name).write_bytes(b"nothing known")
    monkeypatch.setattr(detect, "MAX_LOOKUPS", 3)
    monkeypatch.setattr(tensorflow, "MAX_LOOKUPS", 3)
    with pytest.raises(
        SourceNotFoundError, match=r"no checkpoint among the first 3 of 6 names in this folder; "
    ):
        gpt2_convert.open(tmp_path)
    assert set(opened) == set("abc")


def test_names_that_tell_are_found_among_any_number(
    tiny: Path, monkeypatch: pytest.MonkeyPatch, opened: list[str]
) -> None:
    for number in range(50):
        (tiny / f"{number:02d}").write_bytes(b"nothing known")
    (tiny / "checkpoint").unlink()
    monkeypatch.setattr(tensorflow, "MAX_LOOKUPS", 3)
    gpt2_convert.open(tiny).close()
    assert not [name for name in opened if name.isdigit()]


def test_a_step_is_found_among_thousands_of_checkpoints(tmp_path: Path) -> None:
    folder = bundles.write_gpt2(tmp_path / "run", name="model.ckpt-7")
    (folder / "checkpoint").unlink()
    for step in range(8, 2_008):
        for end in ("index", "data-00000-of-00001", "meta"):
            (folder / f"model.ckpt-{step}.{end}").touch()
    gpt2_convert.open(folder, step=7).close()


def test_what_has_no_index_is_not_guessed_among_thousands(tmp_path: Path) -> None:
    (tmp_path / "checkpoint").write_text('model_checkpoint_path: "m"\n')
    for number in range(1_001):
        (tmp_path / f"m-{number}").touch()
    with pytest.raises(UnsupportedError, match="more than 1,000 files whose names do not say"):
        gpt2_convert.open(tmp_path)


def test_apple_double_files_are_nobody_s(tmp_path: Path) -> None:
    for name in ("._model.ckpt.index", "model.ckpt.index", ".hidden", "_"):
        (tmp_path / name).touch()
    assert list_names(tmp_path) == [".hidden", "_", "model.ckpt.index"]
