"""Source files are read at offsets, must be regular, and say what they lack."""

from __future__ import annotations

import gc
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from support.descriptors import list_descriptors
from support.mishaps import ordinary_user

from gpt2_convert.errors import FormatError, SourceNotFoundError, UnreadableError, UsageError
from gpt2_convert.io.source import CHUNK, SourceFile, check_path, read_small

if TYPE_CHECKING:
    from collections.abc import Callable

CONTENT = bytes(range(256)) * 40


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "x.bin"
    path.write_bytes(CONTENT)
    return path


@pytest.mark.parametrize(("offset", "size"), [(0, 0), (0, 1), (7, 300), (0, 10_240), (10_240, 0)])
def test_what_is_read_are_the_bytes_at_the_offset(offset: int, size: int, path: Path) -> None:
    file = SourceFile(path)
    assert file.size == 10_240
    assert file.read(offset, size, "it") == CONTENT[offset : offset + size]
    buffer = bytearray(size)
    file.read_into(memoryview(buffer), offset, "it")
    assert buffer == CONTENT[offset : offset + size]
    assert b"".join(file.chunks(offset, size, "it")) == CONTENT[offset : offset + size]


def test_short_reads_of_the_system_are_completed(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pread, preadv = os.pread, os.preadv
    monkeypatch.setattr(os, "pread", lambda fd, size, at: pread(fd, min(size, 7), at))
    monkeypatch.setattr(os, "preadv", lambda fd, views, at: preadv(fd, [views[0][:7]], at))
    file = SourceFile(path)
    assert file.read(3, 1000, "it") == CONTENT[3:1003]
    buffer = bytearray(1000)
    file.read_into(memoryview(buffer), 3, "it")
    assert buffer == CONTENT[3:1003]


def test_chunks_are_of_one_size_but_the_last(tmp_path: Path) -> None:
    path = tmp_path / "large.bin"
    with path.open("wb") as file:
        file.truncate(5 + 2 * CHUNK + 3)
    sizes = [len(chunk) for chunk in SourceFile(path).chunks(5, 2 * CHUNK + 3, "it")]
    assert sizes == [CHUNK, CHUNK, 3]
    assert list(SourceFile(path).chunks(5, 0, "it")) == []


def test_an_array_is_filled_a_chunk_at_a_time(tmp_path: Path) -> None:
    content = np.random.default_rng(0).integers(0, 256, 9 + 2 * CHUNK + 3, np.uint8)
    path = tmp_path / "large.bin"
    path.write_bytes(content.tobytes())
    array = np.zeros(2 * CHUNK + 3, np.uint8)
    filled = 0
    for piece in SourceFile(path).fill(array, 9, "it"):
        filled += piece.size
        assert piece.base is array
        np.testing.assert_array_equal(array[:filled], content[9 : 9 + filled])
        assert piece.size == CHUNK or filled == array.size
    assert filled == array.size
    assert list(SourceFile(path).fill(array[:0], 9, "it")) == []


READS: dict[str, Callable[[SourceFile, int, int], object]] = {
    "read": lambda file, offset, size: file.read(offset, size, "'wte'"),
    "read_into": lambda file, offset, size: file.read_into(
        memoryview(bytearray(size)), offset, "'wte'"
    ),
    "chunks": lambda file, offset, size: list(file.chunks(offset, size, "'wte'")),
    "fill": lambda file, offset, size: list(file.fill(np.empty(size, np.uint8), offset, "'wte'")),
}


@pytest.mark.parametrize("way", READS)
def test_a_file_that_is_too_short_says_what_it_lacks(way: str, path: Path) -> None:
    with pytest.raises(FormatError) as caught:
        READS[way](SourceFile(path), 10_000, 241)
    assert str(caught.value) == (
        f"{path}: truncated: 'wte' needs bytes 10,000 to 10,241, but the file has 10,240"
    )


@pytest.mark.parametrize("way", READS)
def test_a_file_that_becomes_shorter_is_an_error_and_no_signal(way: str, path: Path) -> None:
    file = SourceFile(path)
    os.truncate(path, 100)
    with pytest.raises(FormatError, match="became shorter while 'wte' was being read"):
        READS[way](file, 50, 100)


@pytest.mark.parametrize("way", READS)
def test_a_closed_file_is_not_read(way: str, path: Path) -> None:
    file = SourceFile(path)
    file.close()
    file.close()
    with pytest.raises(UsageError, match="read after the checkpoint was closed"):
        READS[way](file, 0, 1)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(file.fd)


def test_a_file_that_nobody_refers_to_is_closed(path: Path) -> None:
    file = SourceFile(path)
    fd = file.fd
    assert not os.get_inheritable(fd)
    del file
    gc.collect()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)


def make_pipe(path: Path) -> None:
    os.mkfifo(path)


def make_folder(path: Path) -> None:
    path.mkdir()


def make_link_to_zeros(path: Path) -> None:
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize("make", [make_pipe, make_folder, make_link_to_zeros])
def test_what_is_no_regular_file_is_refused_at_once_and_not_left_open(
    make: Callable[[Path], None], tmp_path: Path
) -> None:
    make(tmp_path / "x")
    before = list_descriptors()
    with pytest.raises(UnreadableError) as caught:
        SourceFile(tmp_path / "x")
    assert str(caught.value) == f"{tmp_path / 'x'}: not a regular file"
    assert list_descriptors() == before


def test_a_missing_file_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(SourceNotFoundError) as caught:
        SourceFile(tmp_path / "absent")
    assert str(caught.value) == f"{tmp_path / 'absent'}: no such file"
    with pytest.raises(UnreadableError, match="not a directory"):
        SourceFile(Path(os.devnull) / "x")


def test_a_file_that_may_not_be_read_says_so() -> None:
    # Not pytest's folder, into which only one user may look.
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)  # noqa: S103
        path = Path(folder) / "x"
        path.touch(0o200)
        path.chmod(0o200)
        with ordinary_user(), pytest.raises(UnreadableError) as caught:
            SourceFile(path)
    assert str(caught.value) == f"{path}: permission denied"


def test_a_small_file_is_read_whole_or_refused_by_its_size(path: Path) -> None:
    assert read_small(path, 10_240) == CONTENT
    with pytest.raises(FormatError) as caught:
        read_small(path, 10_239)
    assert str(caught.value) == f"{path}: 10,240 bytes, where at most 10,239 make sense"


@pytest.mark.parametrize("given", ["x.npz", Path("a/b"), "ü\udcff", "."])
def test_a_path_that_a_file_can_have_is_taken_as_it_is(given: str | Path) -> None:
    assert check_path(given) == Path(given)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("", "the target is an empty path"),
        ("a\0b", r"'a\x00b': a path cannot hold a zero byte"),
        ("\ud800", r"'\ud800': holds a character that no file name can hold"),
    ],
)
def test_a_path_that_no_file_can_have_is_misuse(given: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_path(given, "target")
    assert str(caught.value) == message


@pytest.mark.parametrize(("soft", "hard", "then"), [(64, 128, 128), (128, 128, 128)])
def test_as_many_files_may_be_open_as_the_system_allows(soft: int, hard: int, then: int) -> None:
    program = (
        "import resource\n"
        "from gpt2_convert.io.source import allow_many_files\n"
        f"resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))\n"
        "allow_many_files()\n"
        "print(*resource.getrlimit(resource.RLIMIT_NOFILE))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"{then} {hard}\n"
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[1] >= hard


@pytest.mark.parametrize(
    "address",
    [
        "https://huggingface.co/openai-community/gpt2/resolve/main/model.safetensors",
        "http://example.org/model.npz", "hf://openai-community/gpt2", "s3://bucket/model.npz",
        "gs://gpt-2/models/124M", "HTTPS://example.org/", "hdfs://host:9000/a",
    ],
)  # fmt: skip
def test_an_address_is_told_of_downloading_first(address: str) -> None:
    with pytest.raises(UsageError, match="download it first; 'fetch' gets") as caught:
        check_path(address)
    assert str(caught.value).startswith(f"{address}: ")
    with pytest.raises(UsageError, match="upload what was written"):
        check_path(address, "target")


def test_an_address_of_a_file_is_a_path_without_its_scheme() -> None:
    with pytest.raises(UsageError, match="without 'file://'"):
        check_path("file:///models/124M")


def test_a_path_that_looks_like_an_address_is_one_where_it_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s3:").mkdir()
    (tmp_path / "s3:" / "model.npz").touch()
    assert check_path("s3://model.npz") == Path("s3:/model.npz")
