"""A picture has each cell of the map once, as dark as the share of it that differs."""

from __future__ import annotations

import numpy as np

from gpt2_convert.reports.charts.maps import Run, draw_map
from gpt2_convert.reports.difference_map import DifferenceMap


def test_cells_beside_each_other_that_are_equally_dark_are_one() -> None:
    # 2 x 4 cells of 10 x 10 elements.
    found = DifferenceMap(20, 40, 2, 4, (0, 100, 100, 0, 4, 5, 50, 99))
    drawn = draw_map("wte", found)
    assert drawn.runs == (Run(0, 1, 2, 4), Run(1, 0, 1, 1), Run(1, 1, 1, 2), Run(1, 2, 2, 3))


def test_it_says_within_which_rows_and_columns_and_where_most_are() -> None:
    counts = np.zeros((4, 8), int)
    counts[1, 2:4] = 7, 9
    drawn = draw_map("wte", DifferenceMap(4000, 80, 4, 8, tuple(counts.ravel().tolist())))
    assert drawn.summary == (
        "2 of 32 cells have differences: within rows 1,000 to 1,999, 20 to 39 of the last axis"
    )
    assert drawn.fullest == (
        ("1,000 to 1,999; 30 to 39", "9", "10,000"),
        ("1,000 to 1,999; 20 to 29", "7", "10,000"),
    )


def test_a_vector_has_no_rows() -> None:
    drawn = draw_map("ln_f.g", DifferenceMap(1, 3, 1, 3, (0, 1, 0)))
    assert drawn.runs == (Run(0, 1, 1, 4),)
    assert drawn.summary == "1 of 3 cells have differences: within 1 of the last axis"
    assert drawn.fullest == (("1", "1", "1"),)
