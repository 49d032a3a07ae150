"""What does not fit is refused before its first byte."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from support.mishaps import ordinary_user

import gpt2_convert
from gpt2_convert.io.free_space import check_free_space

if TYPE_CHECKING:
    from pathlib import Path

    from gpt2_convert.formats.writers import TargetFormat

TOLD = os.statvfs("/")


def tell(monkeypatch: pytest.MonkeyPatch, **fields: int) -> None:
    """Have every file system say these things of itself: f_frsize, f_blocks, f_bfree, f_bavail."""
    names = ("f_bsize", "f_frsize", "f_blocks", "f_bfree", "f_bavail")
    values = [fields.get(name, value) for name, value in zip(names, TOLD[:5], strict=True)]
    told = os.statvfs_result([*values, *TOLD[5:]])
    monkeypatch.setattr(os, "statvfs", lambda path: told)


@pytest.mark.parametrize(("needed", "fits"), [(4096 * 10, True), (4096 * 10 + 1, False)])
def test_the_last_byte_counts(
    needed: int, fits: bool, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tell(monkeypatch, f_frsize=4096, f_blocks=100, f_bfree=10, f_bavail=10)
    if fits:
        check_free_space(place, needed, "out")
    else:
        with pytest.raises(gpt2_convert.TargetError, match=r"out: .*40,961 bytes .* 40,960 free"):
            check_free_space(place, needed, "out")


def test_what_is_reserved_for_root_is_no_room_for_others(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tell(monkeypatch, f_frsize=4096, f_blocks=100, f_bfree=10, f_bavail=5)
    with ordinary_user(), pytest.raises(gpt2_convert.TargetError, match="20,480 free"):
        check_free_space(place, 40_000, "out")


def test_file_system_that_does_not_tell_is_not_asked_for_more(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tell(monkeypatch, f_blocks=0, f_bfree=0, f_bavail=0)
    check_free_space(place, 1 << 60, "out")


@pytest.mark.parametrize("to", ["npz", "safetensors", "hdf5", "hf", "tensorflow"])
def test_no_byte_is_written_where_there_is_no_room(
    to: TargetFormat, tiny: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tell(monkeypatch, f_frsize=1024, f_blocks=1000, f_bfree=100, f_bavail=100)
    phases: list[str] = []
    with pytest.raises(gpt2_convert.TargetError, match="bytes are needed"):
        gpt2_convert.convert(
            tiny, place / "out", to=to, progress=lambda phase, done, total: phases.append(phase)
        )
    assert phases == []
    assert os.listdir(place) == []


def test_what_a_cast_makes_smaller_needs_less(
    tiny: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with gpt2_convert.open(tiny) as checkpoint:
        nbytes = sum(tensor.nbytes for tensor in checkpoint.values())
    blocks = nbytes * 3 // 4 // 1024
    tell(monkeypatch, f_frsize=1024, f_blocks=1000, f_bfree=blocks, f_bavail=blocks)
    with pytest.raises(gpt2_convert.TargetError, match="bytes are needed"):
        gpt2_convert.convert(tiny, place / "out.npz")
    assert gpt2_convert.convert(tiny, place / "out.npz", dtype="float16").ok


def test_companions_need_room_too(tiny: Path, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with gpt2_convert.open(tiny) as checkpoint:
        nbytes = sum(tensor.nbytes for tensor in checkpoint.values())
    (tiny / "README.md").write_bytes(b"x" * 10_000)
    blocks = nbytes // 1024 + 2
    tell(monkeypatch, f_frsize=1024, f_blocks=1000, f_bfree=blocks, f_bavail=blocks)
    with pytest.raises(gpt2_convert.TargetError, match="bytes are needed"):
        gpt2_convert.convert(tiny, place / "hf", to="hf")
    assert gpt2_convert.convert(tiny, place / "hf", to="hf", weights_only=True).ok


def test_how_small_it_will_be_compressed_is_not_guessed(
    tiny: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tell(monkeypatch, f_frsize=1024, f_blocks=1000, f_bfree=1, f_bavail=1)
    assert gpt2_convert.convert(tiny, place / "out.h5", compress="gzip").ok
