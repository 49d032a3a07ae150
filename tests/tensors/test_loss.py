"""What a cast lost is counted by tensor and in words that a sum of all would hide."""

from __future__ import annotations

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


def test_magnitudes_and_numbers_give_the_same() -> None:
    random = np.random.default_rng(3)
    before = random.standard_normal(1000).astype(np.float32) * np.float32(1e-6)
    after = before.astype(np.float16).astype(np.float32)
    signed, plain = TensorLoss(), TensorLoss()
    signed.add(before, after)
    plain.add(np.abs(before), np.abs(after))
    assert signed == plain
    assert signed.zeroed == int(((after == 0) & (before != 0)).sum()) > 0


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
