"""A panel has the numbers of its layers where they belong, and marks those that are unusual."""

from __future__ import annotations

import re

import numpy as np
import pytest
from support import raws

from gpt2_convert.reports.charts.layers import BARS, MOST, MOST_LAYERS, SPREAD, Panel, draw_layers
from gpt2_convert.tensors.stats import TensorStats, compute_stats

EDGE = 1e308


def stats(low: float, high: float, mean: float, std: float, nan: int = 0) -> TensorStats:
    return TensorStats(10, nan, 0, low, high, mean, std, (1,))


NOTHING = TensorStats(10, 10, 0, None, None, None, None, ())


def panel(*layers: TensorStats | None) -> Panel:
    tensors = [raws.lazy(f"blocks[{n}].mlp.c_fc.w", np.zeros(1)) for n in range(len(layers))]
    (drawn,) = draw_layers(tensors, layers)
    return drawn


def whiskers(drawn: Panel) -> list[tuple[float, float, float]]:
    """Return x, bottom and top of each."""
    found = re.findall(r"M([\d.]+) ([\d.]+)V([\d.]+)", drawn.whiskers)
    return [(float(x), float(bottom), float(top)) for x, bottom, top in found]


def bars(drawn: Panel) -> list[float]:
    """Return the heights, the tallest of which is 1."""
    tops = [float(top) for top in re.findall(r"M[\d.]+ [\d.]+V([\d.]+)", drawn.bars)]
    return [(BARS[1] - top) / (BARS[1] - BARS[0]) for top in tops]


def test_whiskers_reach_from_the_smallest_to_the_largest_on_one_scale() -> None:
    drawn = panel(stats(-1, 1, 0, 0.5), stats(-2, 2, 0, 0.5), stats(0, 1, 0.5, 0.25))
    top, bottom = SPREAD
    middle = (top + bottom) / 2
    quarter = (bottom - top) / 4
    expected = [
        (middle + quarter, middle - quarter),
        (bottom, top),
        (middle, middle - quarter),
    ]
    for (_, low, high), (below, above) in zip(whiskers(drawn), expected, strict=True):
        assert (low, high) == pytest.approx((below, above), abs=0.1)
    xs = [x for x, _, _ in whiskers(drawn)]
    assert xs[1] - xs[0] == pytest.approx(xs[2] - xs[1], abs=0.11)
    assert drawn.zero == middle
    assert [tick.text for tick in drawn.spread_ticks] == ["-2", "0", "2"]


def test_bars_of_the_standard_deviation_start_at_zero() -> None:
    drawn = panel(stats(-1, 1, 0, 0.5), stats(-1, 1, 0, 0.25), stats(0, 0, 0, 0.0))
    assert bars(drawn) == pytest.approx([1, 0.5, 0], abs=0.01)
    assert [tick.text for tick in drawn.bar_ticks] == ["0.5", "0"]


def test_a_dead_and_an_exploding_layer_are_marked() -> None:
    fine = stats(-1, 1, 0, 0.5)
    drawn = panel(fine, stats(0, 0, 0, 0.0), fine, stats(-90, 90, 0, 25.0), fine, fine, fine)
    assert drawn.unusual == (
        "layer 1: std 0, where the median is 0.5",
        "layer 3: std 25, where the median is 0.5",
    )
    xs = [x for x, _, _ in whiskers(drawn)]
    assert drawn.marks == pytest.approx((xs[1], xs[3]), abs=0.1)


def test_biases_that_are_all_zero_are_not_unusual() -> None:
    zero = stats(0, 0, 0, 0.0)
    assert panel(zero, zero, zero, stats(0, 1, 0.1, 0.1)).unusual == ()


def test_a_layer_without_numbers_is_marked_and_no_line_leads_across_it() -> None:
    fine = stats(-1, 1, 0, 0.5)
    drawn = panel(fine, NOTHING, fine, stats(-1, 1, 0, 0.5, nan=3))
    assert drawn.unusual == ("layer 1: 10 NaN, 0 infinite", "layer 3: 3 NaN, 0 infinite")
    assert drawn.mean.count("M") == 2
    assert len(whiskers(drawn)) == 3
    assert "1 without a finite element" in drawn.summary


def test_the_summary_says_what_is_seen() -> None:
    drawn = panel(stats(-1, 3, 0, 0.5), stats(-2, 1, 0, 0.25))
    assert drawn.summary == (
        "2 layers; std from 0.25 (layer 1) to 0.5 (layer 0); "
        "smallest element -2 (layer 1), largest 3 (layer 0)"
    )


def test_the_largest_numbers_there_are_have_a_place() -> None:
    drawn = panel(stats(-EDGE, EDGE, 0, EDGE), stats(-EDGE, EDGE, EDGE, EDGE))
    for path in (drawn.whiskers, drawn.band, drawn.mean, drawn.bars):
        assert "nan" not in path
        assert "inf" not in path
        ys = [float(y) for y in re.findall(r"[ V]([\d.]+)", path)]
        assert all(SPREAD[0] <= y <= BARS[1] for y in ys)


def test_kinds_keep_their_order_and_one_layer_is_no_panel() -> None:
    names = ["h.0.b", "h.0.a", "h.1.b", "h.1.a", "wte", "x.0.y"]
    tensors = [raws.lazy(name, np.arange(3, dtype=np.float32)) for name in names]
    drawn = draw_layers(tensors, [compute_stats(each) for each in tensors])
    assert [each.kind for each in drawn] == ["h.*.b", "h.*.a"]


def test_there_are_never_more_panels_and_layers_than_a_page_takes() -> None:
    fine = stats(-1, 1, 0, 0.5)
    names = [f"h.{layer}.w{kind}" for kind in range(MOST + 5) for layer in range(2)]
    tensors = [raws.lazy(name, np.zeros(1)) for name in names]
    assert len(draw_layers(tensors, [fine] * len(tensors))) == MOST
    drawn = panel(*[fine] * (MOST_LAYERS + 20))
    assert len(whiskers(drawn)) == MOST_LAYERS
    assert drawn.summary.startswith(f"{MOST_LAYERS + 20} layers")
    assert "the first 500 are drawn" in drawn.summary


def test_a_kind_without_any_number_is_no_panel() -> None:
    tensors = [raws.lazy(f"h.{n}.w", np.zeros(1)) for n in range(2)]
    assert draw_layers(tensors, [None, NOTHING]) == ()
