"""The zip directory: records that would take zipfile long, and members that share their bytes."""

from __future__ import annotations

import struct
import zipfile
from typing import TYPE_CHECKING

import numpy as np
import pytest
from support.contracts import contents
from support.npz_files import FLOATS, archive, header, patch_directory, refusal

from gpt2_convert import FormatError, UnsupportedError
from gpt2_convert.formats import limits

if TYPE_CHECKING:
    from pathlib import Path

DATA = header() + FLOATS.tobytes()


def with_extra(path: Path, extra: bytes) -> Path:
    """Write an archive whose one record has extra fields."""
    with zipfile.ZipFile(path, "w") as file:
        member = zipfile.ZipInfo("x.npy")
        member.extra = extra
        file.writestr(member, DATA)
    return path


def test_extra_fields_as_other_programs_write_them_are_read_over(tmp_path: Path) -> None:
    # Times and rights as Info-ZIP has them, and what aligns a member.
    times = struct.pack("<HHBl", 0x5455, 5, 1, 0) + struct.pack(
        "<HHBBHBH", 0x7875, 7, 1, 2, 0, 2, 0
    )
    path = with_extra(tmp_path / "x.npz", times + struct.pack("<HH", 0xD935, 900) + bytes(900))
    assert contents(path) == {"x": ("float32", (2, 3), FLOATS.tobytes())}


def test_kilobytes_of_extra_fields_are_refused(tmp_path: Path) -> None:
    path = with_extra(tmp_path / "x.npz", b"\xaa\xaa\0\0" * 257)
    assert "1,028 bytes of extra fields of a member, where at most 1,024" in refusal(
        path, FormatError
    )


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_members_that_share_bytes_are_refused_by_name(tmp_path: Path, method: int) -> None:
    members = {f"{name}.npy": DATA for name in "abc"}
    path = archive(tmp_path / "x.npz", members, method=method)
    assert len(contents(path)) == 3
    whole = path.read_bytes()
    starts = [whole.index(b"PK\x03\x04", start) for start in (0, 30)]
    # The second record leads into the first member, and to it.
    second = whole.index(b"PK\x01\x02", whole.index(b"PK\x01\x02") + 4)
    for start in (starts[0], starts[0] + 20):
        path.write_bytes(whole[: second + 42] + struct.pack("<I", start) + whole[second + 42 + 4 :])
        message = refusal(path, FormatError)
        assert "'b.npy': starts at byte" in message
        assert "inside 'a.npy', which ends at" in message


def test_a_member_that_starts_where_none_of_its_name_does_is_refused(tmp_path: Path) -> None:
    path = archive(tmp_path / "x.npz", {"x.npy": DATA})
    patch_directory(path, 42, struct.pack("<I", 3))
    assert "'x.npy': no member of that name starts at byte 3" in refusal(path, FormatError)


def test_an_archive_behind_another_file_is_read(tmp_path: Path) -> None:
    path = archive(tmp_path / "x.npz", {"x.npy": DATA})
    path.write_bytes(b"PK\x03\x04 and more" + path.read_bytes())
    assert contents(path) == {"x": ("float32", (2, 3), FLOATS.tobytes())}


def test_names_in_either_encoding_are_found_again(tmp_path: Path) -> None:
    # zipfile writes UTF-8 and says so; a name of code page 437 has no flag.
    path = archive(tmp_path / "x.npz", {"\u00e9.npy": DATA, "b.npy": DATA})
    assert contents(path).keys() == {"\u00e9", "b"}
    old = archive(tmp_path / "old.npz", {"XY.npy": DATA})
    old.write_bytes(old.read_bytes().replace(b"XY", b"\x82\x81"))
    with np.load(old) as file:
        assert file.files == ["\u00e9\u00fc"]
    assert contents(old).keys() == {"\u00e9\u00fc"}


def test_elements_that_deflate_as_no_weights_do_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.npz"
    np.savez_compressed(path, allow_pickle=False, x=np.zeros(1 << 20, np.uint8))
    assert contents(path) == {"x": ("uint8", (1 << 20,), bytes(1 << 20))}
    monkeypatch.setattr(limits, "FREE_EXPANSION", 1 << 20)
    with zipfile.ZipFile(path) as file:
        stored = file.getinfo("x.npy").compress_size
    message = refusal(path, UnsupportedError)
    assert f"1,048,704 bytes of elements in {stored:,} compressed ones" in message
    # What is stored as it is counts for nothing.
    np.savez(path, allow_pickle=False, x=np.zeros(1 << 20, np.uint8))
    assert contents(path) == {"x": ("uint8", (1 << 20,), bytes(1 << 20))}
