"""Near is what NumPy calls close, and by default nothing but the same bits is equal."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gpt2_convert.errors import UsageError
from gpt2_convert.tensors.tolerance import EXACT, Tolerance

LIMITS = st.floats(0, 1e300)
NUMBERS = st.one_of(st.floats(), st.floats(-2, 2), st.sampled_from([math.inf, -math.inf, math.nan]))


@settings(derandomize=True, deadline=None, max_examples=300)
@given(st.lists(st.tuples(NUMBERS, NUMBERS), max_size=8), LIMITS, LIMITS)
@example([(1.0, 1.5), (1.0, 1.75), (-1.0, -1.5)], 0.25, 0.25)
@example([(1.5, 1.0), (1.0, 1.5)], 0.0, 0.4)
@example([(math.inf, math.inf), (math.inf, -math.inf), (math.inf, 1.0), (1.0, math.inf)], 1.0, 1.0)
@example([(math.nan, math.nan), (math.nan, 0.0), (0.0, math.nan), (0.0, -0.0)], 0.0, 0.5)
@example([(1e308, -1e308)], 1e300, 1e300)
def test_near_is_what_numpy_calls_close(
    pairs: list[tuple[float, float]], atol: float, rtol: float
) -> None:
    source = np.array([first for first, _ in pairs], np.float64)
    target = np.array([second for _, second in pairs], np.float64)
    with np.errstate(all="ignore"):
        close = np.isclose(target, source, rtol=rtol, atol=atol, equal_nan=True)
        # A distance beyond all floats is within no limit; NumPy has infinity within infinity.
        close &= np.isfinite(target - source) | (target == source) | np.isnan(source)
    np.testing.assert_array_equal(Tolerance(atol, rtol).exceeded(source, target), ~close)


def test_a_distance_is_relative_to_the_source() -> None:
    tolerance = Tolerance(rtol=0.4)
    small, large = np.array([1.0]), np.array([1.5])
    assert tolerance.exceeded(small, large).tolist() == [True]
    assert tolerance.exceeded(large, small).tolist() == [False]


def test_only_two_zeros_are_exact() -> None:
    assert EXACT.exact
    assert Tolerance(0.0, 0).exact
    assert not Tolerance(atol=5e-324).exact
    assert not Tolerance(rtol=5e-324).exact


@pytest.mark.parametrize("value", [-1e-9, math.inf, -math.inf, math.nan])
@pytest.mark.parametrize("name", ["atol", "rtol"])
def test_a_tolerance_that_is_no_distance_is_misuse(name: str, value: float) -> None:
    with pytest.raises(UsageError) as caught:
        Tolerance(**{name: value})
    assert str(caught.value) == f"{name}: a number that is not negative expected, found {value}"
