"""Counts are NumPy's, in whatever pieces the numbers come."""

from __future__ import annotations

import numpy as np
import pytest

from gpt2_convert.tensors.histogram import BINS, Histogram


@pytest.mark.parametrize("step", [1, 2, 3, 64, 1001])
def test_counts_are_those_of_numpy_whatever_the_pieces(step: int) -> None:
    scaled = np.random.default_rng(step).uniform(0, BINS, 1001)
    scaled[[7, 8, 500]] = 0, BINS, np.nextafter(BINS, 0)
    histogram = Histogram(step)
    for start in range(0, scaled.size, step):
        histogram.add(scaled[start : start + step])
    expected, _ = np.histogram(scaled, BINS, (0, BINS))
    assert histogram.counts() == expected.tolist()


def test_rows_are_counted_as_one() -> None:
    scaled = np.random.default_rng(0).uniform(0, BINS, (3, 35))
    histogram = Histogram(scaled.size)
    histogram.add(scaled)
    assert histogram.counts() == np.histogram(scaled, BINS, (0, BINS))[0].tolist()


@pytest.mark.parametrize("size", [1, 2, 5])
@pytest.mark.parametrize("far", [BINS + 1.0, 132.0, 255.0])
def test_what_lies_beyond_the_bins_is_counted_once(size: int, far: float) -> None:
    histogram = Histogram(size)
    histogram.add(np.full(size, far))
    assert sum(histogram.counts()) == size


def test_of_nothing_there_is_nothing() -> None:
    assert Histogram(4).counts() == [0] * BINS
