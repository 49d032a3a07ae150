"""An HDF5 file as the library reads it: through checked reads, with errors of ours, and closed."""

from __future__ import annotations

import gc
import os
from typing import TYPE_CHECKING

import pytest
from support.descriptors import list_descriptors
from support.hdf5_files import LARGE, make, one, random, read_all

import gpt2_convert
from gpt2_convert.formats.hdf5.file import _OUT_OF_MEMORY, MAX_READ, _Stream, translate_errors
from gpt2_convert.formats.hdf5.reader import open_hdf5
from gpt2_convert.io.source import SourceFile

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any


def test_a_long_error_of_the_library_is_cut() -> None:
    with (
        pytest.raises(gpt2_convert.FormatError, match=r"m\.h5: no object 'xxx") as caught,
        translate_errors("m.h5"),
    ):
        raise OSError(f"no object '{'x' * 10_000}'")
    assert len(str(caught.value)) < 1_000


def test_a_file_cut_while_it_is_read_gives_no_zeros(tmp_path: Path) -> None:
    path = make(tmp_path / "m.h5", one("a", random(LARGE)))
    with open_hdf5(path) as raw:
        pieces = raw.tensors[0].chunks()
        next(pieces)
        os.truncate(path, path.stat().st_size // 2)
        with pytest.raises(gpt2_convert.FormatError, match="became shorter"):
            list(pieces)


def test_closing_ends_reading_and_gives_the_descriptor_back(tmp_path: Path) -> None:
    path = make(tmp_path / "m.h5", one("a", random(LARGE)))
    before = list_descriptors()
    raw = open_hdf5(path)
    pieces = raw.tensors[0].chunks()
    next(pieces)
    raw.close()
    raw.close()
    for read in (pieces, raw.tensors[0].chunks()):
        with pytest.raises(gpt2_convert.UsageError, match="read after the checkpoint was closed"):
            next(read)
    assert list_descriptors() == before


def test_without_closing_the_descriptor_goes_with_the_last_reference(tmp_path: Path) -> None:
    path = make(tmp_path / "m.h5", one("a", random(LARGE)))
    before = list_descriptors()
    tensor = open_hdf5(path).tensors[0]
    assert sum(map(len, tensor.chunks())) == tensor.nbytes
    del tensor
    gc.collect()
    assert list_descriptors() == before


@pytest.mark.parametrize("options", [{}, {"chunks": True}], ids=["contiguous", "chunked"])
def test_a_disk_that_fails_is_said(
    options: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make(tmp_path / "m.h5", one("a", random(LARGE), **options))

    def fail(*arguments: object) -> int:
        raise OSError(5, "Input/output error")

    with open_hdf5(path) as raw:
        monkeypatch.setattr(os, "pread", fail)
        with pytest.raises(gpt2_convert.UnreadableError, match=r"m\.h5: input/output error"):
            read_all(raw)
        monkeypatch.undo()
        assert read_all(raw) == {"a": random(LARGE).tobytes()}


def test_a_disk_that_fails_beneath_the_library_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make(tmp_path / "m.h5", one("a", random((9,))))

    def fail(*arguments: object) -> int:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "preadv", fail)
    with pytest.raises(gpt2_convert.UnreadableError, match=r"m\.h5: input/output error"):
        open_hdf5(path)


@pytest.mark.parametrize("words", _OUT_OF_MEMORY)
def test_what_the_library_says_of_memory_is_an_error_of_memory(words: str) -> None:
    with pytest.raises(MemoryError), translate_errors("m.h5"):
        raise OSError(f"Can't open object ({words})")


def test_the_library_is_not_given_all_the_bytes_that_it_wants(tmp_path: Path) -> None:
    path = tmp_path / "m.h5"
    with path.open("wb") as file:
        file.truncate(MAX_READ + 2)
    stream = _Stream(SourceFile(path), 1)
    assert stream.seek(0, os.SEEK_END) == MAX_READ + 1
    stream.seek(1)
    assert stream.readinto(memoryview(bytearray(MAX_READ))) == MAX_READ
    stream.seek(0)
    with pytest.raises(gpt2_convert.FormatError, match="wants 33,554,433 bytes at once"):
        stream.readinto(memoryview(bytearray(MAX_READ + 1)))
