"""The types of elements: those of NumPy in either byte order, and names for all others."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from h5py import h5t

from gpt2_convert.formats.hdf5.element_types import describe_type, find_dtype
from gpt2_convert.tensors.dtype import DType

NUMBERS = [dtype for dtype in DType if dtype.in_numpy]


@pytest.mark.parametrize("dtype", NUMBERS)
@pytest.mark.parametrize("order", "<>")
def test_numbers_of_numpy_are_known_in_either_order(dtype: DType, order: str) -> None:
    numpy_s = np.dtype(dtype.value)
    stored = h5t.py_create(np.dtype(order + numpy_s.str[1:]), logical=True)
    big = order == ">" and numpy_s.itemsize > 1
    assert find_dtype(stored) == (dtype, big)


@pytest.mark.parametrize(
    ("dtype", "says"),
    [
        (np.dtype("S3"), "3 bytes and type string"),
        (np.dtype("V5"), "5 bytes and type opaque"),
        (np.dtype([("a", "i4"), ("b", "f4")]), "8 bytes and type compound"),
        (h5py.string_dtype(), "type string"),
        (h5py.enum_dtype({"A": 0, "B": 1}, "i4"), "4 bytes and type enum"),
        (np.dtype(("f4", (2, 2))), "16 bytes and type array"),
    ],
)
def test_all_others_have_a_name(dtype: np.dtype[np.generic], says: str) -> None:
    stored = h5t.py_create(dtype, logical=True)
    assert find_dtype(stored) is None
    assert says in describe_type(stored)
