"""What is in a checkpoint adds up, and a dtype is named only where it is the only one."""

from __future__ import annotations

import numpy as np
import pytest
from support import raws

from gpt2_convert.reports.summary import Side, Totals, sum_up


@pytest.mark.parametrize(
    ("arrays", "dtype"),
    [
        ([], "none"),
        ([np.zeros((2, 3), np.float16)], "float16"),
        ([np.zeros(0, np.float32), np.zeros((5, 1, 7), np.float32)], "float32"),
        ([np.zeros((), np.float64), np.zeros(3, np.float16), np.zeros(1, np.float64)], "mixed"),
    ],
)
def test_totals_are_the_sums_of_the_tensors(
    arrays: list[np.ndarray[tuple[int, ...], np.dtype[np.float64]]], dtype: str
) -> None:
    found = sum_up([raws.lazy(str(number), array) for number, array in enumerate(arrays)])
    assert found == Totals(
        tensors=len(arrays),
        parameters=sum(array.size for array in arrays),
        nbytes=sum(array.nbytes for array in arrays),
        dtype=dtype,
    )


def test_a_report_takes_both_apart() -> None:
    assert Totals(2, 30, 120, "float32").as_json() == {
        "parameters": 30,
        "bytes": 120,
        "dtype": "float32",
    }
    assert Side("a b/x.npz", "npz").as_json() == {"path": "a b/x.npz", "format": "npz"}
