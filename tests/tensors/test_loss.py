"""What a cast lost is counted by tensor and in words that a sum of all would hide."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from gpt2_convert.tensors.loss import CastLoss, TensorLoss


def test_a_number_that_became_zero_is_counted_and_hides_no_other_error() -> None:
    lost = TensorLoss()
    lost.add(np.array([1e-9, 0.0, 1.001], np.float32), np.array([0.0, 0.0, 1.0], np.float32))
    assert lost.zeroed == 1
    assert lost.max_rel_error == pytest.approx(0.000999, rel=1e-3)
    assert lost.max_abs_error == pytest.approx(0.001, rel=1e-3)


def test_chunks_add_up() -> None:
    lost = TensorLoss()
    for before, after in ((2.0, 2.5), (4.0, 4.0), (1.0, 0.0)):
        lost.add(np.array([before]), np.array([after]))
    assert (lost.max_abs_error, lost.max_rel_error, lost.zeroed) == (1.0, 0.25, 1)


@pytest.mark.parametrize("spread", [1.0, 1e-6, 1e-38, 1e-44])
@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_the_largest_errors_of_many_chunks_are_those_of_all_elements(
    spread: float, dtype: type
) -> None:
    random = np.random.default_rng(3)
    before = np.abs(random.standard_normal(60_000) * spread).astype(np.float32)
    before[random.integers(0, before.size, 1000)] = 0
    after = before.astype(dtype).astype(np.float32)
    lost = TensorLoss()
    room = np.empty(7_000, np.float32)
    for start in range(0, before.size, 7_000):
        chunk = slice(start, start + 7_000)
        lost.add(before[chunk], after[chunk], room[: before[chunk].size] if start % 2000 else None)
    errors = np.abs(after.astype(np.float64) - before)
    zeroed = (after == 0) & (before != 0)
    kept = after != 0
    assert lost.zeroed == int(zeroed.sum())
    assert lost.max_abs_error == errors.max()
    assert lost.max_rel_error == (errors[kept] / before[kept]).max(initial=0)


def test_what_is_no_finite_number_counts_in_no_error() -> None:
    lost = TensorLoss()
    lost.add(np.array([np.nan, np.inf, 1e9]), np.array([np.nan, np.inf, np.inf]))
    assert (lost.max_abs_error, lost.max_rel_error) == (None, None)
    lost.add(np.array([0.0, -0.0]), np.array([0.0, -0.0]))
    assert (lost.max_abs_error, lost.max_rel_error) == (0.0, 0.0)


def test_the_largest_of_all_tensors_is_named_and_counts_are_summed() -> None:
    loss = CastLoss({"a": TensorLoss(None, None, 0, 2), "b": TensorLoss(0.5, 0.1, 3, 1)})
    assert (loss.max_abs_error, loss.max_abs_error_in) == (0.5, "b")
    assert (loss.zeroed, loss.overflows) == (3, 3)
    assert CastLoss().max_abs_error is None


def test_the_arrays_of_the_caller_are_left_alone() -> None:
    before, after = np.array([1.0, 2.0]), np.array([1.5, 0.0])
    TensorLoss().add(before, after)
    np.testing.assert_array_equal(before, [1.0, 2.0])
    np.testing.assert_array_equal(after, [1.5, 0.0])


def test_the_tensors_are_put_into_the_order_that_is_asked_for() -> None:
    loss = CastLoss({"c": TensorLoss(0.5), "a": TensorLoss(0.5)})
    loss.arrange(["a", "b", "c"])
    assert list(loss.tensors) == ["a", "c"]
    assert loss.max_abs_error_in == "a"
