"""The floating-point types that weights have, as bits and as numbers.

All four are laid out as sign, exponent, fraction; an exponent of ones is infinity where the
fraction is zero, and NaN where it is not (IEEE 754-2019, section 3.4). bfloat16 is the upper half
of a float32. NumPy knows the other three; bfloat16 is worked on as the integer that its bits are.

A cast rounds once, to the nearest number and of two equally near ones to the even one. Its result
does not depend on the machine: processors and NumPy's versions agree on numbers but not on NaNs,
so those are made here. A NaN keeps its sign and as much of its fraction as fits, and is quiet.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from .dtype import DType
from .half import round_to_half, widen_half

if TYPE_CHECKING:
    from typing import Any, Final

    import numpy as np
    import numpy.typing as npt

    from .half import Watch

    Array = npt.NDArray[Any]

_FRACTION_BITS: Final = {
    DType.FLOAT16: 10,
    DType.BFLOAT16: 7,
    DType.FLOAT32: 23,
    DType.FLOAT64: 52,
}


def bits(data: bytes | Array, dtype: DType) -> Array:
    """Return the elements as unsigned integers, so that every bit counts."""
    import numpy as np

    return np.frombuffer(data, f"<u{dtype.itemsize}")


def differ(first: bytes, second: bytes, dtype: DType) -> npt.NDArray[np.bool_]:
    """Return which elements of two runs of equal length differ in any bit; of any dtype."""
    import numpy as np

    itemsize = dtype.itemsize or 1
    # No integer is as wide as a complex number of two float64.
    words = f"<u{min(itemsize, 8)}"
    words_differ = np.frombuffer(first, words) != np.frombuffer(second, words)
    different: npt.NDArray[np.bool_] = words_differ.reshape(-1, -(-itemsize // 8)).any(axis=1)
    return different


def decode(data: bytes | Array, dtype: DType) -> Array:
    """Return the elements as an array that holds them exactly: bfloat16 as float32.

    ``dtype`` is any one with an item size. The array may share the memory of ``data``.
    """
    import numpy as np

    if dtype is DType.BFLOAT16:
        widened = np.frombuffer(data, "<u2").astype("<u4")
        widened <<= 16
        return widened.view("<f4")
    return np.frombuffer(data, np.dtype(dtype.value).newbyteorder("<"))


def cast(
    data: bytes | Array, source: DType, target: DType, watch: Watch | None = None
) -> tuple[Array, bool]:
    """Round elements of one floating-point type to another; what is too large becomes infinite.

    Returns the bits, as unsigned integers, and whether all numbers are and stay finite. ``watch``
    is given the magnitudes before and after, in types that hold them.
    """
    import numpy as np

    values = decode(data, source)
    if source is target:
        return bits(data, source), _are_plain(values, target)
    seen = source is DType.FLOAT32 and target in {DType.FLOAT16, DType.BFLOAT16}
    with np.errstate(all="ignore"):
        if (source, target) == (DType.FLOAT32, DType.FLOAT16):
            result, plain = round_to_half(values, watch)
        else:
            plain = _are_plain(values, target)
            result = _round(values, source, target, watch)
    if not plain:
        nans = np.flatnonzero(_magnitudes(data, source) > infinity(source))
        result[nans] = _cast_nans(bits(data, source)[nans], source, target)
    if watch is not None and not seen:
        watch(np.abs(_widen(values)), np.abs(_widen(decode(result, target))), None)
    return result, plain


def _round(values: Array, source: DType, target: DType, watch: Watch | None) -> Array:
    """Round where round_to_half does not; a NaN may become a number, which the caller mends."""
    import numpy as np

    if target is not DType.BFLOAT16:
        dtype = np.dtype(target.value).newbyteorder("<")
        return values.astype(dtype).view(f"<u{target.itemsize}")
    if source is DType.FLOAT32:
        return _round_to_upper_half(values, watch)
    return _round_to_upper_half(
        _round_to_odd(values) if source is DType.FLOAT64 else _widen(values)
    )


def is_exact(source: DType, target: DType) -> bool:
    """Whether every number of one floating-point type is one of another."""
    fraction, wider_fraction = _FRACTION_BITS[source], _FRACTION_BITS[target]
    exponent, wider_exponent = _width(source) - fraction, _width(target) - wider_fraction
    return fraction <= wider_fraction and exponent <= wider_exponent


def _are_plain(values: Array, target: DType) -> bool:
    """Whether all numbers are finite, and none is larger than the largest of another type."""
    import numpy as np

    if not values.size:
        return True
    if values.dtype.itemsize == 2:  # float16, slow to calculate with, and fits into all others
        return bool((values.view("<u2") & 0x7FFF).max() < infinity(DType.FLOAT16))
    largest = _find_largest(target)
    with np.errstate(invalid="ignore"):
        low, high = values.min().item(), values.max().item()
    return bool(-largest <= low and high <= largest)  # of NaN neither is true


@cache
def _find_largest(dtype: DType) -> float:
    """Return the largest finite number of a type."""
    import numpy as np

    return float(decode(np.array([infinity(dtype) - 1], f"<u{dtype.itemsize}"), dtype)[0])


def _widen(values: Array) -> Array:
    """Return numbers in a type that NumPy calculates with fast."""
    return widen_half(values) if values.dtype.itemsize == 2 else values


def find_overflows(before: bytes | Array, source: DType, after: Array, target: DType) -> Array:
    """Return the positions of finite numbers that a cast made infinite."""
    import numpy as np

    magnitudes = _magnitudes(after, target)
    finite = _magnitudes(before, source) < infinity(source)
    return np.flatnonzero((magnitudes == infinity(target)) & finite)


def infinity(dtype: DType) -> int:
    """Return the bits of positive infinity. Those of every finite number without sign are less."""
    fraction_bits = _FRACTION_BITS[dtype]
    return ((1 << (_width(dtype) - 1 - fraction_bits)) - 1) << fraction_bits


def _width(dtype: DType) -> int:
    return 8 * (dtype.itemsize or 0)


def _magnitudes(data: bytes | Array, dtype: DType) -> Array:
    """Return the bits without the sign: they sort as the absolute values do, NaN last."""
    import numpy as np

    unsigned = bits(data, dtype)
    magnitudes: Array = np.bitwise_and(
        unsigned, unsigned.dtype.type((1 << (_width(dtype) - 1)) - 1)
    )
    return magnitudes


def _round_to_upper_half(single: Array, watch: Watch | None = None) -> Array:
    """Round float32 to bfloat16. A carry out of the largest exponent makes infinity, as it must."""
    import numpy as np

    wide = single.view("<u4")
    rounded = wide >> 16
    rounded &= 1
    rounded += np.uint32(0x7FFF)
    rounded += wide
    upper = np.right_shift(rounded, 16, out=None if watch else rounded)
    half: Array = upper.astype("<u2")
    if watch is not None:
        rounded &= 0x7FFF0000
        watch((wide & 0x7FFFFFFF).view("<f4"), rounded.view("<f4"), upper.view("<f4"))
    return half


def _round_to_odd(double: Array) -> Array:
    """Round float64 to float32 so that the next rounding, to fewer bits, sees what was lost.

    What is not exact becomes the one of its two neighbours whose last bit is 1: never a tie of
    the next rounding, and on the same side of every tie (Boldo and Melquiond, "Emulation of a FMA
    and correctly rounded sums: proved algorithms using rounding to odd", 2008).
    """
    import numpy as np

    single = double.astype("<f4")
    back = single.astype("<f8")
    wide = single.view("<u4")
    # Towards zero first: one less, where the rounding went away from it.
    wide -= np.abs(back) > np.abs(double)
    wide |= back != double
    return single


def _cast_nans(nans: Array, source: DType, target: DType) -> Array:
    """Return the bits of quiet NaNs with the signs and the leading fraction bits of ``nans``."""
    import numpy as np

    wide = nans.astype("<u8")
    size, new_size = _FRACTION_BITS[source], _FRACTION_BITS[target]
    fraction = wide & np.uint64((1 << size) - 1)
    if new_size > size:
        fraction <<= new_size - size
    else:
        fraction >>= size - new_size
    sign = wide >> (_width(source) - 1) << (_width(target) - 1)
    quiet = np.uint64(infinity(target) | (1 << (new_size - 1)))
    return (sign | fraction | quiet).astype(f"<u{target.itemsize}")
