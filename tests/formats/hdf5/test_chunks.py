"""Chunks, read without the library: elements in C order, and chunks that lie about themselves."""

from __future__ import annotations

import struct
import sys
import zlib
from typing import TYPE_CHECKING

import h5py
import numpy as np
import pytest
from h5py import h5d, h5p, h5s, h5t
from support.hdf5_files import LARGE, Make, make, one, random, read_all
from support.measure import measure

import gpt2_convert
from gpt2_convert.formats.hdf5.reader import open_hdf5, open_written
from gpt2_convert.io.source import CHUNK

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any

    from gpt2_convert.checkpoint.raw import RawCheckpoint


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"chunks": (100, 17, 41)},
        {"chunks": (3, 5, 40)},
        {"chunks": (7, 3, 41), "compression": "gzip", "shuffle": True},
        {"chunks": (500, 2, 2), "compression": "gzip", "fletcher32": True},
        {"chunks": LARGE},
        {"maxshape": (None, None, None)},
    ],
    ids=str,
)
@pytest.mark.parametrize("open", [open_hdf5, open_written])
def test_pieces_are_those_of_the_elements_in_c_order(
    open: Callable[[Path], RawCheckpoint], options: dict[str, Any], tmp_path: Path
) -> None:
    array = random(LARGE)
    path = make(tmp_path / "m.h5", one("a", array, **options))
    with open(path) as raw:
        pieces = list(raw.tensors[0].chunks())
        assert b"".join(pieces) == array.tobytes()
        assert [len(piece) for piece in pieces[:-1]] == [CHUNK] * (len(pieces) - 1)
        assert list(raw.tensors[0].chunks()) == pieces


def allocated(file: h5py.File) -> None:
    """Make a dataset whose chunks have their places before they are written."""
    plist = h5p.create(h5p.DATASET_CREATE)
    plist.set_chunk((5, 7))
    plist.set_alloc_time(h5d.ALLOC_TIME_EARLY)
    h5d.create(file.id, b"a", h5t.IEEE_F32LE, h5s.create_simple(SHAPE), plist)
    file["a"][...] = random(SHAPE)


SHAPE = (23, 38)
INDEXES: dict[str, tuple[Make, str]] = {
    "version 1 B-tree": (one("a", random(SHAPE), chunks=(5, 7)), "earliest"),
    "single chunk": (one("a", random(SHAPE), chunks=SHAPE), "latest"),
    "single chunk, filtered": (
        one("a", random(SHAPE), chunks=SHAPE, compression="gzip", shuffle=True),
        "latest",
    ),
    "implicit": (allocated, "latest"),
    "fixed array": (one("a", random(SHAPE), chunks=(5, 7)), "latest"),
    "fixed array of pages": (one("a", random((1200, 6)), chunks=(1, 1)), "latest"),
    "extensible array": (
        one("a", random(SHAPE), chunks=(5, 7), maxshape=(None, 38), fletcher32=True),
        "latest",
    ),
    "version 2 B-tree": (
        one("a", random(SHAPE), chunks=(5, 7), maxshape=(None, None), compression="gzip"),
        "latest",
    ),
}
"""How chunks are found (IV.A.2.i), each in a file that has it."""


@pytest.mark.parametrize(("fill", "libver"), INDEXES.values(), ids=INDEXES)
@pytest.mark.parametrize("userblock", [0, 512])
def test_chunks_of_every_kind_of_index_are_found(
    fill: Make, libver: str, userblock: int, tmp_path: Path
) -> None:
    path = make(tmp_path / "m.h5", fill, libver=libver, userblock_size=userblock)
    with h5py.File(path) as file:
        expected = file["a"][...]
    with open_hdf5(path) as raw:
        np.testing.assert_array_equal(raw.tensors[0].array(), expected, strict=True)


def test_chunks_outside_of_a_shape_that_shrank_are_passed_over(tmp_path: Path) -> None:
    def fill(file: h5py.File) -> None:
        dataset = file.create_dataset("a", data=random((40, 9)), chunks=(4, 4), maxshape=(None, 9))
        dataset.resize((6, 9))

    path = make(tmp_path / "m.h5", fill)
    with open_hdf5(path) as raw:
        np.testing.assert_array_equal(raw.tensors[0].array(), random((40, 9))[:6], strict=True)


@pytest.mark.parametrize("shape", [(3, 5), (3, 1, 4, 5), (1, 1), (7,), (2, 3, 4), (1, 6, 1, 5)])
def test_boxes_of_any_shape_are_put_together(shape: tuple[int, ...], tmp_path: Path) -> None:
    array = random(shape)
    boxes = [
        tuple(int(each) for each in np.random.default_rng(seed).integers(1, 5, len(shape)))
        for seed in range(12)
    ]

    def fill(file: h5py.File) -> None:
        for number, box in enumerate([(1,) * len(shape), shape, *boxes]):
            unlimited = (None,) * len(shape)
            file.create_dataset(str(number), data=array, chunks=box, maxshape=unlimited)

    with open_hdf5(make(tmp_path / "m.h5", fill)) as raw:
        assert len(raw.tensors) == 14
        assert set(read_all(raw).values()) == {array.tobytes()}


def test_a_damaged_chunk_shows_when_its_dataset_is_read_and_spoils_no_other(
    tmp_path: Path,
) -> None:
    array = random((60, 70))

    def fill(file: h5py.File) -> None:
        for name in "abc":
            file.create_dataset(name, data=array, chunks=(17, 19), compression="gzip")

    path = make(tmp_path / "m.h5", fill)
    good = path.read_bytes()
    with h5py.File(path) as file:
        chunks = [file["b"].id.get_chunk_info(n) for n in range(file["b"].id.get_num_chunks())]
    for number, chunk in enumerate(chunks):
        data = bytearray(good)
        data[chunk.byte_offset + number * (chunk.size - 1) // (len(chunks) - 1)] ^= 1 << number % 8
        path.write_bytes(data)
        with open_hdf5(path) as raw:
            found = {tensor.name: tensor for tensor in raw.tensors}
            with pytest.raises(gpt2_convert.ChecksumError, match="'b', chunk at"):
                list(found["b"].chunks())
            for name in "ac":
                np.testing.assert_array_equal(found[name].array(), array)


def store_chunk(stored: bytes, mask: int = 0, **options: Any) -> Make:  # noqa: ANN401
    """Return a maker of a dataset of one chunk of 4,000 bytes, of which these bytes are stored."""

    def fill(file: h5py.File) -> None:
        dataset = file.create_dataset("a", (1000,), "f4", chunks=(1000,), **options)
        dataset.id.write_direct_chunk((0,), stored, mask)

    return fill


@pytest.mark.parametrize(
    ("stored", "error", "message"),
    [
        (zlib.compress(bytes(3999)), gpt2_convert.FormatError, "4,000 bytes expected, found 3,999"),
        (zlib.compress(bytes(4001)), gpt2_convert.FormatError, "4,000 bytes expected, found more"),
        (zlib.compress(bytes(9 << 20)), gpt2_convert.FormatError, "bytes stored for 4,000"),
        (zlib.compress(bytes(1 << 20)), gpt2_convert.FormatError, "4,000 bytes expected, found mo"),
        (zlib.compress(bytes(4000))[:-1], gpt2_convert.ChecksumError, "end too early"),
        (zlib.compress(bytes(4000))[:-1] + b"x", gpt2_convert.ChecksumError, "cannot be inflated"),
        (b"not deflated at all", gpt2_convert.ChecksumError, "cannot be inflated"),
    ],
)
def test_chunks_that_inflate_to_another_size_are_refused(
    stored: bytes, error: type[Exception], message: str, tmp_path: Path
) -> None:
    path = make(tmp_path / "m.h5", store_chunk(stored, compression="gzip"))
    with open_hdf5(path) as raw, pytest.raises(error, match=message) as caught:
        read_all(raw)
    assert "'a', chunk at [0]: " in str(caught.value)


def test_a_chunk_may_leave_out_its_filters(tmp_path: Path) -> None:
    array = random((1000,))
    path = make(tmp_path / "m.h5", store_chunk(array.tobytes(), mask=1, compression="gzip"))
    with open_hdf5(path) as raw:
        np.testing.assert_array_equal(raw.tensors[0].array(), array)
    path = make(tmp_path / "m.h5", store_chunk(b"short", mask=1, compression="gzip"))
    with (
        open_hdf5(path) as raw,
        pytest.raises(gpt2_convert.FormatError, match="4,000 bytes expected, found 5"),
    ):
        read_all(raw)


def test_an_unfiltered_chunk_of_another_size_is_refused(tmp_path: Path) -> None:
    path = make(tmp_path / "m.h5", one("a", random((1000,)), chunks=(1000,)), libver="earliest")
    data = path.read_bytes()
    # The key of the B-tree: size, mask, offset of the chunk, zero for the element.
    old, new = (struct.pack("<IIQQ", size, 0, 0, 0) for size in (4000, 4064))
    assert data.count(old) == 1
    path.write_bytes(data.replace(old, new))
    with (
        open_hdf5(path) as raw,
        pytest.raises(gpt2_convert.FormatError, match="4,000 bytes expected, found 4,064"),
    ):
        read_all(raw)


def test_a_bomb_takes_no_memory(tmp_path: Path) -> None:
    bomb = zlib.compress(bytes(128 << 20))

    def fill(file: h5py.File) -> None:
        dataset = file.create_dataset("a", (1 << 18,), "f4", chunks=(1 << 18,), compression="gzip")
        dataset.id.write_direct_chunk((0,), bomb)

    path = make(tmp_path / "m.h5", fill)
    program = (
        "import sys, pathlib, gpt2_convert\n"
        "from gpt2_convert.formats.hdf5.reader import open_hdf5\n"
        "with open_hdf5(pathlib.Path(sys.argv[1])) as raw:\n"
        "    raw.tensors[0].array()\n"
    )
    done = measure([sys.executable, "-c", program, path], tmp_path)
    assert "FormatError" in done.stderr
    assert "1,048,576 bytes expected, found more" in done.stderr
    assert done.peak < 100_000_000


@pytest.mark.parametrize("options", [{}, {"compression": "gzip"}], ids=["alone", "over gzip"])
def test_a_flipped_bit_fails_fletcher_32(options: dict[str, Any], tmp_path: Path) -> None:
    path = make(tmp_path / "m.h5", one("a", random((1000,)), fletcher32=True, **options))
    with h5py.File(path) as file:
        chunk = file["a"].id.get_chunk_info(0)
    data = bytearray(path.read_bytes())
    data[chunk.byte_offset + chunk.size - 1] ^= 1  # in the sum itself, which is last
    path.write_bytes(data)
    with (
        open_hdf5(path) as raw,
        pytest.raises(
            gpt2_convert.ChecksumError, match=r"'a', chunk at \[0\]: does not match its F"
        ),
    ):
        read_all(raw)
