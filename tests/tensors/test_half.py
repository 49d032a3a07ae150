"""float16 is rounded to as IEEE 754 says, which NumPy's own conversion does one by one."""

from __future__ import annotations

import numpy as np
import pytest

from gpt2_convert.tensors.half import round_to_half, widen_half


@pytest.mark.parametrize("exponent", [0, 1, 60, *range(100, 146), 200, 254, 255])
def test_every_kind_of_number_is_rounded_as_numpy_does(exponent: int) -> None:
    # Every fraction that decides a rounding of float16, its neighbours, and odd steps between.
    near = np.arange(0, 1 << 23, 1 << 12, dtype="<u4")
    fractions = np.unique(
        np.concatenate([near, near + 1, near - 1, np.arange(0, 1 << 23, 997)]) & 0x7FFFFF
    )
    bits = (fractions | exponent << 23).astype("<u4")
    for sign in (0, 1 << 31):
        numbers = (bits | np.uint32(sign)).view("<f4")
        numbers = numbers[~np.isnan(numbers)]
        with np.errstate(over="ignore", under="ignore"):
            expected = numbers.astype("<f2").view("<u2")
        np.testing.assert_array_equal(round_to_half(numbers)[0], expected)


def test_nan_becomes_infinity_and_harms_no_neighbour() -> None:
    numbers = np.array([1, np.nan, -np.nan, np.inf, -np.inf, 65519.996, 65520, -0.0], np.float32)
    found = round_to_half(numbers)[0].view("<f2")
    np.testing.assert_array_equal(
        np.abs(found[1:]), [np.inf, np.inf, np.inf, np.inf, 65504, np.inf, 0]
    )
    assert found[0] == 1
    assert np.signbit(found[7])


@pytest.mark.parametrize("size", [0, 1, 7])
def test_any_number_of_elements_and_the_input_is_left_alone(size: int) -> None:
    numbers = np.linspace(-70000, 70000, size, dtype=np.float32)
    before = numbers.copy()
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(
            round_to_half(numbers)[0].view("<f2"), numbers.astype(np.float16)
        )
    np.testing.assert_array_equal(numbers, before)


def test_whoever_watches_gets_the_magnitudes_before_and_after() -> None:
    numbers = np.array([0.1, -1e-9, 3e-8, -2049, 1e5, 0], np.float32)
    seen: list[tuple[np.ndarray, ...]] = []
    with np.errstate(over="ignore"):
        after = np.abs(numbers.astype(np.float16)).astype(np.float32)
    round_to_half(numbers, lambda *arrays: seen.append(arrays))
    np.testing.assert_array_equal(seen[0][0], np.abs(numbers))
    np.testing.assert_array_equal(seen[0][1], after)
    assert not any(np.may_share_memory(seen[0][2], kept) for kept in (numbers, *seen[0][:2]))


def test_every_float16_is_widened_exactly() -> None:
    half = np.arange(1 << 16, dtype="<u2").view("<f2")
    with np.errstate(invalid="ignore"):
        expected = half.astype("<f4")
    found = widen_half(half)
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == np.float32
