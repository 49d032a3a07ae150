"""The filters of chunks undone, as the library applies them."""

from __future__ import annotations

import os
import zlib
from typing import TYPE_CHECKING

import h5py
import numpy as np
import pytest
from h5py import h5d, h5p, h5s, h5t

import gpt2_convert
from gpt2_convert.formats.hdf5.filters import (
    DEFLATE,
    FLETCHER32,
    SHUFFLE,
    check_size,
    fletcher32,
    undo,
)

if TYPE_CHECKING:
    from pathlib import Path


def filtered(data: bytes, path: Path, filters: list[int], width: int = 1) -> bytes:
    """Return what the library stores of a chunk of elements of so many bytes."""
    elements = np.frombuffer(data, f"V{width}")
    plist = h5p.create(h5p.DATASET_CREATE)
    plist.set_chunk(elements.shape)
    for each in filters:
        if each == DEFLATE:
            plist.set_deflate(6)
        elif each == SHUFFLE:
            plist.set_shuffle()
        else:
            plist.set_fletcher32()
    with h5py.File(path, "w") as file:
        kind = h5t.py_create(elements.dtype)
        dataset = h5d.create(file.id, b"a", kind, h5s.create_simple(elements.shape), plist)
        dataset.write(h5s.ALL, h5s.ALL, elements)
        file.flush()
        return bytes(dataset.read_direct_chunk((0,))[1])


@pytest.mark.parametrize(
    "filters",
    [
        [],
        [DEFLATE],
        [SHUFFLE],
        [FLETCHER32],
        [SHUFFLE, DEFLATE],
        [SHUFFLE, DEFLATE, FLETCHER32],
        [FLETCHER32, DEFLATE],
        [DEFLATE, SHUFFLE],
        [FLETCHER32, SHUFFLE, DEFLATE],
    ],
    ids=str,
)
@pytest.mark.parametrize("width", [1, 2, 3, 4, 8, 16])
def test_what_the_library_applied_is_undone_in_any_order(
    filters: list[int], width: int, tmp_path: Path
) -> None:
    data = np.arange(width * 999, dtype=np.uint32).tobytes()[: width * 999]
    stored = filtered(data, tmp_path / "m.h5", filters, width)
    assert (stored == data) == (not filters or (filters == [SHUFFLE] and width == 1))
    check_size(len(stored), len(data), tuple(filters), "m.h5")
    assert undo(stored, len(data), tuple(filters), width, "m.h5") == data


@pytest.mark.parametrize(
    "data",
    [
        b"a",
        b"ab",
        b"abc",
        bytes(1000),
        b"\xff" * 2,
        b"\xff" * 1000,
        b"\xff" * 131_074,
        b"\0\1" * 65_535,
        os.urandom(719),
        os.urandom(722),
        os.urandom((1 << 16) + 1),
        os.urandom(1 << 20),
    ],
    ids=len,
)
def test_fletcher_32_is_the_library_s(data: bytes, tmp_path: Path) -> None:
    stored = filtered(data, tmp_path / "m.h5", [FLETCHER32])
    assert stored[:-4] == data
    assert fletcher32(data) == int.from_bytes(stored[-4:], "little")


def test_the_swapped_sums_of_before_1_6_3_are_known() -> None:
    found = fletcher32(b"gpt-2")
    old = found.to_bytes(4, "little")
    swapped = bytes([old[1], old[0], old[3], old[2]])
    assert undo(b"gpt-2" + swapped, 5, (FLETCHER32,), 0, "m.h5") == b"gpt-2"
    for bit in range(32):
        wrong = (found ^ 1 << bit).to_bytes(4, "little")
        with pytest.raises(gpt2_convert.ChecksumError, match=r"m\.h5: does not match"):
            undo(b"gpt-2" + wrong, 5, (FLETCHER32,), 0, "m.h5")


@pytest.mark.parametrize(
    ("found", "filters", "fits"),
    [
        (999, (), False),
        (1000, (), True),
        (1001, (), False),
        (1000, (SHUFFLE,), True),
        (1000, (FLETCHER32,), False),
        (1004, (SHUFFLE, FLETCHER32), True),
        (1, (DEFLATE,), True),
        (1070, (DEFLATE,), True),
        (1 << 40, (DEFLATE,), False),
    ],
)
def test_a_size_that_cannot_be_is_seen_before_anything_is_read(
    found: int, filters: tuple[int, ...], fits: bool
) -> None:
    if fits:
        check_size(found, 1000, filters, "m.h5")
    else:
        with pytest.raises(gpt2_convert.FormatError, match=r"m\.h5: "):
            check_size(found, 1000, filters, "m.h5")


@pytest.mark.parametrize("position", [0, 5, -5, -1])
def test_a_bit_that_flips_in_what_is_deflated_is_seen(position: int) -> None:
    stored = bytearray(zlib.compress(bytes(range(256)) * 4))
    stored[position] ^= 1
    with pytest.raises(gpt2_convert.FormatError, match=r"m\.h5: "):
        undo(bytes(stored), 1024, (DEFLATE,), 0, "m.h5")
