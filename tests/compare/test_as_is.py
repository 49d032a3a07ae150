"""Two checkpoints compared by their own names: whatever only one of them has is found."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from support import raws

from gpt2_convert import DType, Kind, LazyTensor, VerificationReport
from gpt2_convert.checkpoint.raw import RawConfig, Skipped
from gpt2_convert.compare.as_is import pair_as_is
from gpt2_convert.compare.checkpoints import compare
from gpt2_convert.model.as_is import take_as_is

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    Array = np.ndarray[Any, Any]

ARRAYS: dict[str, Array] = {
    "b": np.arange(6, dtype=np.float32).reshape(2, 3),
    "b/Adam": np.ones(2, np.float16),
    "i": np.array([5, -(2**60)]),
    "t": np.array([True, False]),
    "c8": np.array([1 + 2j, 3], np.complex64),
    "c16": np.array([1 + 2j, 3], np.complex128),
}


def against(arrays: Mapping[str, Array], *drop: str) -> VerificationReport:
    return compare(take_as_is(raws.raw(ARRAYS)), raws.raw(arrays), drop=drop)


def found(report: VerificationReport) -> list[tuple[Kind, str]]:
    return [(each.kind, each.tensor) for each in report.findings]


def test_equal_ones_are_equal_in_whatever_order_they_stand() -> None:
    report = against(dict(reversed(ARRAYS.items())))
    assert report.ok
    assert report.as_is
    assert report.totals.tensors == 6


@pytest.mark.parametrize("name", ARRAYS)
def test_one_bit_is_found_in_any_dtype(name: str) -> None:
    changed = ARRAYS[name].copy()
    changed.view(np.uint8).reshape(-1)[-1] ^= 1
    report = against({**ARRAYS, name: changed})
    assert found(report) == [(Kind.VALUES, name)]
    (finding,) = report.findings
    assert (finding.differing, finding.elements) == (1, changed.size)
    assert finding.first_index == tuple(np.argwhere(changed != ARRAYS[name])[0])


def test_the_distance_of_complex_numbers_is_that_in_the_plane() -> None:
    report = against({**ARRAYS, "c16": np.array([1 + 2j, 6 - 4j])})
    (finding,) = report.findings
    assert finding.max_abs_diff == 5.0
    assert "3+0j in the source, 6-4j in the target" in finding.message


def test_what_only_one_has_and_what_has_another_kind_is_named() -> None:
    arrays = {**ARRAYS, "x": np.ones(1), "b": ARRAYS["b"].T, "t": np.ones(2, np.uint8)}
    arrays["b/Adam"] = np.ones(2, np.float32)
    del arrays["i"]
    report = against(arrays)
    assert found(report) == [
        (Kind.EXTRA, "x"),
        (Kind.SHAPE, "b"),
        (Kind.DTYPE, "b/Adam"),
        (Kind.MISSING, "i"),
        (Kind.DTYPE, "t"),
    ]
    by_name = {each.tensor: each for each in report.findings}
    assert by_name["b"].hint == "transposed"
    assert by_name["b/Adam"].advice is not None
    assert by_name["t"].advice is None  # nothing casts to it


def test_a_name_that_stands_twice_is_a_finding() -> None:
    target = raws.raw([*ARRAYS.items(), ("b", ARRAYS["b"])])
    assert found(compare(take_as_is(raws.raw(ARRAYS)), target)) == [(Kind.DUPLICATE, "b")]


def test_what_is_no_number_is_extra_unless_it_is_left_out() -> None:
    def text(name: str) -> LazyTensor:
        return LazyTensor(name, (), DType.STRING, 5, lambda: iter([b"hello"]), name)

    raw = raws.raw(ARRAYS)
    source = take_as_is(raw)
    graph = text("_CHECKPOINTABLE_OBJECT_GRAPH")
    target = replace(raw, tensors=(*raw.tensors, text("vocab"), graph))
    assert found(compare(source, target)) == [(Kind.EXTRA, "vocab")]
    assert compare(source, target, drop=("voc*",)).ok
    # The pattern counts for the target whatever it means for the source.
    pairs = pair_as_is(source, target, ("voc*", "b"))
    assert [(each.kind, each.tensor) for each in pairs.findings] == [(Kind.MISSING, "b")]


def test_what_was_not_read_of_the_target_is_extra_if_it_may_be_a_tensor() -> None:
    skipped = (Skipped("a", "a soft link"), Skipped("b.txt", "no member", is_member=False))
    target = replace(raws.raw(ARRAYS), skipped=skipped)
    source = take_as_is(raws.raw(ARRAYS))
    assert found(compare(source, target)) == [(Kind.EXTRA, "a")]
    assert compare(source, target, drop=("a",)).ok


def test_a_damaged_statement_of_the_target_is_a_finding() -> None:
    damaged = RawConfig("x: metadata", b"{", "damaged: it does not match its checksum")
    target = replace(raws.raw(ARRAYS), configs=(damaged,))
    assert found(compare(take_as_is(raws.raw(ARRAYS)), target)) == [(Kind.CONFIG, "config")]


def test_two_with_each_other_s_values_are_told_from_noise() -> None:
    arrays = {"v": np.arange(5.0), "w": np.arange(5.0) + 1}
    report = compare(take_as_is(raws.raw(arrays)), raws.raw({"v": arrays["w"], "w": arrays["v"]}))
    assert [each.hint for each in report.findings] == ["swapped with w", "swapped with v"]
    steps = {"v": np.array(1), "w": np.array(2)}
    report = compare(take_as_is(raws.raw(steps)), raws.raw({"v": steps["w"], "w": steps["v"]}))
    assert [each.hint for each in report.findings] == [None, None]
