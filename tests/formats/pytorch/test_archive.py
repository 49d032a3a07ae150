"""The zip files: which members there have to be, and what is refused of them."""

from __future__ import annotations

import re
import struct
import zipfile
from typing import TYPE_CHECKING

import numpy as np
import pytest
from support.contracts import contents, contents_of
from support.npz_files import patch_directory
from support.torch_files import members, refusal, state_dict, zipped

from gpt2_convert import ChecksumError, FormatError, UnsupportedError
from gpt2_convert.formats.opening import open_raw
from gpt2_convert.formats.pytorch.archive import open_zip
from gpt2_convert.formats.pytorch.budget import Budget
from gpt2_convert.io.source import SourceFile

if TYPE_CHECKING:
    from pathlib import Path

    from support.contracts import Array

ARRAYS: dict[str, Array] = {
    "a": np.arange(6, dtype=np.float32).reshape(2, 3),
    "b": np.ones(4, np.int16),
}


def good() -> dict[str, bytes]:
    return members(state_dict(ARRAYS))


def write(path: Path, contents: dict[str, bytes], name: str = "archive") -> Path:
    path.write_bytes(zipped(contents, name))
    return path


@pytest.mark.parametrize("name", ["archive", "pytorch_model", "x" * 240, "über", "a b"])
def test_the_members_may_be_in_a_folder_of_any_name(name: str, tmp_path: Path) -> None:
    assert contents(write(tmp_path / "x.pt", good(), name)) == contents_of(ARRAYS)


def test_what_torch_does_not_need_is_not_needed(tmp_path: Path) -> None:
    value = good()
    for name in ("byteorder", "version"):
        del value[name]
    more = {".format_version": b"1", ".storage_alignment": b"64", ".data/serialization_id": b"7"}
    assert contents(write(tmp_path / "x.pt", value)) == contents_of(ARRAYS)
    assert contents(write(tmp_path / "x.pt", {**value, **more})) == contents_of(ARRAYS)


def test_the_storages_may_stand_in_any_order(tmp_path: Path) -> None:
    value = good()
    ordered = {name: value[name] for name in ("data.pkl", *sorted(value, reverse=True))}
    assert contents(write(tmp_path / "x.pt", ordered)) == contents_of(ARRAYS)


def test_big_endian_numbers_are_read(tmp_path: Path) -> None:
    value = {**good(), "byteorder": b"big"}
    value["data/0"] = ARRAYS["a"].astype(">f4").tobytes()
    value["data/1"] = ARRAYS["b"].astype(">i2").tobytes()
    assert contents(write(tmp_path / "x.pt", value)) == contents_of(ARRAYS)


def test_a_file_without_checksums_is_read_and_that_is_said(tmp_path: Path) -> None:
    path = write(tmp_path / "x.pt", good())
    whole = bytearray(path.read_bytes())
    for found in re.finditer(rb"PK\x01\x02", bytes(whole)):
        whole[found.start() + 16 : found.start() + 20] = bytes(4)
    path.write_bytes(whole)
    assert contents(path) == contents_of(ARRAYS)
    with open_raw(path) as raw:
        assert raw.notes == ("the file has no checksums: torch was told so",)


@pytest.mark.parametrize("version", [b"1", b"3\n", b"10\n"])
def test_versions_that_are_known_are_read(version: bytes, tmp_path: Path) -> None:
    value = {**good(), "version": version}
    assert contents(write(tmp_path / "x.pt", value)) == contents_of(ARRAYS)


@pytest.mark.parametrize("version", [b"11\n", b"0", b"-1", b"", b"three", b"9" * 60])
def test_other_versions_are_refused(version: bytes, tmp_path: Path) -> None:
    path = write(tmp_path / "x.pt", {**good(), "version": version})
    assert f"version {version!r} of the format" in refusal(path, UnsupportedError)


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        ({"data/1": None}, FormatError, "'data/1' is missing"),
        ({"data/1": b"1234567"}, FormatError, "8 bytes expected by data.pkl, found 7 of 7"),
        ({"data/1": b"123456789"}, FormatError, "8 bytes expected by data.pkl, found 9 of 9"),
        ({"byteorder": b"middle"}, FormatError, "little or big expected, found b'middle'"),
        ({"byteorder": b"l" * 65}, FormatError, "65 bytes, where at most 64 make sense"),
        ({"data.pkl": b"N." + bytes(4 << 20)}, FormatError, "where at most 4,194,304 make sense"),
        ({"data.pkl": b""}, FormatError, "data.pkl: a broken pickle"),
        ({"data.pkl": b"N."}, UnsupportedError, "a dict of names and tensors expected, found None"),
        ({"constants.pkl": b"N."}, UnsupportedError, "a TorchScript archive"),
    ],
)
def test_members_that_are_not_what_they_should_be_are_refused(
    change: dict[str, bytes | None], kind: type[Exception], words: str, tmp_path: Path
) -> None:
    value = {name: data for name, data in {**good(), **change}.items() if data is not None}
    assert words in refusal(write(tmp_path / "x.pt", value), kind)


def test_a_zip_file_without_a_pickle_is_none_of_torch_s(tmp_path: Path) -> None:
    path = write(tmp_path / "x.pt", {"version": b"3\n"})
    with pytest.raises(FormatError, match=r"no data\.pkl among its members"):
        open_zip(SourceFile(path), Budget(str(path)))
    path.write_bytes(b"PK\x05\x06" + bytes(18))
    with pytest.raises(FormatError, match=r"no data\.pkl among its members"):
        open_zip(SourceFile(path), Budget(str(path)))


def test_a_member_that_stands_twice_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "x.pt", good())
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("archive/data/0", b"")
    assert "'archive/data/0' stands twice" in refusal(path, FormatError)


def test_deflated_members_are_refused_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    path.write_bytes(zipped(good(), method=zipfile.ZIP_DEFLATED))
    message = refusal(path, UnsupportedError)
    assert "zip compression 8" in message
    assert "zip -0 -r" in message


def test_encrypted_members_are_refused(tmp_path: Path) -> None:
    path = patch_directory(write(tmp_path / "x.pt", good()), 8, b"\x01")
    assert "'archive/data.pkl': encrypted" in refusal(path, UnsupportedError)


@pytest.mark.parametrize("name", ["data.pkl", "byteorder", "version"])
def test_a_damaged_member_fails_its_checksum(name: str, tmp_path: Path) -> None:
    value = good()
    path = write(tmp_path / "x.pt", value)
    whole = bytearray(path.read_bytes())
    whole[whole.index(value[name])] ^= 1
    path.write_bytes(whole)
    assert f"'archive/{name}': CRC-32" in refusal(path, ChecksumError)


@pytest.mark.parametrize(
    ("offset", "value", "words"),
    [
        (0, b"PK\x03\x05", "no member of that name starts at byte "),
        (26, struct.pack("<H", 3), "no member of that name starts at byte "),
        (26, struct.pack("<H", 65_535), "no member of that name starts at byte "),
        (28, struct.pack("<H", 65_535), "truncated: needs bytes "),
        (30, b"Archive", "no member of that name starts at byte "),
    ],
)
def test_a_header_that_is_not_the_member_s_is_refused(
    offset: int, value: bytes, words: str, tmp_path: Path
) -> None:
    path = write(tmp_path / "x.pt", good())
    whole = bytearray(path.read_bytes())
    start = whole.index(b"archive/data/0") - 30 + offset
    whole[start : start + len(value)] = value
    path.write_bytes(whole)
    assert f"'archive/data/0': {words}" in refusal(path, FormatError)


def test_a_member_is_not_taken_for_another(tmp_path: Path) -> None:
    path = write(tmp_path / "x.pt", good())
    whole = bytearray(path.read_bytes())
    records = [found.start() for found in re.finditer(rb"PK\x01\x02", bytes(whole))]
    first, second = (
        next(at for at in records if whole[at + 46 :].startswith(name))
        for name in (b"archive/data/0", b"archive/data/1")
    )
    whole[first + 42 : first + 46] = whole[second + 42 : second + 46]
    path.write_bytes(whole)
    assert "inside 'archive/data/0'" in refusal(path, FormatError)
