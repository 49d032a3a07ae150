"""Element types: sizes and names are those of the libraries that have them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ml_dtypes
import numpy as np
import pytest

from gpt2_convert.errors import UnsupportedError, UsageError
from gpt2_convert.tensors.dtype import DType, numpy_dtype, parse_dtype

if TYPE_CHECKING:
    from types import ModuleType

IN_NUMPY = [dtype for dtype in DType if dtype.in_numpy]
OTHERS = [dtype for dtype in DType if not dtype.in_numpy]


@pytest.mark.parametrize("dtype", IN_NUMPY)
def test_what_numpy_has_is_numpy_s_and_little_endian(dtype: DType) -> None:
    assert np.dtype(dtype).name == dtype.value == str(dtype)
    assert np.dtype(dtype).itemsize == dtype.itemsize
    found = numpy_dtype(dtype)
    assert found.name == dtype.value
    one = np.ones(1, found)
    assert one.tobytes() == np.ones(1, dtype).astype(np.dtype(dtype).newbyteorder("<")).tobytes()
    if dtype.itemsize and dtype.itemsize > 1:
        assert found.str.startswith("<")


@pytest.mark.parametrize("dtype", OTHERS)
def test_what_numpy_has_not_is_refused_by_name(dtype: DType) -> None:
    assert dtype.value not in vars(np)
    with pytest.raises(UnsupportedError) as caught:
        numpy_dtype(dtype)
    assert str(caught.value) == f"NumPy has no {dtype.value} dtype"


@pytest.mark.parametrize("dtype", [DType.BFLOAT16, *(each for each in DType if each.is_float8)])
def test_what_ml_dtypes_adds_has_its_size(dtype: DType) -> None:
    assert np.dtype(getattr(ml_dtypes, dtype.value)).itemsize == dtype.itemsize


OF_TORCH = (DType.FLOAT8_E4M3FNUZ, DType.FLOAT8_E5M2FNUZ, DType.FLOAT8_E8M0FNU)
"""Those that TensorFlow does not have."""


def test_every_dtype_has_tensorflow_s_size(tf: ModuleType) -> None:
    for dtype in [each for each in DType if each not in OF_TORCH]:
        theirs = tf.dtypes.as_dtype(dtype.value)
        assert theirs.name == dtype.value
        if dtype.itemsize is not None:
            assert theirs.size == dtype.itemsize


def test_only_the_elements_of_three_dtypes_have_no_size() -> None:
    sizeless = [dtype.value for dtype in DType if dtype.itemsize is None]
    assert sizeless == ["string", "resource", "variant"]


def test_weights_are_of_four_dtypes_and_no_other() -> None:
    floating = [dtype.value for dtype in DType if dtype.is_floating]
    assert floating == ["float16", "bfloat16", "float32", "float64"]
    for name in floating:
        assert parse_dtype(name) is DType(name)
    assert parse_dtype(None) is None


@pytest.mark.parametrize("name", ["", "fp16", "half", "Float32", "int32", "float8_e5m2", "f4"])
def test_another_dtype_for_weights_is_misuse_and_the_right_ones_are_listed(name: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_dtype(name)
    assert str(caught.value) == (
        f"no such dtype for weights: {name!r}; there are: float16, bfloat16, float32, float64"
    )
