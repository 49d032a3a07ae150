"""NumPy archives: NumPy writes them and reads them back; the rest is built byte by byte."""

from __future__ import annotations

import io
import json
import struct
import zipfile
import zlib
from typing import TYPE_CHECKING

import numpy as np
import pytest
from support import contracts
from support.contracts import contents
from support.npz_files import FLOATS, archive, header, patch_directory, refusal

from gpt2_convert import ChecksumError, FormatError, Gpt2ConvertError, UnsupportedError
from gpt2_convert.formats.npz import reader as npz
from gpt2_convert.formats.opening import open_raw

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from support.contracts import Array


class NpzContract(contracts.ChecksumContract):
    format = "npz"
    flip_stride = 5
    cut_stride = 3

    def oracle(self, path: Path) -> dict[str, Array]:
        with np.load(path) as archive:
            return {name: archive[name] for name in archive.files}

    def extra_arrays(self) -> dict[str, Array]:
        return {
            "complex64": np.array([1 + 2j, -3j], np.complex64),
            "complex128": np.array([[1 + 2j, np.nan]], np.complex128),
            "one-dimensional, in any order": np.asfortranarray(np.arange(3.0)),
            "Fortran order": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
            "Fortran order of three axes": np.asfortranarray(np.arange(24).reshape(2, 3, 4)),
            "Fortran order of complex128": np.asfortranarray(np.array([[1, 2j], [3, 4]])),
        }


class TestStored(NpzContract):
    direct = True

    def write(self, folder: Path, arrays: Mapping[str, Array]) -> Path:
        np.savez(folder / "x.npz", allow_pickle=False, **arrays)
        return folder / "x.npz"


class TestDeflated(contracts.ReaderContract):
    """Deflated elements cannot be found in the file, so damage to them is tested below."""

    format = "npz"
    flip_stride = 5
    cut_stride = 3
    # Each member has its CRC-32 all the same: no flipped bit may pass unseen.
    checksums = True
    oracle = NpzContract.oracle
    extra_arrays = NpzContract.extra_arrays

    def write(self, folder: Path, arrays: Mapping[str, Array]) -> Path:
        np.savez_compressed(folder / "x.npz", allow_pickle=False, **arrays)
        return folder / "x.npz"


# Members and the zip file around them.


def test_an_archive_without_an_array_is_told_what_it_is_before_what_is_in_it(
    tmp_path: Path,
) -> None:
    path = archive(tmp_path / "x.npz", {"word/document.xml": b"<w/>"})
    assert refusal(path, FormatError) == (
        f"{path}: a zip file and no NumPy archive; unpack it first and name what was in it (none "
        "of its members ends in .npy; the first is 'word/document.xml')"
    )


def test_members_that_are_no_npy_are_skipped_with_a_note(tmp_path: Path) -> None:
    members = {"x.npy": header() + FLOATS.tobytes(), "meta/": b"", "config.json": b"{}", "a": b"b"}
    path = archive(tmp_path / "x.npz", members)
    assert contents(path).keys() == {"x"}
    with open_raw(path) as raw:
        assert raw.notes == (
            "skipped 'meta/': a folder",
            "skipped 'config.json', 'a': not a .npy member",
        )


@pytest.mark.parametrize("dtype", [">f2", ">f4", ">f8", ">i2", ">i8", ">u4", ">c8", ">c16", ">?"])
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_big_endian_numbers_are_read_as_the_numbers_they_are(
    dtype: str, save: Callable[..., None], tmp_path: Path
) -> None:
    array = np.random.default_rng(0).standard_normal((300, 1000)).astype(dtype)
    if array.dtype.kind == "f":
        array[0, :3] = np.nan, -np.inf, -0.0
    save(tmp_path / "x.npz", x=array)
    expected = array.astype(array.dtype.newbyteorder("<"))
    assert contents(tmp_path / "x.npz") == {
        "x": (expected.dtype.name, (300, 1000), expected.tobytes())
    }


def test_an_empty_archive_has_no_tensors(tmp_path: Path) -> None:
    path = archive(tmp_path / "x.npz", {})
    assert path.read_bytes()[:4] == b"PK\x05\x06"
    assert contents(path) == {}


@pytest.mark.parametrize("flag", [0x01, 0x20, 0x40])
def test_encrypted_and_patched_members_are_refused(tmp_path: Path, flag: int) -> None:
    path = archive(tmp_path / "x.npz", {"x.npy": header() + FLOATS.tobytes()})
    patch_directory(path, 8, struct.pack("<H", flag))
    if flag == 0x01:
        assert "'x.npy': encrypted" in refusal(path, UnsupportedError)
    else:
        assert "'x.npy'" in refusal(path, FormatError)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA, 93])
def test_other_compression_is_refused_by_its_number(tmp_path: Path, method: int) -> None:
    path = archive(tmp_path / "x.npz", {"x.npy": header() + FLOATS.tobytes()})
    patch_directory(path, 10, struct.pack("<H", method))
    assert f"'x.npy': zip compression {method}" in refusal(path, UnsupportedError)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_size_that_the_file_cannot_hold_is_refused_before_memory_is_asked_for(
    tmp_path: Path, method: int
) -> None:
    count = (1 << 31) - 100
    data = header("|u1", shape=(count,)) + FLOATS.tobytes()
    path = archive(tmp_path / "x.npz", {"x.npy": data}, method=method)
    size = count + len(header("|u1", shape=(count,)))
    patch_directory(path, 24, struct.pack("<I", size))
    assert f"{size:,} bytes cannot be stored" in refusal(path, FormatError)
    patch_directory(path, 20, struct.pack("<I", size))
    assert f"{size:,} bytes cannot be stored" in refusal(path, FormatError)


def test_a_stored_member_larger_than_what_is_stored_is_refused(tmp_path: Path) -> None:
    data = header(shape=(7,)) + FLOATS.tobytes()
    path = archive(tmp_path / "x.npz", {"x.npy": data})
    patch_directory(path, 24, struct.pack("<I", len(data) + 4))
    with pytest.raises(FormatError, match=f"{len(data) + 4} bytes cannot be stored in {len(data)}"):
        open_raw(path)


def test_a_member_that_ends_early_is_refused_while_it_is_read(tmp_path: Path) -> None:
    array = np.zeros(100_000, np.uint8)
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array)
    short = zlib.compress(stream.getvalue()[:50_000], wbits=-15)
    path = archive(tmp_path / "x.npz", {"x.npy": stream.getvalue()}, method=zipfile.ZIP_DEFLATED)
    whole = bytearray(path.read_bytes())
    start = 30 + len("x.npy")
    whole[start : start + len(short)] = short
    path.write_bytes(whole)
    with open_raw(path) as raw:
        assert raw.tensors[0].shape == (100_000,)
        with pytest.raises(FormatError, match=r"'x\.npy': ends after 49,"):
            raw.tensors[0].array()


def test_damaged_elements_do_not_keep_an_archive_from_being_opened(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    arrays = {name: random.integers(0, 9, 9_000).astype(np.float32) for name in "abc"}
    path = tmp_path / "x.npz"
    np.savez_compressed(path, allow_pickle=False, **arrays)
    good = path.read_bytes()
    with zipfile.ZipFile(path) as file:
        member = file.getinfo("b.npy")
        plain = file.read("b.npy")
    head = plain[: -arrays["b"].nbytes]
    names, extra = struct.unpack("<HH", good[member.header_offset + 26 : member.header_offset + 30])
    start = member.header_offset + 30 + names + extra
    messages: list[str] = []
    for place in range(start, start + member.compress_size, 23):
        damaged = bytearray(good)
        damaged[place] ^= 1 << place % 8
        path.write_bytes(damaged)
        try:
            first = zlib.decompressobj(-15).decompress(damaged[start:], len(head))
        except zlib.error:
            first = b""
        if first != head:
            with pytest.raises(Gpt2ConvertError, match=r"'b\.npy'"):
                contents(path)
            continue
        with open_raw(path) as raw:
            found = {tensor.name: tensor for tensor in raw.tensors}
            with pytest.raises(FormatError, match=r"'b\.npy'") as caught:
                list(found["b"].chunks())
            messages.append(str(caught.value))
            for name in "ac":
                np.testing.assert_array_equal(found[name].array(), arrays[name])
    # Both what cannot be inflated and what can.
    assert len(messages) > 100
    assert 0 < sum("CRC-32" in message for message in messages) < len(messages)


def test_duplicate_names_are_both_listed(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("x.npy", header() + FLOATS.tobytes())
        with pytest.warns(UserWarning, match="Duplicate name"):
            file.writestr("x.npy", header() + (-FLOATS).tobytes())
    with open_raw(path) as raw:
        assert [tensor.name for tensor in raw.tensors] == ["x", "x"]
        first, second = (tensor.array() for tensor in raw.tensors)
    np.testing.assert_array_equal(first, FLOATS)
    np.testing.assert_array_equal(second, -FLOATS)


def test_the_order_is_that_of_the_archive(tmp_path: Path) -> None:
    names = ["h10", "a", "h2", "\u00e9"]
    np.savez(tmp_path / "x.npz", allow_pickle=False, **dict.fromkeys(names, FLOATS))
    with open_raw(tmp_path / "x.npz") as raw:
        assert [tensor.name for tensor in raw.tensors] == names


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_wrong_checksum_is_found_after_all_chunks(tmp_path: Path, method: int) -> None:
    array = np.random.default_rng(0).integers(0, 9, (1 << 20) + 500, np.uint8)
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array)
    path = archive(tmp_path / "x.npz", {"x.npy": stream.getvalue()}, method=method)
    crc = zlib.crc32(stream.getvalue())
    patch_directory(path, 16, struct.pack("<I", crc ^ 1))
    found: list[bytes] = []
    with open_raw(path) as raw, pytest.raises(ChecksumError) as caught:
        found.extend(raw.tensors[0].chunks())
    assert f"{crc ^ 1:#010x} expected" in str(caught.value)
    assert f"found {crc:#010x}" in str(caught.value)
    assert b"".join(found) == array.tobytes()


def test_an_empty_tensor_with_a_wrong_checksum_is_found(tmp_path: Path) -> None:
    path = archive(tmp_path / "x.npz", {"x.npy": header(shape=(0, 3))})
    patch_directory(path, 16, b"\0\0\0\0")
    with open_raw(path) as raw, pytest.raises(ChecksumError):
        raw.tensors[0].array()


@pytest.mark.parametrize(
    ("record", "offset", "size"),
    [(b"PK\x05\x06", 12, 4), (b"PK\x05\x06", 16, 4), (b"PK\x01\x02", 42, 4)],
)
@pytest.mark.parametrize("value", [0, 1, 100, 0x7FFFFFFF, 0xFFFFFFFE, 0xFFFFFFFF])
def test_wild_offsets_in_the_zip_directory_are_refused(
    tmp_path: Path, record: bytes, offset: int, size: int, value: int
) -> None:
    members = {"x.npy": header() + FLOATS.tobytes(), "y.npy": header() + FLOATS.tobytes()}
    path = archive(tmp_path / "x.npz", members)
    whole = bytearray(path.read_bytes())
    start = whole.rindex(record) + offset
    before = bytes(whole[start : start + size])
    whole[start : start + size] = struct.pack("<I", value)
    assert whole[start : start + size] != before
    path.write_bytes(whole)
    refusal(path, FormatError)


@pytest.mark.parametrize(("count", "fine"), [(0, False), (1, False), (3, False), (0xFFFF, True)])
def test_a_directory_with_more_or_fewer_members_than_stated_is_refused(
    tmp_path: Path, count: int, fine: bool
) -> None:
    members = {"x.npy": header() + FLOATS.tobytes(), "y.npy": header() + FLOATS.tobytes()}
    path = archive(tmp_path / "x.npz", members)
    whole = bytearray(path.read_bytes())
    whole[-12:-10] = struct.pack("<H", count)
    path.write_bytes(whole)
    if fine:  # the number stands elsewhere where it is 65,535 or more
        assert contents(path).keys() == {"x", "y"}
    else:
        assert "has 2 members" in refusal(path, FormatError)


def test_a_directory_too_large_to_hold_is_refused_unread(tmp_path: Path) -> None:
    path = archive(tmp_path / "x.npz", {"x.npy": header() + FLOATS.tobytes()})
    end = bytearray(path.read_bytes()[-22:])
    end[12:20] = struct.pack("<II", 9 << 20, 0)
    with path.open("r+b") as file:
        file.seek(9 << 20)
        file.write(end)
    assert "a zip directory of 9,437,184 bytes" in refusal(path, FormatError)


def test_bytes_after_the_archive_are_refused(tmp_path: Path) -> None:
    path = archive(tmp_path / "x.npz", {"x.npy": header() + FLOATS.tobytes()})
    whole = path.read_bytes()
    # The second would have the right number of members where that of the last record stands.
    for more in (b"more", bytes(10) + b"\1\0" + bytes(10)):
        path.write_bytes(whole + more)
        assert "no record of as many ends the file" in refusal(path, FormatError)


def test_what_only_starts_like_a_zip_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    path.write_bytes(b"PK\x03\x04" + bytes(100))
    assert "not a readable zip file" in refusal(path, FormatError)


def test_an_archive_is_known_by_its_first_bytes(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    assert not npz.recognises(path)
    assert not npz.recognises(tmp_path)
    for data in (b"", b"PK", b"PK\x03", b"PK\x07\x08 spanned", b"npz", b"\x93NUMPY\1\0"):
        path.write_bytes(data)
        assert not npz.recognises(path)
    for data in (b"PK\x03\x04", b"PK\x05\x06"):
        path.write_bytes(data)
        assert npz.recognises(path)


def test_the_name_does_not_matter(tmp_path: Path) -> None:
    for name in ("weights", f"{'w' * 246}.npz"):
        path = archive(tmp_path / name, {"x.npy": header() + FLOATS.tobytes()})
        assert contents(path) == {"x": ("float32", (2, 3), FLOATS.tobytes())}


# The comment.


def test_hparams_come_from_the_comment(tmp_path: Path) -> None:
    hparams = {"n_vocab": 61, "n_head": None}
    comment = json.dumps({"hparams": hparams, "source_format": "tensorflow"}).encode()
    path = archive(tmp_path / "x.npz", {}, comment=comment)
    with open_raw(path) as raw:
        (config,) = raw.configs
        assert config.fields() == hparams
        assert config.where == f"{path}: zip comment"


@pytest.mark.parametrize(
    "comment",
    [
        b"", b"made by hand", b"{}", b'{"source": "npz"}', b"[1, 2]", b"null", b"hparams",
        b"\xff\xfe", b"[" * 60_000,
    ],
)  # fmt: skip
def test_a_comment_of_another_program_is_no_config(tmp_path: Path, comment: bytes) -> None:
    path = archive(tmp_path / "x.npz", {"x.npy": header() + FLOATS.tobytes()}, comment=comment)
    with open_raw(path) as raw:
        assert raw.configs == ()
        assert len(raw.tensors) == 1


@pytest.mark.parametrize(
    "comment",
    [
        b'{"source_format": "npz"}', b'"hparams"', b'{"hparams": {}, "source_format": "np',
        b'{"hparams": ' + b"9" * 5_000 + b"}", b'{"hparams": ' + b"[" * 60_000,
        b'\xff{"checksum": ""}', b'{"hparams": {"n_vocab": 61}, "source-format": "npz"}',
    ],
)  # fmt: skip
def test_a_comment_with_a_field_of_ours_that_is_no_statement_is_damaged(
    tmp_path: Path, comment: bytes
) -> None:
    path = archive(tmp_path / "x.npz", {"x.npy": header() + FLOATS.tobytes()}, comment=comment)
    with open_raw(path) as raw:
        (config,) = raw.configs
        with pytest.raises(FormatError, match=r"x\.npz: zip comment: damaged: "):
            config.fields()


@pytest.mark.parametrize("hparams", [b"[]", b"null", b"3"])
def test_hparams_that_are_no_object_are_an_error_only_when_they_are_wanted(
    tmp_path: Path, hparams: bytes
) -> None:
    path = archive(tmp_path / "x.npz", {}, comment=b'{"hparams": ' + hparams + b"}")
    with open_raw(path) as raw:
        (config,) = raw.configs
        with pytest.raises(FormatError, match="zip comment: a JSON object expected"):
            config.fields()
