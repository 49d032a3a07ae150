"""Chunks shuffled and deflated: zlib undoes them, and what is noise costs no search."""

from __future__ import annotations

import zlib

import numpy as np
import pytest
from deflate import deflate_compress, zlib_compress

from gpt2_convert.formats.hdf5 import deflating

WEIGHTS = np.random.default_rng(1).normal(0, 0.02, 1 << 16)
REPEATED = np.tile(WEIGHTS[:100], 1000)[: 1 << 16]
ARRAYS = {
    "float32": WEIGHTS.astype("<f4"),
    "float64": WEIGHTS.astype("<f8"),
    "float16": WEIGHTS.astype("<f2"),
    "float16 as float32": WEIGHTS.astype("<f2").astype("<f4"),
    "zeros": np.zeros(1 << 16, "<f4"),
    "half zeros": np.where(np.arange(1 << 16) < 1 << 15, WEIGHTS, 0).astype("<f4"),
    "repeated": REPEATED.astype("<f4"),
    "a mask": np.tri(256, dtype="<f4").ravel(),
    "numbers": np.arange(1 << 16, dtype="<i8"),
    "bytes of noise": np.random.default_rng(2).integers(0, 256, 1 << 18).astype("u1"),
}


@pytest.mark.parametrize("count", [1, 2, 3, 5, 1000, 65535, 65536])
@pytest.mark.parametrize("name", ARRAYS)
def test_zlib_undoes_what_was_deflated(name: str, count: int) -> None:
    planes = deflating.shuffle(ARRAYS[name][:count].tobytes(), ARRAYS[name].itemsize)
    inflater = zlib.decompressobj()
    assert inflater.decompress(deflating.deflate_planes(planes, count)) == planes
    assert inflater.eof
    assert not inflater.unused_data


def test_planes_are_the_first_bytes_then_the_second_ones() -> None:
    assert deflating.shuffle(bytes.fromhex("a1b1c1 a2b2c2"), 3) == bytes.fromhex("a1a2 b1b2 c1c2")


@pytest.mark.parametrize("name", ARRAYS)
def test_what_is_stored_for_its_sample_hardly_lengthens_the_whole(name: str) -> None:
    planes = deflating.shuffle(ARRAYS[name].tobytes(), ARRAYS[name].itemsize)
    found = deflating.deflate_planes(planes, len(ARRAYS[name]))
    assert len(found) <= 1.01 * len(zlib_compress(planes, 1))


@pytest.mark.parametrize(("name", "tried"), [("float32", 1), ("float64", 2), ("zeros", 4)])
def test_only_from_the_exponents_on_is_what_repeats_searched_for(
    name: str, tried: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []

    def record(data: bytes, level: int) -> bytearray:
        sizes.append(len(data))
        return deflate_compress(data, level)

    monkeypatch.setattr("deflate.deflate_compress", record)
    array = ARRAYS[name]
    deflating.deflate_planes(deflating.shuffle(array.tobytes(), array.itemsize), len(array))
    assert sizes[-1] == tried * len(array)
    assert sum(sizes[:-1]) <= 8 * 4096
