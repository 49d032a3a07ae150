"""The bytes of storages: their checksum is compared after the last chunk, and once for parts."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import numpy as np
import pytest

from gpt2_convert import ChecksumError, FormatError
from gpt2_convert.formats.pytorch.records import Record
from gpt2_convert.io.source import CHUNK, SourceFile

if TYPE_CHECKING:
    from pathlib import Path

DATA = bytes(range(256)) * (CHUNK // 64) + b"end"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "x.pt"
    path.write_bytes(b"before" + DATA + b"after")
    return path


def record(path: Path, crc: int | None = None, nbytes: int = len(DATA)) -> Record:
    return Record(SourceFile(path), "'x/data/0'", 6, nbytes, crc)


def test_the_whole_comes_in_chunks_and_is_compared(path: Path) -> None:
    for crc in (zlib.crc32(DATA), None):
        chunks = list(record(path, crc).chunks(0, len(DATA), "'wte'"))
        assert [len(chunk) for chunk in chunks] == [CHUNK] * 4 + [3]
        assert b"".join(chunks) == DATA


def test_all_chunks_come_before_the_error(path: Path) -> None:
    found: list[bytes] = []
    expected = (
        f"{path}: 'wte': CRC-32 0x00000007 expected from the zip directory for 'x/data/0', found "
        f"{zlib.crc32(DATA):#010x}: the data is corrupt; fetch it again"
    )
    with pytest.raises(ChecksumError) as caught:
        found.extend(record(path, 7).chunks(0, len(DATA), "'wte'"))
    assert str(caught.value) == expected
    assert b"".join(found) == DATA


@pytest.mark.parametrize(("start", "size"), [(0, len(DATA)), (3, CHUNK + 9), (7, 0)])
def test_an_array_is_filled_with_what_the_chunks_have_and_compared(
    path: Path, start: int, size: int
) -> None:
    array = np.zeros(size, np.uint8)
    for crc in (zlib.crc32(DATA), None):
        pieces = [piece.tobytes() for piece in record(path, crc).fill(array, start, "'wte'")]
        assert pieces == list(record(path, crc).chunks(start, size, "'wte'"))
        assert array.tobytes() == DATA[start : start + size]
    bad = record(path, 7)
    for _ in range(2):
        with pytest.raises(ChecksumError, match="'wte': CRC-32 0x00000007 expected"):
            list(bad.fill(array, start, "'wte'"))


def test_a_part_is_compared_with_the_whole_that_it_is_of(path: Path) -> None:
    good = record(path, zlib.crc32(DATA))
    assert list(good.chunks(3, 9, "'wte'")) == [DATA[3:12]]
    bad = record(path, 7)
    for _ in range(2):
        found: list[bytes] = []
        with pytest.raises(ChecksumError, match="'wte': CRC-32"):
            found.extend(bad.chunks(3, 9, "'wte'"))
        assert found == [DATA[3:12]]


def test_the_whole_is_read_once_for_all_its_parts(path: Path) -> None:
    parts = record(path, zlib.crc32(DATA))
    parts.check("'a'")
    path.write_bytes(path.read_bytes()[:-9] + b"other" + b"after")
    parts.check("'b'")
    assert list(parts.chunks(0, 4, "'b'")) == [DATA[:4]]
    with pytest.raises(ChecksumError, match="'c'"):
        list(parts.chunks(0, len(DATA), "'c'"))


def test_an_empty_storage_has_a_checksum_too(path: Path) -> None:
    assert list(record(path, 0, nbytes=0).chunks(0, 0, "'a'")) == []
    with pytest.raises(ChecksumError):
        list(record(path, 7, nbytes=0).chunks(0, 0, "'a'"))


def test_a_file_that_is_cut_short_meanwhile_is_named(path: Path) -> None:
    short = record(path)
    path.write_bytes(b"before" + DATA[:100])
    with pytest.raises(FormatError, match="became shorter while 'wte' was being read"):
        list(short.chunks(0, len(DATA), "'wte'"))
