"""What is replaced keeps its permissions, and nobody is given any by that."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest

import gpt2_convert
from gpt2_convert.io.permissions import keep_permissions

if TYPE_CHECKING:
    from pathlib import Path

ANOTHER = 65534
"""A user and a group that are not those of the tests."""


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("kept", [0o600, 0o644, 0o640, 0o444, 0o400, 0o777])
@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_a_replaced_file_keeps_its_permissions(
    umask: int, kept: int, tiny: Path, place: Path
) -> None:
    target = place / "out.npz"
    target.write_bytes(b"an older file")
    target.chmod(kept)
    before = os.umask(umask)
    try:
        gpt2_convert.convert(tiny, target, force=True)
    finally:
        os.umask(before)
    assert mode(target) == kept


def test_bits_that_make_a_program_another_user_are_not_kept(tiny: Path, place: Path) -> None:
    target = place / "out.npz"
    target.write_bytes(b"an older file")
    target.chmod(0o6755)
    gpt2_convert.convert(tiny, target, force=True)
    assert mode(target) == 0o755


def test_the_file_that_a_link_leads_to_keeps_its_permissions(tiny: Path, place: Path) -> None:
    (place / "real.npz").write_bytes(b"an older file")
    (place / "real.npz").chmod(0o600)
    (place / "out.npz").symlink_to("real.npz")
    gpt2_convert.convert(tiny, place / "out.npz", force=True)
    assert mode(place / "real.npz") == 0o600


@pytest.mark.parametrize("kept", [0o700, 0o755, 0o750, 0o2775])
def test_a_replaced_folder_and_its_files_keep_their_permissions(
    kept: int, tiny: Path, place: Path
) -> None:
    target = place / "hf"
    gpt2_convert.convert(tiny, target, to="hf")
    assert (mode(target), mode(target / "config.json")) == (0o755, 0o644)
    target.chmod(kept)
    (target / "model.safetensors").chmod(0o600)
    gpt2_convert.convert(tiny, target, to="hf", force=True)
    assert mode(target) == kept
    assert mode(target / "model.safetensors") == 0o600
    assert mode(target / "config.json") == 0o644


def test_an_empty_folder_that_was_made_for_it_keeps_its_permissions(
    tiny: Path, place: Path
) -> None:
    (place / "hf").mkdir(0o700)
    gpt2_convert.convert(tiny, place / "hf", to="hf")
    assert mode(place / "hf") == 0o700


def as_root() -> None:
    if os.geteuid():
        pytest.skip("only root may give files away")


def test_what_belongs_to_another_user_stays_that_users(tiny: Path, place: Path) -> None:
    as_root()
    target = place / "out.npz"
    target.write_bytes(b"an older file")
    target.chmod(0o640)
    os.chown(target, ANOTHER, ANOTHER)
    gpt2_convert.convert(tiny, target, force=True)
    status = target.stat()
    assert (status.st_uid, status.st_gid, mode(target)) == (ANOTHER, ANOTHER, 0o640)


def test_what_one_group_was_allowed_is_not_allowed_to_another(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_root()
    older, newer = place / "older", place / "newer"
    for path in (older, newer):
        path.write_bytes(b"")
        path.chmod(0o664)
    os.chown(older, ANOTHER, ANOTHER)

    def refuse(fd: int, owner: int, group: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "fchown", refuse)
    with newer.open("rb") as file:
        keep_permissions(file.fileno(), older.stat())
    assert mode(newer) == 0o604
