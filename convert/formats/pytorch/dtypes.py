"""torch's names of the dtypes, and of the storages that are named after them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...tensors.dtype import DType

if TYPE_CHECKING:
    from typing import Final

STORAGES: Final[dict[str, DType]] = {
    "torch.HalfStorage": DType.FLOAT16,
    "torch.BFloat16Storage": DType.BFLOAT16,
    "torch.FloatStorage": DType.FLOAT32,
    "torch.DoubleStorage": DType.FLOAT64,
    "torch.CharStorage": DType.INT8,
    "torch.ShortStorage": DType.INT16,
    "torch.IntStorage": DType.INT32,
    "torch.LongStorage": DType.INT64,
    "torch.ByteStorage": DType.UINT8,
    "torch.BoolStorage": DType.BOOL,
    "torch.ComplexFloatStorage": DType.COMPLEX64,
    "torch.ComplexDoubleStorage": DType.COMPLEX128,
    # Of bytes: a tensor that uses it says itself what they are.
    "torch.storage.UntypedStorage": DType.UINT8,
}
DTYPES: Final[dict[str, DType]] = {
    f"torch.{dtype}": dtype
    for dtype in (
        DType.FLOAT16, DType.BFLOAT16, DType.FLOAT32, DType.FLOAT64, DType.INT8, DType.INT16,
        DType.INT32, DType.INT64, DType.UINT8, DType.UINT16, DType.UINT32, DType.UINT64, DType.BOOL,
        DType.COMPLEX64, DType.COMPLEX128, DType.FLOAT8_E4M3FN, DType.FLOAT8_E5M2,
        DType.FLOAT8_E4M3FNUZ, DType.FLOAT8_E5M2FNUZ, DType.FLOAT8_E8M0FNU,
    )
}  # fmt: skip
"""Others, such as quantised ones, are refused by their names."""
