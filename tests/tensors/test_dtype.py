"""Element types: sizes and names are those of the libraries that have them."""

from __future__ import annotations

import subprocess
import sys
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


# As NumPy's compare.


@pytest.mark.parametrize("dtype", IN_NUMPY)
def test_one_is_equal_to_numpy_s_and_to_its_name(dtype: DType) -> None:
    theirs = np.dtype(dtype.value)
    for same in (theirs, theirs.type, dtype.value, theirs.newbyteorder("=")):
        assert dtype == same
        assert (dtype != same) is False
    assert theirs == dtype
    for other in DType:
        assert (dtype == other) is (dtype is other)
        if other is not dtype:
            assert dtype != other.value
            assert other != theirs
            assert other != theirs.type
    if theirs.itemsize > 1:
        swapped = theirs.newbyteorder("S")
        assert dtype != swapped
        assert swapped != dtype


@pytest.mark.parametrize("name", ["bfloat16", "float8_e4m3fn", "float8_e5m2"])
def test_what_ml_dtypes_adds_to_numpy_is_equal_too(name: str) -> None:
    theirs = getattr(ml_dtypes, name)
    assert DType(name) == theirs
    assert DType(name) == np.dtype(theirs)
    assert theirs != DType.FLOAT16
    assert np.dtype(theirs) != DType.FLOAT16


@pytest.mark.parametrize("other", [None, 4, 4.0, float, np.floating, np.ndarray, object(), b"bool"])
def test_nothing_else_is_equal(other: object) -> None:
    for dtype in DType:
        assert dtype != other


def test_as_a_key_it_is_its_name() -> None:
    assert {"float32": 1}[DType.FLOAT32] == 1
    by_dtype: dict[str, int] = {DType.FLOAT32: 1}
    assert by_dtype["float32"] == 1
    assert hash(DType.FLOAT32) == hash("float32")
    assert len({*DType, *(dtype.value for dtype in DType)}) == len(DType)


def test_numpy_is_not_imported_to_compare() -> None:
    program = (
        "import sys\n"
        "from gpt2_convert import DType\n"
        "assert DType.FLOAT32 == 'float32' and DType.FLOAT32 != 1 and DType.FLOAT32 != int\n"
        "assert 'numpy' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
