"""A cast of one element rounds once, to nearest even, in every direction; NaN stays NaN."""

from __future__ import annotations

import math
import struct
from fractions import Fraction
from typing import TYPE_CHECKING

import ml_dtypes
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.dtypes import DIRECTIONS, FLOATS, NUMPY, cast_array

from gpt2_convert import DType
from gpt2_convert.tensors.floats import cast, differ, is_exact

if TYPE_CHECKING:
    from typing import Any

    Array = np.ndarray[Any, Any]

UNSIGNED: dict[DType, Any] = {
    DType.FLOAT16: np.uint16,
    DType.BFLOAT16: np.uint16,
    DType.FLOAT32: np.uint32,
    DType.FLOAT64: np.uint64,
}
PATTERNS = np.arange(1 << 16, dtype=np.uint16)


def cast_bits(pattern: int, source: DType, target: DType) -> int:
    (found,) = cast_array(np.array([pattern], UNSIGNED[source]), source, target).view(
        UNSIGNED[target]
    )
    return int(found)


def positives(dtype: DType) -> Array:
    """Return every finite number of a 16-bit type without sign as float64, ascending."""
    with np.errstate(invalid="ignore"):
        numbers: Array = PATTERNS[: 1 << 15].view(NUMPY[dtype]).astype(np.float64)
    finite: Array = numbers[np.isfinite(numbers)]
    return finite


def test_all_float16_widen_to_what_struct_reads() -> None:
    expected = np.array(struct.unpack("<65536e", PATTERNS.tobytes()))
    for target in (DType.FLOAT32, DType.FLOAT64):
        found = cast_array(PATTERNS, DType.FLOAT16, target)
        np.testing.assert_array_equal(found, expected)
        np.testing.assert_array_equal(np.signbit(found), np.signbit(expected))


def test_all_bfloat16_widen_to_what_ml_dtypes_reads() -> None:
    with np.errstate(invalid="ignore"):
        expected = PATTERNS.view(ml_dtypes.bfloat16).astype(np.float64)
    for target in (DType.FLOAT32, DType.FLOAT64):
        found = cast_array(PATTERNS, DType.BFLOAT16, target)
        np.testing.assert_array_equal(found, expected)
        np.testing.assert_array_equal(np.signbit(found), np.signbit(expected))


@pytest.mark.parametrize("source", FLOATS)
@pytest.mark.parametrize("target", FLOATS)
def test_a_cast_is_exact_where_no_number_of_the_source_is_rounded(
    source: DType, target: DType
) -> None:
    low, high = (ml_dtypes.finfo(NUMPY[dtype]) for dtype in (source, target))  # type: ignore[no-untyped-call]
    holds = low.nmant <= high.nmant and low.maxexp <= high.maxexp and low.minexp >= high.minexp
    assert is_exact(source, target) == holds


@pytest.mark.parametrize("source", FLOATS)
@pytest.mark.parametrize("target", FLOATS)
def test_a_cast_says_whether_no_number_is_or_becomes_infinite_or_nan(
    source: DType, target: DType
) -> None:
    largest = float(ml_dtypes.finfo(NUMPY[target]).max)  # type: ignore[no-untyped-call]
    with np.errstate(all="ignore"):
        near = np.array([largest, largest / 2, 0, 65504, 3e38, np.inf, np.nan]).astype(
            NUMPY[source]
        )
        values = np.concatenate(
            [near, *(np.nextafter(near, NUMPY[source](to)) for to in (0, np.inf))]
        )
        plain = np.abs(values.astype(np.float64)) <= largest
    assert {*plain} == {False, True}
    for value, expected in zip((*values, *-values), (*plain, *plain), strict=True):
        element = np.array([1, value, 1], values.dtype)
        assert cast(element.tobytes(), source, target)[1] == expected, value


@pytest.mark.parametrize("wide", [DType.FLOAT32, DType.FLOAT64])
@pytest.mark.parametrize(
    ("narrow", "infinity", "quiet"),
    [(DType.FLOAT16, 0x7C00, 0x200), (DType.BFLOAT16, 0x7F80, 0x40)],
)
def test_all_16_bit_patterns_survive_the_way_there_and_back(
    narrow: DType, infinity: int, quiet: int, wide: DType
) -> None:
    there, _ = cast(PATTERNS.tobytes(), narrow, wide)
    back = cast(there, wide, narrow)[0]
    nan = infinity < (PATTERNS & 0x7FFF)
    assert nan.sum() == 2 * (0x7FFF - infinity)
    # A signalling NaN comes back as the quiet one; everything else as it was.
    np.testing.assert_array_equal(back, np.where(nan, PATTERNS | quiet, PATTERNS))


@pytest.mark.parametrize(
    ("source", "target"), [(DType.FLOAT16, DType.BFLOAT16), (DType.BFLOAT16, DType.FLOAT16)]
)
def test_all_patterns_between_the_two_16_bit_types_equal_ml_dtypes(
    source: DType, target: DType
) -> None:
    with np.errstate(all="ignore"):
        # The way through float32 is exact, so the second step is the only rounding.
        single = PATTERNS.view(NUMPY[source]).astype(np.float32)
        expected = single.astype(NUMPY[target])
    found = cast_array(PATTERNS, source, target)
    number = ~np.isnan(single)
    np.testing.assert_array_equal(found.view(np.uint16)[number], expected.view(np.uint16)[number])
    assert np.isnan(found[~number].astype(np.float32)).all()


def test_float32_to_bfloat16_equals_ml_dtypes_around_every_bfloat16() -> None:
    lower = np.array([0, 1, 0x7FFF, 0x8000, 0x8001, 0xFFFF], np.uint32)
    patterns = ((np.arange(1 << 16, dtype=np.uint32) << 16)[:, None] | lower).reshape(-1)
    singles = patterns.view(np.float32)
    with np.errstate(all="ignore"):
        expected = singles.astype(ml_dtypes.bfloat16)
    found = cast_array(patterns, DType.FLOAT32, DType.BFLOAT16)
    number = ~np.isnan(singles)
    np.testing.assert_array_equal(found.view(np.uint16)[number], expected.view(np.uint16)[number])
    nans = found[~number]
    assert np.isnan(nans.astype(np.float32)).all()
    np.testing.assert_array_equal(nans.view(np.uint16) >> 15, patterns[~number] >> 31)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("source", [DType.FLOAT32, DType.FLOAT64])
@pytest.mark.parametrize("target", [DType.FLOAT16, DType.BFLOAT16])
def test_halfway_goes_to_even_and_one_step_beside_it_goes_to_its_own_side(
    source: DType, target: DType, sign: int
) -> None:
    numbers = positives(target)
    # After the largest number comes the power of two that the type no longer has.
    beyond = 2.0 ** math.ceil(math.log2(numbers[-1]))
    below, above = numbers, np.append(numbers[1:], beyond)
    halfway = ((below + above) / 2).astype(NUMPY[source])
    np.testing.assert_array_equal(halfway.astype(np.float64), (below + above) / 2)
    even = np.where(np.arange(len(numbers)) % 2 == 0, below, above)
    for values, expected in (
        (halfway, even),
        (np.nextafter(halfway, NUMPY[source](0)), below),
        (np.nextafter(halfway, NUMPY[source](np.inf)), above),
    ):
        found = cast_array(sign * values, source, target).astype(np.float64)
        expected = np.where(expected == beyond, np.inf, expected)
        np.testing.assert_array_equal(found, sign * expected)
        np.testing.assert_array_equal(np.signbit(found), sign < 0)


def round_exactly(value: float, fraction_bits: int, min_exponent: int, limit: float) -> float:
    """Round by the definition, in whole numbers: ``round`` of a Fraction takes ties to even."""
    if not math.isfinite(value) or value == 0:
        return value
    exponent = max(math.frexp(value)[1] - 1, min_exponent)
    unit = Fraction(2) ** (exponent - fraction_bits)
    rounded = round(Fraction(value) / unit) * unit
    if abs(rounded) >= Fraction(limit):
        return math.copysign(math.inf, value)
    return math.copysign(float(abs(rounded)), value)


FORMATS = {
    DType.FLOAT16: (10, -14, 2.0**16),
    DType.BFLOAT16: (7, -126, math.ldexp(1, 128)),
    DType.FLOAT32: (23, -126, math.ldexp(1, 128)),
}


@settings(derandomize=True, deadline=None, max_examples=600)
@given(
    value=st.one_of(
        st.floats(),
        st.floats(-70_000, 70_000),
        st.floats(-1e-4, 1e-4),
        st.floats(-1e-37, 1e-37),
        # Next to a tie of float32, whose rounding must not decide the one to bfloat16.
        st.builds(
            lambda pattern, steps: float(np.uint64((pattern << 45) + steps).view(np.float64)),
            st.integers(0, (1 << 19) - 1),
            st.integers(-2, 2).map(lambda step: step % (1 << 45)),
        ),
    )
)
@example(1 + 2**-8 + 2**-40)  # rounds to a tie of bfloat16 as float32
@example(1 + 2**-11 + 2**-40)  # to one of float16
@example(-(2**-134) * (1 + 2**-50))
@example(5e-324)
@example(math.ldexp(1, 128) - math.ldexp(1, 119))
@example(65519.999999999)
@example(-0.0)
def test_float64_is_rounded_once(value: float) -> None:
    for target, (fraction_bits, min_exponent, limit) in FORMATS.items():
        found = float(cast_array(np.array([value]), DType.FLOAT64, target)[0])
        expected = round_exactly(value, fraction_bits, min_exponent, limit)
        assert found == expected or (math.isnan(found) and math.isnan(value))
        assert math.copysign(1, found) == math.copysign(1, expected) or math.isnan(value)


def test_float64_to_float32_equals_numpy_from_the_smallest_to_the_largest() -> None:
    random = np.random.default_rng(4)
    patterns = random.integers(0, 1 << 32, 100_000, np.uint32)
    singles = patterns.view(np.float32)
    doubles = singles[np.isfinite(singles)].astype(np.float64)
    doubles *= 1 + random.integers(-8, 9, len(doubles)) * 2.0**-26
    with np.errstate(over="ignore"):
        expected = doubles.astype(np.float32)
    assert np.abs(expected[expected != 0]).min() < 1e-40
    assert np.abs(expected).max() > 1e38
    found = cast_array(doubles, DType.FLOAT64, DType.FLOAT32)
    np.testing.assert_array_equal(found.view(np.uint32), expected.view(np.uint32))


@pytest.mark.parametrize(
    ("source", "pattern", "target", "expected"),
    [
        # The lower half alone is no zero: cut off, these would be infinities.
        (DType.FLOAT32, 0x7F800001, DType.BFLOAT16, 0x7FC0),
        (DType.FLOAT32, 0xFF80FFFF, DType.BFLOAT16, 0xFFC0),
        (DType.FLOAT32, 0x7FFFFFFF, DType.BFLOAT16, 0x7FFF),
        (DType.FLOAT32, 0xFFFFFFFF, DType.BFLOAT16, 0xFFFF),
        (DType.FLOAT32, 0xFFC12345, DType.BFLOAT16, 0xFFC1),
        (DType.FLOAT32, 0xFFC12345, DType.FLOAT16, 0xFE09),
        (DType.FLOAT32, 0x7F800001, DType.FLOAT16, 0x7E00),
        (DType.FLOAT32, 0x7F800001, DType.FLOAT64, 0x7FF8000020000000),
        (DType.FLOAT64, 0x7FF0000000000001, DType.FLOAT32, 0x7FC00000),
        (DType.FLOAT64, 0xFFF0000000000001, DType.FLOAT16, 0xFE00),
        (DType.FLOAT64, 0xFFFFFFFFFFFFFFFF, DType.BFLOAT16, 0xFFFF),
        (DType.FLOAT16, 0xFC01, DType.BFLOAT16, 0xFFC0),
        (DType.FLOAT16, 0x7E01, DType.FLOAT32, 0x7FC02000),
        (DType.BFLOAT16, 0x7F81, DType.FLOAT16, 0x7E08),
        (DType.BFLOAT16, 0xFFC1, DType.FLOAT64, 0xFFF8200000000000),
    ],
)
def test_a_nan_keeps_its_sign_and_leading_bits_on_every_machine(
    source: DType, pattern: int, target: DType, expected: int
) -> None:
    assert cast_bits(pattern, source, target) == expected


@pytest.mark.parametrize(("source", "target"), DIRECTIONS)
def test_zeros_and_infinities_keep_their_signs(source: DType, target: DType) -> None:
    special = np.array([0.0, -0.0, np.inf, -np.inf], NUMPY[source])
    found = cast_array(special, source, target).astype(np.float64)
    np.testing.assert_array_equal(found, [0.0, 0.0, np.inf, -np.inf])
    np.testing.assert_array_equal(np.signbit(found), [False, True, False, True])


@pytest.mark.parametrize("dtype", [dtype for dtype in DType if dtype.itemsize])
def test_one_bit_makes_one_element_differ_in_any_dtype(dtype: DType) -> None:
    size = dtype.itemsize or 0
    first = bytes(range(4 * size))
    assert not differ(first, first, dtype).any()
    for bit in range(0, 8 * len(first), 7):
        second = bytearray(first)
        second[bit // 8] ^= 1 << bit % 8
        expected = [bit // 8 // size == element for element in range(4)]
        assert differ(first, bytes(second), dtype).tolist() == expected
