"""The outline has the heights of the counts."""

from __future__ import annotations

import re

import numpy as np
import pytest
from support import raws

from gpt2_convert.reports.charts.histograms import HEIGHT, WIDTH, draw_histogram, outline_histogram
from gpt2_convert.tensors.stats import compute_stats


def heights(path: str) -> list[float]:
    return [HEIGHT - float(y) for y in re.findall(r"V([\d.]+)H", path)]


def test_bars_are_in_proportion_to_the_fullest() -> None:
    path = outline_histogram([0, 50, 100, 25])
    assert heights(path) == pytest.approx([0, HEIGHT / 2, HEIGHT, HEIGHT / 4])
    rights = [float(x) for x in re.findall(r"H([\d.]+)", path)]
    assert rights == pytest.approx([WIDTH / 4, WIDTH / 2, WIDTH * 3 / 4, WIDTH])


def test_a_single_outlier_is_seen_and_an_empty_bin_is_not() -> None:
    found = heights(outline_histogram([10**9, 0, 1]))
    assert found[1] == 0
    assert found[2] == 1


def test_no_counts_are_no_outline() -> None:
    assert outline_histogram([]) == ""
    assert outline_histogram([0, 0]) == ""


def summary(array: np.ndarray[tuple[int], np.dtype[np.float64]]) -> str | None:
    stats = compute_stats(raws.lazy("x", array))
    drawn = draw_histogram(stats) if stats else None
    return drawn.summary if drawn else None


def test_it_says_where_most_elements_are() -> None:
    array = np.concatenate([np.full(75, 0.2), np.linspace(-1, 1, 25)])
    counts, edges = np.histogram(array, 32)
    fullest = int(counts.argmax())
    start, end, share = edges[fullest], edges[fullest + 1], counts[fullest] / 100
    expected = f"the fullest of 32 bars, from {start:.3g} to {end:.3g}, has {share:.0%}"
    assert summary(array) == expected


def test_equal_elements_and_none_at_all_have_words_of_their_own() -> None:
    assert summary(np.full(3, 0.5)) == "all elements are 0.5"
    assert summary(np.full(3, np.nan)) is None
    assert "inf" not in (summary(np.array([-1.7e308, 1.7e308])) or "inf")
