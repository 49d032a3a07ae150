"""How many tensors there may be, whatever lists them."""

from __future__ import annotations

import pytest

import gpt2_convert
from gpt2_convert.formats.limits import check_count


@pytest.mark.parametrize("count", [0, 580, 40_000])
def test_as_many_tensors_as_there_may_be_are_fine(count: int) -> None:
    check_count(count, "x.index")


@pytest.mark.parametrize("count", [40_001, 1 << 63])
def test_one_more_is_refused_where_they_are_listed(count: int) -> None:
    with pytest.raises(gpt2_convert.UnsupportedError) as caught:
        check_count(count, "x.index")
    assert str(caught.value).startswith("x.index: more than 40,000 tensors, ")
