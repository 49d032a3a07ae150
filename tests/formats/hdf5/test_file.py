"""An HDF5 file as the library reads it: through checked reads, with errors of ours, and closed."""

from __future__ import annotations

import gc
import os
from typing import TYPE_CHECKING

import pytest
from support.hdf5_files import LARGE, make, one, random, read_all

import gpt2_convert
from gpt2_convert.formats.hdf5.file import translate_errors
from gpt2_convert.formats.hdf5.reader import open_hdf5

if TYPE_CHECKING:
    from pathlib import Path


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
    before = set(os.listdir("/dev/fd"))
    raw = open_hdf5(path)
    pieces = raw.tensors[0].chunks()
    next(pieces)
    raw.close()
    raw.close()
    for read in (pieces, raw.tensors[0].chunks()):
        with pytest.raises(gpt2_convert.UsageError, match="read after the checkpoint was closed"):
            next(read)
    assert set(os.listdir("/dev/fd")) == before


def test_without_closing_the_descriptor_goes_with_the_last_reference(tmp_path: Path) -> None:
    path = make(tmp_path / "m.h5", one("a", random(LARGE)))
    before = set(os.listdir("/dev/fd"))
    tensor = open_hdf5(path).tensors[0]
    assert sum(map(len, tensor.chunks())) == tensor.nbytes
    del tensor
    gc.collect()
    assert set(os.listdir("/dev/fd")) == before


def test_a_disk_that_fails_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make(tmp_path / "m.h5", one("a", random(LARGE)))

    def fail(fd: int, buffers: list[memoryview], offset: int) -> int:
        raise OSError(5, "Input/output error")

    with open_hdf5(path) as raw:
        monkeypatch.setattr(os, "preadv", fail)
        with pytest.raises(gpt2_convert.UnreadableError, match=r"m\.h5: input/output error"):
            read_all(raw)
        monkeypatch.undo()
        assert read_all(raw) == {"a": random(LARGE).tobytes()}
