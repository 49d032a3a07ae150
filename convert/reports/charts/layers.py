"""The spread of each kind of weight over the layers, where a dead or an exploding one shows.

A panel a kind: above, a whisker from the smallest to the largest element of each layer, a band of
one standard deviation around the mean, and the mean as a line; below, the standard deviation as a
bar that starts at zero. Layers whose standard deviation is far from that of the others are marked,
and those with elements that are no finite numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from ..kinds import locate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import Final

    from ...tensors.stats import TensorStats
    from ...tensors.tensor import LazyTensor

MOST: Final = 24
"""Panels of a page."""
MOST_LAYERS: Final = 500
"""Layers of a panel: more would be less than a pixel wide."""
FAR: Final = 10.0
"""A layer is unusual if its standard deviation is so many times the median, or such a part."""

WIDTH: Final = 320
HEIGHT: Final = 220
LEFT: Final = 54
RIGHT: Final = 312
SPREAD: Final = (10.0, 118.0)
"""Top and bottom of the upper part."""
BARS: Final = (142.0, 192.0)
"""Top and bottom of the lower part."""


@dataclass(frozen=True, slots=True)
class Tick:
    """A number at an axis, and where."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Panel:
    """The paths of a kind's panel, the ``ticks`` of its axes, and in ``summary`` what it shows.

    ``unusual`` has a sentence for each layer that is marked, at the ``marks`` on the x axis.
    """

    kind: str
    whiskers: str
    band: str
    mean: str
    bars: str
    marks: tuple[float, ...]
    zero: float | None
    spread_ticks: tuple[Tick, ...]
    bar_ticks: tuple[Tick, ...]
    layer_ticks: tuple[Tick, ...]
    summary: str
    unusual: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Layer:
    """The numbers of a layer, and the middle of its column."""

    number: int
    x: float
    low: float
    high: float
    mean: float
    std: float


def draw_layers(
    tensors: Iterable[LazyTensor], stats: Iterable[TensorStats | None]
) -> tuple[Panel, ...]:
    """Return a panel for each kind of weight that at least two layers have, in their order."""
    kinds: dict[str, dict[int, TensorStats | None]] = {}
    for tensor, found in zip(tensors, stats, strict=True):
        place = locate(tensor.name)
        if place.layer is not None:
            kinds.setdefault(place.kind, {})[place.layer] = found
    panels = (_draw(kind, layers) for kind, layers in kinds.items() if len(layers) > 1)
    return tuple(panel for panel in panels if panel is not None)[:MOST]


def _draw(kind: str, found: dict[int, TensorStats | None]) -> Panel | None:
    numbers = sorted(found)[:MOST_LAYERS]
    step = (RIGHT - LEFT) / len(numbers)
    places = {number: LEFT + (index + 0.5) * step for index, number in enumerate(numbers)}
    layers = [*_list_layers(found, places)]
    if not layers:
        return None
    low = min(layer.low for layer in layers)
    high = max(layer.high for layer in layers)
    widest = max(layer.std for layer in layers)

    def spread(value: float) -> float:
        return _scale(value, low, high, SPREAD)

    def bar(value: float) -> float:
        return _scale(value, 0.0, widest or 1.0, BARS)

    half = min(step * 0.35, 8)
    strange = _find_unusual(layers, found)
    runs = [*_split_runs(layers, numbers)]
    return Panel(
        kind=kind,
        whiskers="".join(
            f"M{each.x:.1f} {spread(each.low):.1f}V{spread(each.high):.1f}" for each in layers
        ),
        band="".join(_outline_band(run, spread, half) for run in runs),
        mean="".join(
            _line((x, spread(each.mean)) for each in run for x in _ends(each, half)) for run in runs
        ),
        bars="".join(
            f"M{each.x - half:.1f} {BARS[1]:g}V{bar(each.std):.1f}h{2 * half:.1f}V{BARS[1]:g}Z"
            for each in layers
        ),
        marks=tuple(places[number] for number in sorted(strange) if number in places),
        zero=spread(0.0) if low < 0 < high else None,
        spread_ticks=tuple(Tick(spread(value), f"{value:.3g}") for value in _pick(low, high)),
        bar_ticks=(Tick(bar(widest), f"{widest:.3g}"), Tick(BARS[1], "0")),
        layer_ticks=tuple(Tick(places[each], str(each)) for each in (numbers[0], numbers[-1])),
        summary=_summarise(layers, len(found)),
        unusual=tuple(f"layer {number}: {strange[number]}" for number in sorted(strange)),
    )


def _list_layers(
    found: dict[int, TensorStats | None], places: dict[int, float]
) -> Iterator[_Layer]:
    """Yield the layers that have finite elements."""
    for number, x in places.items():
        stats = found[number]
        if stats is None or stats.min is None or stats.max is None:
            continue
        low, high = float(stats.min), float(stats.max)
        yield _Layer(number, x, low, high, stats.mean or 0.0, stats.std or 0.0)


def _find_unusual(layers: Sequence[_Layer], found: dict[int, TensorStats | None]) -> dict[int, str]:
    """Return what is unusual of each layer of which anything is."""
    unusual: dict[int, str] = {}
    middle = median(layer.std for layer in layers)
    for layer in layers:
        # Where most layers do not spread at all, as biases before a training, none is far.
        if middle and not middle / FAR < layer.std < middle * FAR:
            unusual[layer.number] = f"std {layer.std:.3g}, where the median is {middle:.3g}"
    for number, stats in found.items():
        if stats is not None and (stats.nan or stats.infinite):
            unusual[number] = f"{stats.nan:,} NaN, {stats.infinite:,} infinite"
    return unusual


def _summarise(layers: Sequence[_Layer], count: int) -> str:
    """Return what the panel shows, for those who do not see it."""
    least, most = (pick(layers, key=lambda each: each.std) for pick in (min, max))
    low = min(layers, key=lambda each: each.low)
    high = max(layers, key=lambda each: each.high)
    text = (
        f"{count} layers; std from {least.std:.3g} (layer {least.number}) "
        f"to {most.std:.3g} (layer {most.number}); "
        f"smallest element {low.low:.3g} (layer {low.number}), "
        f"largest {high.high:.3g} (layer {high.number})"
    )
    if count > MOST_LAYERS:
        text += f"; the first {MOST_LAYERS} are drawn"
    elif (lacking := count - len(layers)) > 0:
        text += f"; {lacking} without a finite element"
    return text


def _split_runs(layers: Sequence[_Layer], numbers: Sequence[int]) -> Iterator[list[_Layer]]:
    """Yield the layers that follow each other: no line leads across one that has no numbers."""
    known = {layer.number: layer for layer in layers}
    run: list[_Layer] = []
    for number in numbers:
        if number in known:
            run.append(known[number])
        elif run:
            yield run
            run = []
    if run:
        yield run


def _ends(layer: _Layer, half: float) -> tuple[float, float]:
    """Return the left and the right end of a layer's column."""
    return layer.x - half, layer.x + half


def _outline_band(run: Sequence[_Layer], y: Callable[[float], float], half: float) -> str:
    """Return the outline of one standard deviation around the mean."""
    upper = [(x, y(each.mean + each.std)) for each in run for x in _ends(each, half)]
    lower = [(x, y(each.mean - each.std)) for each in run for x in _ends(each, half)]
    return _line([*upper, *reversed(lower)]) + "Z"


def _line(points: Iterable[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)


def _pick(low: float, high: float) -> list[float]:
    """Return the numbers that the upper axis shows: its ends, and zero where there is room."""
    if low == high:
        return [low]
    roomy = low < 0 < high and 0.1 < -low / (high - low) < 0.9
    return [low, 0.0, high] if roomy else [low, high]


def _scale(value: float, low: float, high: float, box: tuple[float, float]) -> float:
    """Return where a number lies between the bottom, for ``low``, and the top of ``box``."""
    top, bottom = box
    # Halves: the distance between the largest numbers would be infinite.
    width = high / 2 - low / 2
    share = (value / 2 - low / 2) / width if width else 0.5
    return bottom - min(max(share, 0.0), 1.0) * (bottom - top)
