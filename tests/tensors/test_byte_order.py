"""Numbers whose bytes are turned while they are streamed, against NumPy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from gpt2_convert.errors import ChecksumError
from gpt2_convert.tensors.byte_order import fill_swapped, swap_bytes
from gpt2_convert.tensors.dtype import DType

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt


@pytest.mark.parametrize("dtype", [dtype for dtype in DType if dtype.in_numpy])
def test_every_number_is_turned_and_every_bit_kept(dtype: DType) -> None:
    data = np.random.default_rng(0).integers(0, 256, 16 * 999, np.uint8).tobytes()
    turned = b"".join(swap_bytes([data[:1600], data[1600:]], dtype))
    assert turned == np.frombuffer(data, np.dtype(dtype.value)).byteswap().tobytes()


def test_a_checksum_that_does_not_match_is_raised_after_the_last_piece() -> None:
    def damaged() -> Iterator[bytes]:
        yield b"\1\2"
        raise ChecksumError("x.npz: no")

    found: list[bytes] = []
    with pytest.raises(ChecksumError):
        found.extend(swap_bytes(damaged(), DType.INT16))
    assert found == [b"\2\1"]


@pytest.mark.parametrize("dtype", [dtype for dtype in DType if dtype.in_numpy])
def test_what_fills_an_array_is_turned_in_it_piece_by_piece(dtype: DType) -> None:
    data = np.random.default_rng(0).integers(0, 256, 16 * 999, np.uint8)
    expected = data.view(dtype.value).byteswap().view(np.uint8)

    def fill(array: npt.NDArray[np.uint8]) -> Iterator[npt.NDArray[np.uint8]]:
        for part in (slice(0, 1600), slice(1600, None)):
            array[part] = data[part]
            yield array[part]
        raise ChecksumError("x.npz: no")

    array = np.zeros_like(data)
    seen: list[npt.NDArray[np.uint8]] = []
    with pytest.raises(ChecksumError):
        seen.extend(piece.copy() for piece in fill_swapped(fill, dtype, array))
    np.testing.assert_array_equal(array, expected)
    np.testing.assert_array_equal(np.concatenate(seen), expected)
