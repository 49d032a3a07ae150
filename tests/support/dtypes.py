"""The dtypes that weights have, and what NumPy and ml_dtypes call them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ml_dtypes
import numpy as np

from gpt2_convert import DType
from gpt2_convert.tensors.floats import cast

if TYPE_CHECKING:
    Array = np.ndarray[Any, Any]

FLOATS = [DType.FLOAT16, DType.BFLOAT16, DType.FLOAT32, DType.FLOAT64]
DIRECTIONS = [(source, target) for source in FLOATS for target in FLOATS if source != target]
NUMPY: dict[DType, Any] = {
    DType.FLOAT16: np.float16,
    DType.BFLOAT16: ml_dtypes.bfloat16,
    DType.FLOAT32: np.float32,
    DType.FLOAT64: np.float64,
}


def cast_array(array: Array, source: DType, target: DType) -> Array:
    return cast(array.tobytes(), source, target)[0].view(NUMPY[target])
