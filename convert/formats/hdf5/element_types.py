"""The types of elements: those that NumPy has too, in either byte order, and names for all others.

HDF5 has no bool and no complex numbers; NumPy's are known by h5py's enumeration of FALSE and TRUE
and by its compound of r and i.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from ...tensors.dtype import DType, numpy_dtype

if TYPE_CHECKING:
    from typing import Any


def find_dtype(stored: Any) -> tuple[DType, bool] | None:  # noqa: ANN401
    """Return the type of elements that the library calls so, and whether they are big-endian.

    None where they are no numbers of NumPy's.
    """
    return next(((dtype, big) for dtype, big, known in _list_types() if stored.equal(known)), None)


def describe_type(stored: Any) -> str:  # noqa: ANN401
    """Return the size and the kind of any type of elements in words."""
    from h5py import h5t

    kinds = {
        h5t.INTEGER: "integer", h5t.FLOAT: "float", h5t.STRING: "string", h5t.TIME: "time",
        h5t.BITFIELD: "bitfield", h5t.OPAQUE: "opaque", h5t.COMPOUND: "compound",
        h5t.REFERENCE: "reference", h5t.ENUM: "enum", h5t.VLEN: "variable-length",
        h5t.ARRAY: "array",
    }  # fmt: skip
    kind = stored.get_class()
    text = f"{stored.get_size()} bytes and type {kinds.get(kind, 'unknown')}"
    if kind in (h5t.INTEGER, h5t.FLOAT) and stored.get_precision() != 8 * stored.get_size():
        text += f", of which {stored.get_precision()} bits count"
    return text


@cache
def _list_types() -> tuple[tuple[DType, bool, Any], ...]:
    from h5py import h5t

    known = [(dtype, numpy_dtype(dtype)) for dtype in DType if dtype.in_numpy]
    return (
        *((dtype, False, h5t.py_create(numbers, logical=True)) for dtype, numbers in known),
        *(
            (dtype, True, h5t.py_create(numbers.newbyteorder(">"), logical=True))
            for dtype, numbers in known
        ),
    )
