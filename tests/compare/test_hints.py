"""A known mistake is told where it explains all of a difference, and only there."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

import ml_dtypes
import numpy as np
import pytest
from support import bundles, raws
from support.comparisons import compared, only

from gpt2_convert.compare.checkpoints import compare
from gpt2_convert.compare.difference import Difference
from gpt2_convert.compare.hints import MAX_SQUARE, Twins, describe
from gpt2_convert.io.source import CHUNK
from gpt2_convert.model.adopt import adopt
from gpt2_convert.reports.findings import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from numpy.typing import DTypeLike

    from gpt2_convert import LazyTensor

    Arrays = dict[str, np.ndarray[Any, Any]]


def transpose_square(target: Arrays) -> None:
    name = "blocks[1].attn.c_proj.w"
    target[name] = np.ascontiguousarray(target[name].T)


def swap(first: str, second: str) -> Callable[[Arrays], None]:
    def mutate(target: Arrays) -> None:
        target[first], target[second] = target[second], target[first]

    return mutate


def copy_over(target: Arrays) -> None:
    target["blocks[2].ln_1.g"] = target["blocks[0].ln_1.g"]


def swap_q_and_v(target: Arrays) -> None:
    q, k, v = np.split(target["blocks[0].attn.c_attn.w"], 3, axis=1)
    target["blocks[0].attn.c_attn.w"] = np.concatenate([v, k, q], axis=1)


def zero_a_row(target: Arrays) -> None:
    target["wpe"][3] = 0


def through_half(target: Arrays) -> None:
    target["wte"] = target["wte"].astype(np.float16).astype(np.float32)


def through_bfloat16(target: Arrays) -> None:
    target["wte"] = target["wte"].astype(ml_dtypes.bfloat16).astype(np.float32)


def cut_to_bfloat16(target: Arrays) -> None:
    target["wte"].view(np.uint32)[...] &= 0xFFFF0000


VALUE_MUTATIONS: dict[str, tuple[Callable[[Arrays], None], dict[str, str | None]]] = {
    "a transposed square": (transpose_square, {"blocks[1].attn.c_proj.w": "transposed"}),
    "ln_1 and ln_2 swapped": (
        swap("blocks[0].ln_1.g", "blocks[0].ln_2.g"),
        {
            "blocks[0].ln_1.g": "swapped with blocks[0].ln_2.g",
            "blocks[0].ln_2.g": "swapped with blocks[0].ln_1.g",
        },
    ),
    "two layers swapped": (
        swap("blocks[0].mlp.c_fc.w", "blocks[2].mlp.c_fc.w"),
        {
            "blocks[0].mlp.c_fc.w": "swapped with blocks[2].mlp.c_fc.w",
            "blocks[2].mlp.c_fc.w": "swapped with blocks[0].mlp.c_fc.w",
        },
    ),
    "one tensor twice": (
        copy_over,
        {"blocks[2].ln_1.g": "it holds the values of blocks[0].ln_1.g"},
    ),
    "q and v swapped": (swap_q_and_v, {"blocks[0].attn.c_attn.w": None}),
    "a row of zeros": (zero_a_row, {"wpe": None}),
    "half precision": (through_half, {"wte": "rounded to float16 on the way"}),
    "bfloat16": (through_bfloat16, {"wte": "rounded to bfloat16 on the way"}),
    "bfloat16, cut off": (
        cut_to_bfloat16,
        {"wte": "rounded to bfloat16 (cut off, not rounded) on the way"},
    ),
}


@pytest.mark.parametrize("case", VALUE_MUTATIONS)
def test_a_common_mistake_is_found_and_told(case: str) -> None:
    mutate, hints = VALUE_MUTATIONS[case]
    target = raws.canonical()
    mutate(target)
    report = compared(target)
    assert {finding.tensor: finding.hint for finding in report.findings} == hints
    assert {finding.kind for finding in report.findings} == {Kind.VALUES}


def test_a_rounding_is_told_beside_a_nan_too() -> None:
    weights = bundles.gpt2_arrays()
    weights["model/wte"].view(np.uint32)[0, 0] = 0x7F800001  # its upper half alone is infinity
    target = raws.canonical()
    with np.errstate(invalid="ignore"):
        target["wte"] = weights["model/wte"].astype(ml_dtypes.bfloat16).astype(np.float32)
    source = adopt(raws.raw(weights, bundles.TINY))
    finding = only(compare(source, raws.raw(target, bundles.TINY)))
    assert finding.hint == "rounded to bfloat16 on the way"
    assert finding.max_abs_diff is None


def test_heads_of_many_tensors_are_read_once() -> None:
    reads: list[str] = []
    raw = raws.raw(bundles.gpt2_arrays({**bundles.TINY, "n_layer": 12}))

    def counted(tensor: LazyTensor) -> LazyTensor:
        def read() -> Iterator[bytes]:
            reads.append(tensor.name)
            return tensor.read()

        return dataclasses.replace(tensor, read=read)

    source = adopt(dataclasses.replace(raw, tensors=tuple(map(counted, raw.tensors))))
    report = compare(source, raws.raw(raws.canonical({**bundles.TINY, "n_layer": 12}, seed=1)))
    assert len(report.findings) == 148
    assert len(reads) <= 5 * 148


def count_chunks(arrays: Arrays) -> tuple[list[str], dict[str, LazyTensor]]:
    """Return the tensors, and a list that gets the name of one whenever a chunk of it is read."""
    reads: list[str] = []

    def counted(tensor: LazyTensor) -> LazyTensor:
        def read() -> Iterator[bytes]:
            for chunk in tensor.read():
                reads.append(tensor.name)
                yield chunk

        return dataclasses.replace(tensor, read=read)

    return reads, {name: counted(raws.lazy(name, array)) for name, array in arrays.items()}


@pytest.mark.parametrize("count", [10, 100])
def test_tensors_that_begin_alike_are_read_a_few_times_each(count: int) -> None:
    # Every target differs from every source, and only in its last element.
    size = CHUNK // 4 + 1
    reads, sources = count_chunks({f"s{n}": np.zeros(size, np.float32) for n in range(count)})
    arrays = {f"s{n}": np.zeros(size, np.float32) for n in range(count)}
    for number, array in enumerate(arrays.values()):
        array[-1] = number + 1
    target_reads, targets = count_chunks(arrays)
    twins = Twins(sources)
    for name, target in targets.items():
        assert twins.find(target, sources[name]) is None
    # The head, a chunk of it, and all of the tensor once.
    assert len(reads) == len(target_reads) == 3 * count


def test_equal_tensors_that_begin_as_many_others_do_are_recognised() -> None:
    size = 3_000
    arrays = {f"s{number}": np.zeros(size, np.float32) for number in range(5)}
    arrays["s2"][-1] = arrays["s3"][-1] = 1
    arrays["s4"][-1] = 4
    sources = {name: raws.lazy(name, array) for name, array in arrays.items()}
    found = {
        (own, held): Twins(sources).find(raws.lazy(own, arrays[held]), sources[own])
        for own, held in (("s0", "s4"), ("s2", "s3"), ("s3", "s2"), ("s4", "s4"), ("s1", "s0"))
    }
    assert found == {
        ("s0", "s4"): "s4",
        # The first of equal ones that is not its own.
        ("s2", "s3"): "s3",
        ("s3", "s2"): "s2",
        ("s4", "s4"): None,
        ("s1", "s0"): "s0",
    }


def test_a_square_that_is_too_large_to_hold_is_not_looked_at() -> None:
    size = math.isqrt(MAX_SQUARE // 4)
    for side, hint in ((size, "transposed"), (size + 1, None)):
        array = np.zeros((side, side), np.float32)
        array[0, 1] = 1
        source, target = raws.lazy("x", array), raws.lazy("x", array.T)
        difference = Difference(source, target)
        for pair in zip(source.chunks(), target.chunks(), strict=True):
            difference.compare(*pair)
        finding = describe(difference, Twins({"x": source}), {"x": target})
        assert finding.hint == hint
        assert (finding.differing, finding.first_index) == (2, (0, 1))


@pytest.mark.parametrize(
    ("dtype", "narrow"),
    [
        (np.float32, np.float16),
        (np.float32, ml_dtypes.bfloat16),
        (np.float64, np.float32),
        (np.float64, np.float16),
        (np.float64, ml_dtypes.bfloat16),
    ],
)
def test_a_rounding_to_any_narrower_type_is_told(dtype: DTypeLike, narrow: DTypeLike) -> None:
    exact = np.random.default_rng(1).standard_normal((61, 32)).astype(dtype)
    weights = {**bundles.gpt2_arrays(dtype=np.dtype(dtype).name), "model/wte": exact}
    target = {name: array.astype(dtype) for name, array in raws.canonical().items()}
    target["wte"] = exact.astype(narrow).astype(dtype)
    source = adopt(raws.raw(weights, bundles.TINY))
    hint = only(compare(source, raws.raw(target, bundles.TINY))).hint
    assert hint == f"rounded to {np.dtype(narrow).name} on the way"


def test_a_rounding_that_one_element_contradicts_is_not_told() -> None:
    target = raws.canonical()
    through_half(target)
    target["wte"][60, 31] += 1
    assert only(compared(target)).hint is None
