"""NumPy archives: NumPy writes them and reads them back; the rest is built byte by byte."""

from __future__ import annotations

import io
import json
import struct
import warnings
import zipfile
import zlib
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support import contracts
from support.contracts import contents

from gpt2_convert import ChecksumError, FormatError, Gpt2ConvertError, UnsupportedError
from gpt2_convert.formats.npz import reader as npz
from gpt2_convert.formats.opening import open_raw

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from support.contracts import Array

FLOATS = np.arange(6, dtype=np.float32).reshape(2, 3)


class NpzContract(contracts.ChecksumContract):
    format = "npz"
    flip_stride = 5

    def oracle(self, path: Path) -> dict[str, Array]:
        with np.load(path) as archive:
            return {name: archive[name] for name in archive.files}

    def extra_arrays(self) -> dict[str, Array]:
        return {
            "complex64": np.array([1 + 2j, -3j], np.complex64),
            "complex128": np.array([[1 + 2j, np.nan]], np.complex128),
            "one-dimensional, in any order": np.asfortranarray(np.arange(3.0)),
        }


class TestStored(NpzContract):
    def write(self, folder: Path, arrays: Mapping[str, Array]) -> Path:
        np.savez(folder / "x.npz", allow_pickle=False, **arrays)
        return folder / "x.npz"


class TestDeflated(contracts.ReaderContract):
    """Deflated elements cannot be found in the file, so damage to them is tested below."""

    format = "npz"
    flip_stride = 5
    # Each member has its CRC-32 all the same: no flipped bit may pass unseen.
    checksums = True
    oracle = NpzContract.oracle
    extra_arrays = NpzContract.extra_arrays

    def write(self, folder: Path, arrays: Mapping[str, Array]) -> Path:
        np.savez_compressed(folder / "x.npz", allow_pickle=False, **arrays)
        return folder / "x.npz"


def header(
    descr: object = "<f4", fortran_order: object = False, shape: object = (2, 3), version: int = 1
) -> bytes:
    """A .npy header as the format's specification describes it; values are put in as they are."""
    fields = f"{{'descr': {descr!r}, 'fortran_order': {fortran_order!r}, 'shape': {shape!r}, }}"
    return raw_header(fields.encode(), version)


def raw_header(text: bytes, version: int = 1) -> bytes:
    size = struct.pack("<H" if version == 1 else "<I", len(text) + 1)
    return b"\x93NUMPY" + bytes([version, 0]) + size + text + b"\n"


def archive(
    path: Path,
    members: Mapping[str, bytes],
    *,
    comment: bytes = b"",
    method: int = zipfile.ZIP_STORED,
) -> Path:
    with zipfile.ZipFile(path, "w", method) as file:
        file.comment = comment
        for name, data in members.items():
            file.writestr(name, data)
    return path


def refusal(path: Path, kind: type[Gpt2ConvertError]) -> str:
    """Return the message of the error, which is of exactly this kind."""
    with pytest.raises(Gpt2ConvertError) as caught:
        contents(path)
    assert type(caught.value) is kind
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    return message


def patch_directory(path: Path, offset: int, data: bytes) -> Path:
    """Overwrite bytes of the first record of the zip directory."""
    whole = bytearray(path.read_bytes())
    start = whole.index(b"PK\x01\x02") + offset
    whole[start : start + len(data)] = data
    path.write_bytes(whole)
    return path


# Versions and headers.


@pytest.mark.parametrize("version", [1, 2])
def test_both_versions_of_the_header_are_read(tmp_path: Path, version: int) -> None:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, FLOATS, version=(version, 0))
    assert stream.getvalue()[6] == version
    path = archive(tmp_path / "x.npz", {"x.npy": stream.getvalue()})
    assert contents(path) == {"x": ("float32", (2, 3), FLOATS.tobytes())}


def test_a_header_without_padding_is_read(tmp_path: Path) -> None:
    path = archive(tmp_path / "x.npz", {"x.npy": header() + FLOATS.tobytes()})
    assert contents(path) == {"x": ("float32", (2, 3), FLOATS.tobytes())}


def test_fortran_order_makes_no_difference_to_one_axis(tmp_path: Path) -> None:
    data = header(fortran_order=True, shape=(6,)) + FLOATS.tobytes()
    path = archive(tmp_path / "x.npz", {"x.npy": data})
    assert contents(path) == {"x": ("float32", (6,), FLOATS.tobytes())}


def test_a_header_with_the_longs_of_python_2_is_read_without_a_warning(tmp_path: Path) -> None:
    text = b"{'descr': '<f4', 'fortran_order': False, 'shape': (2L, 3L), }"
    path = archive(tmp_path / "x.npz", {"x.npy": raw_header(text) + FLOATS.tobytes()})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert contents(path) == {"x": ("float32", (2, 3), FLOATS.tobytes())}
    assert not caught


@pytest.mark.parametrize(
    ("array", "says"),
    [
        (np.array([{}, None], object), "pickled Python objects"),
        (np.array([(1, {})], [("a", "i4"), ("b", "O")]), "pickled Python objects"),
        (np.asfortranarray(FLOATS), "Fortran order"),
        (FLOATS.astype(">f4"), "dtype '>f4'"),
        (np.array([1], ">i8"), "dtype '>i8'"),
        (np.array(["abc"]), "dtype '<U3'"),
        (np.array([b"abc"]), "dtype '|S3'"),
        (np.array(["2019-02-14"], "M8[D]"), "dtype '<M8[D]'"),
        (np.array([(1, 2)], [("a", "i4"), ("b", "f4")]), "dtype '|V8'"),
        (np.array([1, 2], np.longdouble), "dtype '<f16'"),
    ],
)  # fmt: skip
def test_what_is_no_plain_little_endian_number_is_refused_by_name(
    tmp_path: Path, array: Array, says: str
) -> None:
    np.savez(tmp_path / "x.npz", fine=FLOATS, wrong=array)
    message = refusal(tmp_path / "x.npz", UnsupportedError)
    assert "'wrong.npy'" in message
    assert says in message


def test_a_version_of_the_future_is_refused_by_name(tmp_path: Path) -> None:
    data = header(version=3) + FLOATS.tobytes()
    path = archive(tmp_path / "x.npz", {"x.npy": data})
    assert "version (3, 0)" in refusal(path, UnsupportedError)


@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ((2, 3), 23), ((2, 3), 25), ((2, 3), 0), ((), 0), ((1,), 0), ((0,), 4), ((1 << 62,), 24),
        ((1 << 63, 0), 0), ((9,) * 3000, 24), ((10**4000, 10**4000), 24),
        ((-2, -3), 24), ((-1,), 24), ((True,), 4), ((2, 3.0), 24),
    ],
)  # fmt: skip
def test_a_shape_that_lies_about_the_size_is_refused(
    tmp_path: Path, shape: tuple[int, ...], size: int
) -> None:
    path = archive(tmp_path / "x.npz", {"x.npy": header(shape=shape) + bytes(size)})
    assert "'x.npy'" in refusal(path, FormatError)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_header_that_is_too_long_is_refused_before_it_is_read(
    tmp_path: Path, method: int
) -> None:
    text = b"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }".ljust(10_000)
    path = archive(tmp_path / "x.npz", {"x.npy": raw_header(text) + FLOATS.tobytes()})
    assert "10,001 bytes" in refusal(path, FormatError)
    path = archive(tmp_path / "y.npz", {"x.npy": raw_header(text[:-1]) + FLOATS.tobytes()})
    assert contents(path) == {"x": ("float32", (2, 3), FLOATS.tobytes())}
    # Four gigabytes announced, and nearly none there.
    data = b"\x93NUMPY\x02\x00\xff\xff\xff\xff" + bytes(100)
    path = archive(tmp_path / "z.npz", {"x.npy": data}, method=method)
    assert "4,294,967,295 bytes" in refusal(path, FormatError)


BROKEN_HEADERS = [
    b"", b"{", b"{'descr': (", b"(" * 300, b"-" * 9000 + b"1", b"[]\n  x\n y", b"\0", b"\xff",
    b"{[]: 1}", b"9" * 6000, b"'\\d'", b"1if 2else 3", b"[" * 9000, b"None", b"{}",
    b"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), 'more': 1}",
    b"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), 1: 2}",
    b"{'descr': '<f4', 'fortran_order': False}",
    b"{'descr': '<f4', 'fortran_order': 0, 'shape': (2, 3)}",
    b"{'descr': '<f4', 'fortran_order': False, 'shape': [2, 3]}",
    b"{'descr': '<f4', 'fortran_order': False, 'shape': 6}",
    b"{'descr': '<f4', 'fortran_order': False, 'shape': (2.0, 3)}",
    b"{'descr': '<q9', 'fortran_order': False, 'shape': (2, 3)}",
    b"{'descr': '', 'fortran_order': False, 'shape': (2, 3)}",
    b"{'descr': None, 'fortran_order': False, 'shape': (2, 3)}",
    b"{'descr': (), 'fortran_order': False, 'shape': (2, 3)}",
    b"{'descr': [()], 'fortran_order': False, 'shape': (2, 3)}",
    b"{'descr': [[]], 'fortran_order': False, 'shape': (2, 3)}",
    b"{'descr': __import__('os').getpid(), 'fortran_order': False, 'shape': (2, 3)}",
]  # fmt: skip


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("text", BROKEN_HEADERS, ids=range(len(BROKEN_HEADERS)))
def test_a_broken_header_is_refused(tmp_path: Path, text: bytes, version: int) -> None:
    path = archive(tmp_path / "x.npz", {"x.npy": raw_header(text, version) + FLOATS.tobytes()})
    assert "'x.npy': a broken .npy header" in refusal(path, FormatError)


WORDS = [
    b"{", b"}", b"(", b")", b"[", b"]", b",", b":", b"'", b'"', b"\\", b"\n", b" ", b"-", b"L",
    b"'descr'", b"'fortran_order'", b"'shape'", b"'<f4'", b"'>f4'", b"'|O'", b"False", b"True",
    b"None", b"2", b"3", b"6", b"9" * 5000, b"1e9", b"'f4,(2,3)i4'", b"\0", b"\xe9", b"#", b"j",
]  # fmt: skip


@settings(derandomize=True, deadline=None, max_examples=300)
@given(
    before=st.lists(st.sampled_from(WORDS), max_size=8),
    keep=st.slices(60),
    after=st.lists(st.sampled_from(WORDS), max_size=8),
    version=st.sampled_from([1, 2]),
)
@example([], slice(0, 60), [], 1)
def test_no_header_raises_anything_but_our_errors(
    tmp_path_factory: pytest.TempPathFactory,
    before: list[bytes],
    keep: slice,
    after: list[bytes],
    version: int,
) -> None:
    whole = b"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }"
    text = b"".join(before) + whole[keep] + b"".join(after)
    path = tmp_path_factory.getbasetemp() / "header.npz"
    archive(path, {"x.npy": raw_header(text[:60_000], version) + FLOATS.tobytes()})
    try:
        found = contents(path)
    except Gpt2ConvertError as error:
        message = str(error)
    else:
        message = ""
        (array,) = found.values()
        # NumPy reads the same array from it.
        with np.load(path) as file:
            assert array == ("float32", file["x"].shape, file["x"].tobytes())
    assert "\n" not in message


# Members and the zip file around them.


def test_a_member_that_is_no_npy_is_refused_by_name(tmp_path: Path) -> None:
    members = {"x.npy": header() + FLOATS.tobytes(), "word/document.xml": b"<w/>"}
    path = archive(tmp_path / "x.npz", members)
    assert "'word/document.xml': not a .npy member" in refusal(path, FormatError)


def test_an_npy_without_its_magic_is_refused(tmp_path: Path) -> None:
    path = archive(tmp_path / "x.npz", {"x.npy": b"\x93NUMPZ" + header()[6:] + FLOATS.tobytes()})
    assert "'x.npy'" in refusal(path, FormatError)


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
    np.savez_compressed(path, **arrays)
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


def test_a_deflated_header_that_ends_early_is_refused(tmp_path: Path) -> None:
    for data in (b"", b"\x93NUMPY\1", header()[:9], header()[:-9]):
        path = archive(tmp_path / "x.npz", {"x.npy": data}, method=zipfile.ZIP_DEFLATED)
        assert "'x.npy'" in refusal(path, FormatError)


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
    np.savez(tmp_path / "x.npz", **dict.fromkeys(names, FLOATS))
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
        assert raw.config is not None
        assert raw.config.fields() == hparams
        assert str(path) in raw.config.where


@pytest.mark.parametrize(
    "comment",
    [
        b"", b"made by hand", b"{}", b'{"source_format": "npz"}', b"[1, 2]", b"null", b'"hparams"',
        b"\xff\xfe", b"[" * 60_000, b'{"hparams": ' + b"9" * 5_000 + b"}",
    ],
)  # fmt: skip
def test_a_comment_of_another_program_is_no_config(tmp_path: Path, comment: bytes) -> None:
    path = archive(tmp_path / "x.npz", {"x.npy": header() + FLOATS.tobytes()}, comment=comment)
    with open_raw(path) as raw:
        assert raw.config is None
        assert len(raw.tensors) == 1


@pytest.mark.parametrize("hparams", [b"[]", b"null", b"3"])
def test_hparams_that_are_no_object_are_an_error_only_when_they_are_wanted(
    tmp_path: Path, hparams: bytes
) -> None:
    path = archive(tmp_path / "x.npz", {}, comment=b'{"hparams": ' + hparams + b"}")
    with open_raw(path) as raw:
        assert raw.config is not None
        with pytest.raises(FormatError, match="zip comment: a JSON object expected"):
            raw.config.fields()
