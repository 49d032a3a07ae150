"""Datasets: what a header says of one is checked before any element is read."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import h5py
import numpy as np
import pytest
from h5py import h5d, h5p, h5s, h5t
from support.hdf5_files import make, one, random, read_all

import gpt2_convert
from gpt2_convert.formats import limits
from gpt2_convert.formats.hdf5 import datasets
from gpt2_convert.formats.hdf5.reader import open_hdf5

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any


def test_scalars_and_empty_shapes_are_read(tmp_path: Path) -> None:
    def fill(file: h5py.File) -> None:
        file["empty"] = np.empty((3, 0), "f4")
        file.create_dataset("empty_chunked", (0, 5), "f4", maxshape=(None, 5))
        file["scalar"] = np.float32(2.5)

    with open_hdf5(make(tmp_path / "m.h5", fill)) as raw:
        assert [tensor.shape for tensor in raw.tensors] == [(3, 0), (0, 5), ()]
        assert [list(tensor.chunks()) for tensor in raw.tensors[:2]] == [[], []]
        assert raw.tensors[2].array() == 2.5


def test_compact_datasets_are_read(tmp_path: Path) -> None:
    array = random((5, 7))

    def fill(file: h5py.File) -> None:
        plist = h5p.create(h5p.DATASET_CREATE)
        plist.set_layout(h5d.COMPACT)
        space = h5s.create_simple(array.shape)
        h5d.create(file.id, b"a", h5t.IEEE_F32LE, space, plist).write(h5s.ALL, h5s.ALL, array)

    path = make(tmp_path / "m.h5", fill)
    with open_hdf5(path) as raw:
        np.testing.assert_array_equal(raw.tensors[0].array(), array, strict=True)
    with pytest.raises(gpt2_convert.UsageError, match="read after the checkpoint was closed"):
        raw.tensors[0].array()


def test_compact_datasets_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # They are read when the file is opened: only the library knows where in a header they are.
    def fill(file: h5py.File) -> None:
        plist = h5p.create(h5p.DATASET_CREATE)
        plist.set_layout(h5d.COMPACT)
        for name in (b"a", b"b"):
            h5d.create(file.id, name, h5t.IEEE_F32LE, h5s.create_simple((10,)), plist)
        for number in range(9):
            file[f"again/{number}"] = file["a"]

    path = make(tmp_path / "m.h5", fill)
    monkeypatch.setattr(datasets, "MAX_COMPACT", 80)
    with open_hdf5(path) as raw:
        assert [tensor.nbytes for tensor in raw.tensors] == [40] * 11
    monkeypatch.setattr(datasets, "MAX_COMPACT", 79)
    with pytest.raises(gpt2_convert.UnsupportedError, match="'b': more than 79 bytes of compact"):
        open_hdf5(path)


def test_chunks_are_counted_in_all_datasets_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill(file: h5py.File) -> None:
        for name in "ab":
            file.create_dataset(name, data=random((6, 5)), chunks=(2, 2))
        file["c"] = file["a"]

    path = make(tmp_path / "m.h5", fill)
    monkeypatch.setattr(datasets, "MAX_ALL_CHUNKS", 18)
    with open_hdf5(path) as raw:
        assert len(raw.tensors) == 3
    monkeypatch.setattr(datasets, "MAX_ALL_CHUNKS", 17)
    with pytest.raises(gpt2_convert.UnsupportedError, match="'b': more than 17 chunks of all"):
        open_hdf5(path)


def test_more_axes_than_there_may_be_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make(tmp_path / "m.h5", one("a", random((2, 1, 3))))
    monkeypatch.setattr(limits, "MAX_RANK", 2)  # the library has as many as we
    with pytest.raises(gpt2_convert.UnsupportedError, match="'a': 3 axes"):
        open_hdf5(path)


PACKED: dict[str, Any] = {"chunks": (10_000,), "compression": "gzip"}


def test_what_is_deflated_may_not_grow_more_than_weights_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill(file: h5py.File) -> None:
        file.create_dataset("0", data=np.zeros(100_000, "f4"), **PACKED)

    path = make(tmp_path / "m.h5", fill)
    assert len(open_hdf5(path).tensors) == 1  # of so few bytes
    monkeypatch.setattr(limits, "FREE_EXPANSION", 100_000)
    with pytest.raises(gpt2_convert.UnsupportedError, match=r"m\.h5: 400,000 bytes of elements in"):
        open_hdf5(path)
    with h5py.File(path, "a") as file:  # zeros beside weights are nothing odd
        file.create_dataset("w", data=random((20_000,)), **PACKED)
    assert len(open_hdf5(path).tensors) == 2


def test_chunks_have_no_more_bytes_together_than_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make(tmp_path / "m.h5", one("w", random((100_000,)), **PACKED), libver="earliest")
    with h5py.File(path) as file:
        chunks = [file["w"].id.get_chunk_info(number) for number in range(10)]
    data = path.read_bytes()
    for chunk in chunks:
        # Of each entry of the B-tree: size, mask, offset, zero for the element, and address.
        rest = struct.pack("<IQQQ", 0, chunk.chunk_offset[0], 0, chunk.byte_offset)
        assert data.count(struct.pack("<I", chunk.size) + rest) == 1
        reaching = struct.pack("<I", 2 * chunk.size) + rest  # into the next one, too
        data = data.replace(struct.pack("<I", chunk.size) + rest, reaching)
    path.write_bytes(data)
    assert len(data) < 400_000
    monkeypatch.setattr(limits, "FREE_EXPANSION", 100_000)
    monkeypatch.setattr(limits, "MAX_EXPANSION", 1)
    with pytest.raises(gpt2_convert.UnsupportedError, match="400,000 bytes of elements in"):
        open_hdf5(path)


@pytest.mark.slow
def test_looking_up_chunks_takes_time_in_proportion(tmp_path: Path) -> None:
    # The library can look for one, too, in a time in proportion to how many there are: this many
    # took it minutes.
    options = {"chunks": (1,), "compression": "gzip", "compression_opts": 1}
    path = make(tmp_path / "m.h5", one("a", random((100_000,)), **options))
    with open_hdf5(path) as raw:
        assert raw.tensors[0].nbytes == 400_000


def test_two_chunks_at_one_place_are_refused(tmp_path: Path) -> None:
    options = {"chunks": (100,), "compression": "gzip"}
    path = make(tmp_path / "m.h5", one("a", random((300,)), **options), libver="earliest")
    data = path.read_bytes()
    # The offset of the second chunk in the key of the B-tree, and zero for the element.
    old = struct.pack("<IQQ", 0, 100, 0)
    assert data.count(old) == 1
    path.write_bytes(data.replace(old, struct.pack("<IQQ", 0, 0, 0)))
    with pytest.raises(gpt2_convert.FormatError, match=r"'a': two chunks at \[0\]"):
        open_hdf5(path)


@pytest.mark.parametrize("options", [{}, {"chunks": (100,)}], ids=["contiguous", "chunked"])
def test_datasets_that_were_never_written_are_refused(
    options: dict[str, Any], tmp_path: Path
) -> None:
    path = make(tmp_path / "m.h5", one("a", dtype="f4", shape=(100,), **options))
    with (
        pytest.raises(gpt2_convert.FormatError, match="never written; the file is incomplete"),
        open_hdf5(path) as raw,
    ):
        read_all(raw)


@pytest.mark.parametrize(
    "options",
    [{}, {"chunks": (13, 17)}, {"chunks": (13, 17), "compression": "gzip"}],
    ids=["contiguous", "chunked", "gzip"],
)
@pytest.mark.parametrize("rows", [14, 1 << 20, 1 << 40, (1 << 64) - 1])
def test_a_shape_that_lies_is_refused(options: dict[str, Any], rows: int, tmp_path: Path) -> None:
    path = make(tmp_path / "m.h5", one("a", random((13, 17)), **options), libver="earliest")
    data = path.read_bytes()
    old = struct.pack("<QQ", 13, 17)
    # In the dataspace it stands twice: the size now and the largest. The last key of the chunks'
    # B-tree, further on, looks alike.
    assert data.count(old) >= 2
    path.write_bytes(data.replace(old, struct.pack("<QQ", rows, 17), 2))
    with pytest.raises(gpt2_convert.FormatError, match=r"m\.h5: 'a'"), open_hdf5(path) as raw:
        read_all(raw)
