"""A histogram is a row of ASCII: darker where there is more, blank only where nothing is."""

from __future__ import annotations

import pytest

from gpt2_convert.reports.histogram import LEVELS, draw_histogram


def test_a_drawn_histogram_has_a_character_a_bin_and_a_blank_only_where_nothing_is() -> None:
    assert draw_histogram([0, 1, 1_000_000, 0]) == " .@ "
    assert draw_histogram([9, 8, 7, 6, 5, 4, 3, 2, 1, 0]) == LEVELS[::-1]
    assert draw_histogram([10**12, 10**12 // 2]) == "@+"


@pytest.mark.parametrize(
    ("counts", "drawn"), [([], ""), ([0, 0], "  "), ([5], "@"), ([3, 3], "@@")]
)
def test_histograms_without_a_shape_are_drawn_too(counts: list[int], drawn: str) -> None:
    assert draw_histogram(counts) == drawn
