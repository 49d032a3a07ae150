"""A matrix that is read transposed has NumPy's transpose's bytes, in chunks like any other."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import raws

from gpt2_convert.errors import ChecksumError, FormatError, UnsupportedError
from gpt2_convert.io.source import CHUNK
from gpt2_convert.tensors.dtype import DType
from gpt2_convert.tensors.transposed import MAX_MATRIX, transpose

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from gpt2_convert.tensors.tensor import LazyTensor

    Array = np.ndarray[Any, Any]

DTYPES = ["float16", "float32", "float64", "complex128", "uint8"]


def number(shape: tuple[int, int], dtype: str = "float32") -> Array:
    """A matrix in which no two neighbours are alike."""
    return (np.arange(np.prod(shape)) % 251).astype(dtype).reshape(shape)


def count_passes(tensor: LazyTensor) -> tuple[LazyTensor, list[int]]:
    passes: list[int] = []

    def read() -> Iterator[bytes]:
        passes.append(len(passes))
        yield from tensor.chunks()

    return replace(tensor, read=read), passes


@given(
    st.integers(0, 9), st.integers(0, 9), st.sampled_from(DTYPES), st.integers(1, 400), st.data()
)
@settings(max_examples=300)
def test_any_matrix_in_pieces_of_any_size_is_numpy_s_transpose(
    rows: int, columns: int, dtype: str, band: int, data: st.DataObject
) -> None:
    array = number((rows, columns), dtype)
    elements = array.reshape(-1)
    cuts = sorted(data.draw(st.lists(st.integers(0, array.size), max_size=5)))
    pieces = [part.tobytes() for part in np.split(elements, cuts)]
    stored = replace(raws.lazy("w", array), read=lambda: iter(pieces))
    tensor = transpose(stored, band)
    assert tensor.shape == (columns, rows)
    assert tensor.nbytes == array.nbytes
    assert b"".join(tensor.chunks()) == array.T.tobytes()
    assert b"".join(tensor.chunks()) == array.T.tobytes()


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("shape", [(1031, 771), (3, 700_001), (700_001, 3)])
def test_chunks_are_as_large_as_any_tensor_s(shape: tuple[int, int], dtype: str) -> None:
    array = number(shape, dtype)
    tensor, passes = count_passes(raws.lazy("w", array))
    chunks = list(transpose(tensor, CHUNK).chunks())
    assert {len(chunk) for chunk in chunks[:-1]} == {CHUNK}
    assert b"".join(chunks) == array.T.tobytes()
    bands = array.nbytes / CHUNK
    # As many bands as it takes, but never more than there are columns.
    assert min(bands, shape[1]) <= len(passes) <= 2 * bands + 1


def test_a_small_matrix_takes_one_pass_and_a_vector_none_of_its_own() -> None:
    for shape in ((768, 1024), (1, 100), (100, 1)):
        tensor, passes = count_passes(raws.lazy("w", number(shape)))
        assert b"".join(transpose(tensor).chunks()) == number(shape).T.tobytes()
        assert passes == [0]


def test_a_wrong_checksum_is_raised_after_the_last_chunk() -> None:
    array = number((700, 900))

    def read() -> Iterator[bytes]:
        yield from raws.lazy("w", array).chunks()
        raise ChecksumError("damaged")

    chunks: list[bytes] = []
    tensor = transpose(replace(raws.lazy("w", array), read=read), CHUNK)
    with pytest.raises(ChecksumError, match="damaged"):
        chunks.extend(tensor.chunks())
    assert b"".join(chunks) == array.T.tobytes()


@pytest.mark.parametrize("size", [0, 23, 25])
def test_a_source_of_another_length_is_an_error(size: int) -> None:
    stored = replace(raws.lazy("w", number((4, 6))), read=lambda: iter([bytes(4 * size)]))
    with pytest.raises(FormatError, match=r"^'w': other than the 96 bytes"):
        list(transpose(stored).chunks())


def test_what_would_take_forever_is_refused() -> None:
    side = MAX_MATRIX // 4
    stored = replace(raws.lazy("w", number((1, 1))), shape=(side, 2), nbytes=8 * side)
    with pytest.raises(UnsupportedError, match=r"^'w': 536,870,912 bytes, where matrices of up"):
        transpose(stored)
    assert stored.dtype is DType.FLOAT32
