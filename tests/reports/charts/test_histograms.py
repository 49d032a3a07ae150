"""The outline has the heights of the counts."""

from __future__ import annotations

import re

import pytest

from gpt2_convert.reports.charts.histograms import HEIGHT, WIDTH, outline_histogram


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
