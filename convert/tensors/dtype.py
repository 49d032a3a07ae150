"""Element types: what a file can hold, and which of them NumPy has."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Literal, TypeAlias

from ..errors import UnsupportedError, UsageError

if TYPE_CHECKING:
    from typing import Any, Final

    import numpy as np

DTypeName: TypeAlias = Literal["float16", "bfloat16", "float32", "float64"]
"""The types that weights can have, by name."""


class DType(StrEnum):
    """An element type. Members are strings, so ``np.dtype(tensor.dtype)`` works.

    One is equal to its name, to NumPy's type and to NumPy's dtype in the machine's byte order:
    ``tensor.dtype == np.float32``. As a key of a dict it is its name.

    The exceptions are those that NumPy does not have: ``bfloat16``, from ``qint8`` on what
    TensorFlow alone has, and floats of eight bits, under the names that torch and ml_dtypes give
    them. The elements of the last three have no fixed size.
    """

    FLOAT16 = "float16"
    BFLOAT16 = "bfloat16"
    FLOAT32 = "float32"
    FLOAT64 = "float64"
    INT8 = "int8"
    INT16 = "int16"
    INT32 = "int32"
    INT64 = "int64"
    UINT8 = "uint8"
    UINT16 = "uint16"
    UINT32 = "uint32"
    UINT64 = "uint64"
    BOOL = "bool"
    COMPLEX64 = "complex64"
    COMPLEX128 = "complex128"
    QINT8 = "qint8"
    QINT16 = "qint16"
    QINT32 = "qint32"
    QUINT8 = "quint8"
    QUINT16 = "quint16"
    FLOAT8_E4M3FN = "float8_e4m3fn"
    FLOAT8_E5M2 = "float8_e5m2"
    FLOAT8_E4M3FNUZ = "float8_e4m3fnuz"
    FLOAT8_E5M2FNUZ = "float8_e5m2fnuz"
    FLOAT8_E8M0FNU = "float8_e8m0fnu"
    STRING = "string"
    RESOURCE = "resource"
    VARIANT = "variant"

    def __eq__(self, other: object) -> bool:
        if isinstance(other, str):
            return str.__eq__(self, other)
        numpy = sys.modules.get("numpy")  # who has something of NumPy's has imported it
        if numpy is None:
            return False
        if isinstance(other, type) and issubclass(other, numpy.generic):
            return other.__name__ == self.value or (
                self.in_numpy and numpy.dtype(self.value).type is other
            )
        # Others than NumPy's own, such as those of ml_dtypes, have the same names.
        return isinstance(other, numpy.dtype) and (other.name == self.value and other.isnative)

    def __ne__(self, other: object) -> bool:
        return not self == other  # str has its own

    __hash__ = str.__hash__

    @property
    def itemsize(self) -> int | None:
        """Bytes an element, or None where elements differ in size."""
        return _ITEMSIZES.get(self)

    @property
    def in_numpy(self) -> bool:
        """Whether NumPy has it, under the same name."""
        return self not in _NOT_IN_NUMPY

    @property
    def is_floating(self) -> bool:
        """Whether model weights can be of this type."""
        return self in _FLOATING

    @property
    def is_float8(self) -> bool:
        """Whether it is a float of eight bits, which are carried and never cast."""
        return self in _FLOAT8


_ITEMSIZES = {
    DType.FLOAT16: 2,
    DType.BFLOAT16: 2,
    DType.FLOAT32: 4,
    DType.FLOAT64: 8,
    DType.INT8: 1,
    DType.INT16: 2,
    DType.INT32: 4,
    DType.INT64: 8,
    DType.UINT8: 1,
    DType.UINT16: 2,
    DType.UINT32: 4,
    DType.UINT64: 8,
    DType.BOOL: 1,
    DType.COMPLEX64: 8,
    DType.COMPLEX128: 16,
    DType.QINT8: 1,
    DType.QINT16: 2,
    DType.QINT32: 4,
    DType.QUINT8: 1,
    DType.QUINT16: 2,
}
_FLOAT8 = {
    DType.FLOAT8_E4M3FN,
    DType.FLOAT8_E5M2,
    DType.FLOAT8_E4M3FNUZ,
    DType.FLOAT8_E5M2FNUZ,
    DType.FLOAT8_E8M0FNU,
}
_ITEMSIZES |= dict.fromkeys(_FLOAT8, 1)


_NOT_IN_NUMPY = _FLOAT8 | {
    DType.BFLOAT16,
    DType.QINT8,
    DType.QINT16,
    DType.QINT32,
    DType.QUINT8,
    DType.QUINT16,
    DType.STRING,
    DType.RESOURCE,
    DType.VARIANT,
}


_FLOATING = {DType.FLOAT16, DType.BFLOAT16, DType.FLOAT32, DType.FLOAT64}
WEIGHT_DTYPES: Final = "float16, bfloat16, float32 or float64"
"""Those that weights can have, in words."""


def numpy_dtype(dtype: DType) -> np.dtype[Any]:
    """Return the little-endian NumPy dtype of ``dtype``.

    Raises:
        UnsupportedError: NumPy has none.
    """
    import numpy as np

    if not dtype.in_numpy:
        raise UnsupportedError(f"NumPy has no {dtype} dtype")
    return np.dtype(dtype.value).newbyteorder("<")


def parse_dtype(dtype: str | None) -> DType | None:
    """Return the dtype of that name, if weights can have it.

    Raises:
        UsageError: they cannot.
    """
    if dtype is None:
        return None
    known = [each.value for each in DType if each.is_floating]
    if dtype not in known:
        raise UsageError(f"no such dtype for weights: {dtype!r}; there are: {', '.join(known)}")
    return DType(dtype)
