"""The bars add up to the model, the largest first."""

from __future__ import annotations

import numpy as np
import pytest
from support import bundles, raws

from gpt2_convert.model.adopt import adopt
from gpt2_convert.reports.charts.shares import MOST, share_by_dtype, share_by_part


def test_the_parts_of_a_gpt2_add_up_to_it() -> None:
    arrays = bundles.gpt2_arrays()
    model = adopt(raws.raw(arrays, bundles.TINY))
    bars = share_by_part(model.values())
    assert {bar.label for bar in bars} == {"wte", "wpe", "attn", "mlp", "ln"}
    assert [bar.nbytes for bar in bars] == sorted((bar.nbytes for bar in bars), reverse=True)
    for part in ("attn", "mlp"):
        inside = [array for name, array in arrays.items() if f"/{part}/" in name]
        (bar,) = (bar for bar in bars if bar.label == part)
        assert bar.nbytes == sum(array.nbytes for array in inside)
        assert (bar.tensors, bar.parameters) == (len(inside), sum(each.size for each in inside))
    assert sum(bar.share for bar in bars) == pytest.approx(1)


def test_the_types_are_told_apart() -> None:
    tensors = [raws.lazy("a", np.zeros(6, np.float32)), raws.lazy("b", np.zeros(4, np.float16))]
    shares = [(bar.label, bar.nbytes, bar.share) for bar in share_by_dtype(tensors)]
    assert shares == [("float32", 24, 0.75), ("float16", 8, 0.25)]


def test_many_small_parts_are_one_bar() -> None:
    tensors = [raws.lazy(f"part{n}", np.zeros(n + 1, np.uint8)) for n in range(100)]
    bars = share_by_part(tensors)
    assert len(bars) == MOST + 1
    assert (bars[0].label, bars[0].nbytes) == ("part99", 100)
    assert (bars[-1].label, bars[-1].tensors) == ("88 others", 88)
    assert bars[-1].nbytes == sum(range(1, 89))


def test_nothing_is_no_bar_and_tensors_without_elements_have_no_share() -> None:
    assert share_by_part([]) == ()
    (bar,) = share_by_part([raws.lazy("a", np.zeros(0, np.float32))])
    assert bar.share == 0
