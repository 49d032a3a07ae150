"""The grid covers a tensor of any shape, and the spans say which indices lie in a part."""

from __future__ import annotations

import numpy as np
import pytest

from gpt2_convert.reports.difference_map import DifferenceMap, measure_grid


@pytest.mark.parametrize(
    ("shape", "grid"),
    [
        ((), (1, 1, 1, 1)),
        ((5,), (1, 5, 1, 5)),
        ((768,), (1, 768, 1, 64)),
        ((3, 2), (3, 2, 3, 2)),
        ((50257, 768), (50257, 768, 16, 64)),
        ((4, 5, 100), (20, 100, 16, 64)),
    ],
)
def test_the_grid_is_no_larger_than_the_tensor(
    shape: tuple[int, ...], grid: tuple[int, int, int, int]
) -> None:
    assert measure_grid(shape) == grid


@pytest.mark.parametrize(("size", "parts"), [(1, 1), (17, 16), (64, 64), (100, 64), (50257, 16)])
def test_the_spans_hold_the_indices_that_the_schema_says(size: int, parts: int) -> None:
    found = DifferenceMap(size, size, parts, parts, (0,) * parts**2)
    part = np.arange(size) * parts // size
    for number in range(parts):
        (inside,) = np.nonzero(part == number)
        assert found.row_span(number) == (inside[0], inside[-1])
        assert found.column_span(number) == (inside[0], inside[-1])


def test_the_document_has_a_list_a_row() -> None:
    found = DifferenceMap(2, 3, 2, 3, (1, 2, 3, 4, 5, 6))
    assert found.as_json() == {"rows": 2, "columns": 3, "counts": [[1, 2, 3], [4, 5, 6]]}
