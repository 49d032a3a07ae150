"""Tensors as rows: a table, statistics, and a tree in which blocks that are alike stand once."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from support import raws

from gpt2_convert.reports.layout import Part, draw_tree, tabulate, tabulate_statistics
from gpt2_convert.tensors.stats import compute_stats

if TYPE_CHECKING:
    from collections.abc import Iterable


def lines(rows: Iterable[tuple[Part, ...]]) -> list[str]:
    return [
        "".join(part if isinstance(part, str) else part[0] for part in row).rstrip() for row in rows
    ]


def test_columns_are_as_wide_as_their_longest_cell() -> None:
    tensors = [
        raws.lazy("a", np.zeros((2, 3), np.float32)),
        raws.lazy("longer", np.zeros(12345, np.float16)),
    ]
    assert lines(tabulate(tensors)) == [
        "a       [2, 3]   float32      24",
        "longer  [12345]  float16  24,690",
    ]
    assert lines(tabulate([])) == []


def test_a_table_that_is_too_wide_has_more_lines_a_tensor() -> None:
    tensors = [
        raws.lazy("a", np.zeros((2, 3), np.float32)),
        raws.lazy("longer", np.zeros(12345, np.float16)),
    ]
    tensors[1] = replace(tensors[1], source_name="model/longer")
    whole = ["a       [2, 3]   float32      24", "longer  [12345]  float16  24,690  model/longer"]
    assert lines(tabulate(tensors, 46)) == whole
    assert lines(tabulate(tensors, 45)) == [whole[0], whole[1][:32], "  model/longer"]
    assert lines(tabulate(tensors, 31)) == [
        "a",
        "  [2, 3]   float32      24",
        "longer",
        "  [12345]  float16  24,690",
        "  model/longer",
    ]


def test_statistics_that_are_too_wide_have_their_names_beside_them() -> None:
    numbers = raws.lazy("x", np.array([1, np.nan, 3], np.float32))
    nothing = raws.lazy("none", np.zeros(1, np.complex64))
    stats = [compute_stats(numbers), None]
    whole = lines(tabulate_statistics([numbers, nothing], stats))
    assert lines(tabulate_statistics([numbers, nothing], stats, max(map(len, whole)))) == whole
    first, *left = lines(tabulate_statistics([numbers, nothing], stats, 40))
    assert [first, *left[:2]] == [
        "x",
        "  [3]  float32",
        "    min 1  max 3  mean 2  std 1  NaN 1  inf 0",
    ]
    assert left[2] == f"    {whole[1][whole[1].index('|') :]}"
    assert left[3:] == ["none", "  [1]  complex64", "    min -  max -  mean -  std -  NaN -  inf -"]


def test_a_name_of_megabytes_widens_no_other_row() -> None:
    long, longest = "w" * 121, "x" * (1 << 20)
    names = ["a", "b" * 120, long, longest]
    tensors = [raws.lazy(name, np.zeros(3, np.float32)) for name in names]
    rest = "  [3]  float32  12"
    assert lines(tabulate(tensors)) == [f"{name:<120}{rest}" for name in names]
    rows = lines(tabulate_statistics(tensors, [None] * 4))
    assert [len(row) for row in rows[1:]] == [len(rows[1])] * 2 + [
        len(rows[1]) + len(name) - 120 for name in (long, longest)
    ]


def test_statistics_have_a_header_and_a_dash_where_there_is_no_number() -> None:
    numbers = raws.lazy("x", np.array([1, np.nan, 3], np.float32))
    nothing = raws.lazy("none", np.zeros(1, np.complex64))
    header, first, second = lines(
        tabulate_statistics([numbers, nothing], [compute_stats(numbers), None])
    )
    assert header.split() == ["min", "max", "mean", "std", "NaN", "inf"]
    assert first.split("|")[0].split() == ["x", "[3]", "float32", "1", "3", "2", "1", "1", "0"]
    assert second.split() == ["none", "[1]", "complex64", *"------"]


def test_blocks_that_are_alike_stand_once() -> None:
    sizes = {"n_vocab": 5, "n_ctx": 4, "n_embd": 4, "n_head": 2, "n_layer": 3}
    tensors = [raws.lazy(name, array) for name, array in raws.canonical(sizes).items()]
    drawn = lines(draw_tree(tensors))
    assert drawn[:7] == [
        "wte             [5, 4]          float32",
        "wpe             [4, 4]          float32",
        "blocks[0-2]  3 alike",
        "  ln_1",
        "    g           [4]             float32",
        "    b           [4]             float32",
        "  attn",
    ]
    assert sum("blocks" in line for line in drawn) == 1
    # One that differs in its dtype breaks the run.
    index = next(n for n, each in enumerate(tensors) if each.name == "blocks[1].ln_1.g")
    tensors[index] = raws.lazy("blocks[1].ln_1.g", np.zeros(4, np.float16))
    assert [line for line in lines(draw_tree(tensors)) if "blocks" in line] == [
        "blocks[0]",
        "blocks[1]",
        "blocks[2]",
    ]
