"""What this tool has compressed is read by the library for the proof, and by no code of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from support import bundles
from support.hdf5_files import LARGE, make, one, random

import gpt2_convert
from gpt2_convert.formats.hdf5 import filters, writer
from gpt2_convert.formats.hdf5.reader import open_hdf5, open_written
from gpt2_convert.tensors.runs import split

if TYPE_CHECKING:
    from pathlib import Path


def test_any_range_is_cut_into_the_boxes_that_hold_it() -> None:
    shape = (3, 1, 4, 5)
    numbers = np.arange(60).reshape(shape)
    for start in range(60):
        for stop in range(start, 61):
            boxes = list(split(shape, start, stop))
            assert len(boxes) <= 2 * len(shape) - 1
            found: list[int] = []
            for offset, box in boxes:
                where = tuple(slice(at, at + n) for at, n in zip(offset, box, strict=True))
                found += numbers[where].ravel().tolist()
            assert found == list(range(start, stop))


def test_no_mistake_of_the_writer_is_undone_by_one_of_the_reader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = bundles.write_gpt2(tmp_path / "source")
    deflate, unshuffle = writer._deflate, filters._unshuffle
    # Both take elements for twice as wide as they are.
    monkeypatch.setattr(
        writer, "_deflate", lambda data, size, itemsize: deflate(data, size, 2 * itemsize)
    )
    monkeypatch.setattr(filters, "_unshuffle", lambda data, width: unshuffle(data, 2 * width))
    with pytest.raises(gpt2_convert.VerificationError):
        gpt2_convert.convert(source, tmp_path / "out.h5", compress="gzip")
    gpt2_convert.convert(source, tmp_path / "out.h5", compress="gzip", verify=False)
    assert gpt2_convert.verify(source, tmp_path / "out.h5").ok  # which is why


def test_the_library_sees_a_file_only_after_a_child_has_come_to_an_end_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make(tmp_path / "m.h5", one("a", random((9,))))
    path.write_bytes(path.read_bytes()[:-1])

    def see(*arguments: object) -> None:
        raise AssertionError

    monkeypatch.setattr("gpt2_convert.formats.hdf5.reader.HDF5File", see)
    for open in (open_hdf5, open_written):
        with pytest.raises(gpt2_convert.FormatError, match="truncated"):
            open(path)


def test_closing_ends_reading(tmp_path: Path) -> None:
    options = {"chunks": (100, 17, 41), "compression": "gzip"}
    path = make(tmp_path / "m.h5", one("a", random(LARGE), **options))
    raw = open_written(path)
    pieces = raw.tensors[0].chunks()
    next(pieces)
    raw.close()
    raw.close()
    for read in (pieces, raw.tensors[0].chunks()):
        with pytest.raises(gpt2_convert.UsageError, match="read after the checkpoint was closed"):
            next(read)
