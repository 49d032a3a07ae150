"""Buffers that GPT-2 computes itself: dropped only after their values were seen to be those.

A causal mask is ones on and below the diagonal and zeros above it, in any square size and with any
axes of length 1 in front. The masked bias is what replaces a score that is masked: -1e4, or a
number below it such as the least of its type, or -9984, which is what bfloat16 has for -1e4; it may
have been cast back since. Source: huggingface/transformers, models/gpt2/modeling_gpt2.py, of
before version 4.31, which stored both with the weights.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ..quoting import quote
from ..tensors.dtype import DType
from ..tensors.floats import decode

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final

    import numpy as np
    import numpy.typing as npt

    from ..tensors.tensor import LazyTensor

_LARGE: Final = 1e4
_LARGE_ROUNDED: Final = 9984.0
"""1e4 in bfloat16, whose numbers are 64 apart there, both to the nearest and towards zero."""
_NUMERIC: Final = {dtype for dtype in DType if dtype.in_numpy or dtype.is_floating} - {
    DType.COMPLEX64, DType.COMPLEX128,
}  # fmt: skip


def find_fault(tensor: LazyTensor, kind: str) -> str | None:
    """Return what speaks against ``tensor`` being a buffer of that kind; None if nothing does.

    Reads it.

    Raises:
        Gpt2ConvertError: it cannot be read.
    """
    if tensor.dtype not in _NUMERIC:
        return f"{quote(tensor.name)} is {tensor.dtype}, and no {NAMES[kind]}"
    fault = BUFFERS[kind](tensor)
    return None if fault is None else f"{quote(tensor.name)} is no {NAMES[kind]}: {fault}"


def _check_causal_mask(tensor: LazyTensor) -> str | None:
    import numpy as np

    *leading, rows, columns = (1, 1, *tensor.shape)
    if rows != columns or math.prod(leading) != 1:
        return f"its shape is {list(tensor.shape)}, which is not square"
    position = 0
    for chunk in tensor.chunks():
        values = decode(chunk, tensor.dtype)
        wrong = np.flatnonzero(values != _build_mask(position, values.size, columns))
        if wrong.size:
            at = int(wrong[0])
            row, column = divmod(position + at, columns)
            return f"{values[at]!s} at [{row}, {column}], where {int(column <= row)} is expected"
        position += values.size
    return None


def _build_mask(start: int, size: int, columns: int) -> npt.NDArray[np.bool_]:
    """Return so many elements of a causal mask from the one at ``start`` in C order."""
    import numpy as np

    # Whole rows around them: to divide the number of each element takes ten times as long.
    first, before = divmod(start, columns)
    last = first + -(-(before + size) // columns)
    rows = np.arange(columns, dtype=np.int32) <= np.arange(first, last, dtype=np.int32)[:, None]
    return rows.reshape(-1)[before : before + size]


def _check_masked_bias(tensor: LazyTensor) -> str | None:
    if tensor.size != 1:
        return f"its shape is {list(tensor.shape)}, which is not one number"
    value = float(decode(b"".join(tensor.chunks()), tensor.dtype)[0])
    if value != -_LARGE_ROUNDED and not value <= -_LARGE:
        return f"{value!r}, where a negative number of at least {_LARGE:,.0f} in size is expected"
    return None


BUFFERS: Final[dict[str, Callable[[LazyTensor], str | None]]] = {
    "causal_mask": _check_causal_mask,
    "masked_bias": _check_masked_bias,
}
"""The kinds that a drop rule may name."""
NAMES: Final = {kind: kind.replace("_", " ") for kind in BUFFERS}
