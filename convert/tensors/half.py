"""float32 to float16 and back, faster than NumPy, which has no instruction for either.

To round is to add: a number 2^13 times as large as the power of two below another pushes all but
eleven of its bits out of a float32, to the nearest and of two equally near to the even one, as the
processor rounds any sum. What then stands in the lowest bits of the sum is the fraction of the
float16; 2^-14 is the least power of two that counts, so that the numbers below it, float16's
subnormal ones, get as few bits as they have. All of it is a dozen passes over memory that stays in
the cache, and no branch.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Final, TypeAlias

    import numpy.typing as npt

    Array: TypeAlias = npt.NDArray[Any]
    Watch: TypeAlias = Callable[[Array, Array, Array | None], None]
    """Takes the magnitudes of the elements as they were and as they are, and memory of as many of
    the same type that it may overwrite, if there is some."""

_BEYOND: Final = 2.0**16
"""The first power of two that is infinite as a float16."""
_LARGEST: Final = 0x477FE000
"""The bits of 65504, the largest finite float16."""
_LEAST: Final = 2.0**-14
"""The least float16 that is no subnormal number."""
_RAISE: Final = 2.0**13 * (1 + 2**11 * 2.0**-23)
"""float32 has 13 bits more than float16. The 2^11 units in the last place are two of float16's
exponent: with them, what a float32's has too much is a multiple of what overflows there."""

_BLOCK: Final = 1 << 16
"""Elements that are looked up at a time."""


def round_to_half(single: Array, watch: Watch | None = None) -> tuple[Array, bool]:
    """Return float32 numbers as the bits of float16; of a NaN it is infinity.

    And whether none is larger than the largest float16. ``watch`` is given the magnitudes in
    float32.
    """
    import numpy as np

    bits = single.view("<u4")
    magnitudes = bits & 0x7FFFFFFF
    plain = bool(magnitudes.max(initial=0) <= _LARGEST)
    before = magnitudes.view("<f4")
    # Of a NaN fmin returns the other number.
    kept = before if plain else np.fmin(before, np.float32(_BEYOND))
    large = (magnitudes & 0x7F800000).view("<f4")
    # Three times as fast as maximum and minimum are with a scalar.
    np.clip(large, np.float32(_LEAST), np.float32(_BEYOND), out=large)
    large *= np.float32(_RAISE)
    total = kept + large
    half: Array = total.view("<u4").astype("<u2")
    if watch is not None:
        total -= large
        if not plain:
            total[total >= _BEYOND] = np.inf
    exponents = large.view("<u4")
    exponents >>= 13
    half += exponents.astype("<u2")
    signs = np.right_shift(bits, 16, out=exponents).astype("<u2")
    signs &= 0x8000
    half |= signs
    if watch is not None:
        watch(before, total, large)
    return half, plain


def widen_half(half: Array) -> Array:
    """Return float16 numbers as float32, which holds each of them exactly."""
    import numpy as np

    codes, table = half.view("<u2"), _table()
    wide = np.empty(half.shape, "<f4")
    # What take makes of the codes, to look them up, has eight bytes each.
    for start in range(0, codes.size, _BLOCK):
        table.take(codes[start : start + _BLOCK], out=wide[start : start + _BLOCK], mode="clip")
    return wide


@cache
def _table() -> Array:
    """Return the float32 of each float16, 256 KiB."""
    import numpy as np

    return np.arange(1 << 16, dtype="<u2").view("<f2").astype("<f4")
