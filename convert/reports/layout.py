"""Tensors as rows of text: a table, statistics with a histogram, or the nesting of a tree."""

from __future__ import annotations

import sys
from itertools import groupby
from typing import TYPE_CHECKING

from .histogram import draw_histogram

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Final

    from ..tensors.stats import TensorStats
    from ..tensors.tensor import LazyTensor

Part = str | tuple[str, str]
"""A text, or a text and the style that a terminal may give it."""
_NUMBERS: Final = ("min", "max", "mean", "std", "NaN", "inf")
MOST_WIDTH: Final = 120
"""Characters of a column: what is longer stands out, or each of 16,000 rows would be as long."""


def measure_columns(rows: Iterable[Iterable[str]]) -> list[int]:
    """Return the width of each column: that of its longest text, within MOST_WIDTH."""
    return [min(max(map(len, column)), MOST_WIDTH) for column in zip(*rows, strict=True)]


def tabulate(tensors: Iterable[LazyTensor], width: int | None = None) -> Iterator[tuple[Part, ...]]:
    """Yield one row a tensor: name, shape, dtype, bytes, and the file's own name.

    Where that is wider than ``width``, the file's name has a line of its own, and the name, too, if
    that does not do.
    """
    tensors = list(tensors)
    cells = [
        (tensor.name, str(list(tensor.shape)), tensor.dtype.value, f"{tensor.nbytes:,}")
        for tensor in tensors
    ]
    names, shapes, dtypes, sizes = measure_columns(cells) if cells else [0] * 4
    sources = [
        "" if tensor.source_name == tensor.name else f"  {tensor.source_name}" for tensor in tensors
    ]
    left = sys.maxsize if width is None else width - sum((names, shapes, dtypes, sizes, 6))
    (longest,) = measure_columns((source,) for source in sources) if sources else [0]
    for source, (name, shape, dtype, size) in zip(sources, cells, strict=True):
        row = f"  {shape:<{shapes}}  {dtype:<{dtypes}}  {size:>{sizes}}"
        if left >= longest:
            yield (f"{name:<{names}}", "bold"), row, (source, "dim")
            continue
        if left >= 0:
            yield (f"{name:<{names}}", "bold"), row
        else:
            yield ((name, "bold"),)
            yield (row,)
        if source:
            yield ((source, "dim"),)


def tabulate_statistics(
    tensors: Iterable[LazyTensor],
    stats: Iterable[TensorStats | None],
    width: int | None = None,
) -> Iterator[tuple[Part, ...]]:
    """Yield one row a tensor: name, shape, dtype, the numbers, and the histogram.

    Where that is wider than ``width``, each number has its name beside it in place of a header.
    """
    header = ("", "", "", *_NUMBERS)
    rows: list[tuple[str, ...]] = [header]
    drawings = [""]
    for tensor, found in zip(tensors, stats, strict=True):
        numbers: tuple[str, ...] = ("-",) * len(_NUMBERS)
        if found is not None:
            numbers = tuple(found.list_numbers())
        rows.append((tensor.name, str(list(tensor.shape)), tensor.dtype.value, *numbers))
        drawings.append(f"|{draw_histogram(found.histogram)}|" if found else "")
    widths = measure_columns(rows)
    wide = sum(widths) + 2 * len(widths) + max(map(len, drawings))
    if width is not None and wide > width:
        for (name, shape, dtype, *found_numbers), drawing in zip(
            rows[1:], drawings[1:], strict=True
        ):
            yield ((name, "bold"),)
            yield (f"  {shape}  {dtype}",)
            named = [
                f"{label} {number}" for label, number in zip(_NUMBERS, found_numbers, strict=True)
            ]
            yield (f"    {'  '.join(named)}",)
            if drawing:
                yield ((f"    {drawing}", "cyan"),)
        return
    for row, drawing in zip(rows, drawings, strict=True):
        name, shape, dtype, *rest = row
        left = f"  {shape:<{widths[1]}}  {dtype:<{widths[2]}}"
        right = "".join(f"  {cell:>{size}}" for cell, size in zip(rest, widths[3:], strict=True))
        yield (f"{name:<{widths[0]}}", "bold"), left, right, (f"  {drawing}", "cyan")


def draw_tree(tensors: Iterable[LazyTensor]) -> Iterator[tuple[Part, ...]]:
    """Yield the nesting with shapes and dtypes; neighbouring blocks that are alike stand once."""
    for (first, last), members in _merge_alike(_group_blocks(tensors)):
        if first is None:
            yield from _branch(members, "")
            continue
        count = f"  {last - first + 1} alike" if last > first else ""
        span = f"{first}" if last == first else f"{first}-{last}"
        yield (f"blocks[{span}]", "bold"), (count, "dim")
        yield from _branch(members, "  ")


Leaf = tuple[tuple[str, ...], tuple[int, ...], str]
"""The path within a block or at the top, the shape and the dtype of a tensor."""


def _group_blocks(tensors: Iterable[LazyTensor]) -> Iterator[tuple[int | None, list[Leaf]]]:
    """Yield (block number, leaves), and (None, leaves) for tensors outside of blocks."""

    def block_of(tensor: LazyTensor) -> int | None:
        head, bracket, _ = tensor.name.partition("]")
        return int(head.removeprefix("blocks[")) if bracket else None

    for number, group in groupby(tensors, block_of):
        leaves: list[Leaf] = []
        for tensor in group:
            path = tensor.name.split(".")
            leaves.append((tuple(path if number is None else path[1:]), tensor.shape, tensor.dtype))
        yield number, leaves


def _merge_alike(
    groups: Iterable[tuple[int | None, list[Leaf]]],
) -> Iterator[tuple[tuple[int, int] | tuple[None, int], list[Leaf]]]:
    """Merge runs of blocks with the same leaves into (first, last) spans."""
    for (_, leaves), run in groupby(groups, lambda group: (group[0] is None, group[1])):
        numbers = [number for number, _ in run]
        if numbers[0] is None:
            yield (None, 0), leaves
        else:
            yield (numbers[0], numbers[-1] or 0), leaves


def _branch(leaves: Iterable[Leaf], indent: str) -> Iterator[tuple[Part, ...]]:
    """Yield the lines of one level of the tree and, indented, of those below."""
    for key, group in groupby(leaves, lambda leaf: leaf[0][0]):
        members = list(group)
        path, shape, dtype = members[0]
        label = f"{indent}{key}"
        if len(path) == 1:
            yield (f"{label:<16}", "bold"), f"{list(shape)!s:<16}", (dtype, "dim")
        else:
            yield ((label, "bold"),)
            below = [(path[1:], shape, dtype) for path, shape, dtype in members]
            yield from _branch(below, indent + "  ")
