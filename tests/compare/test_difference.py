"""What differs is counted exactly: how many elements, how far, and the first of them."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import ml_dtypes
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support import bundles, raws
from support.comparisons import compared, only, with_wte

import gpt2_convert
from gpt2_convert.compare.checkpoints import compare
from gpt2_convert.compare.difference import Difference, numbers
from gpt2_convert.model.adopt import adopt
from gpt2_convert.reports.findings import Kind
from gpt2_convert.tensors.dtype import DType
from gpt2_convert.tensors.tolerance import Tolerance

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from numpy.typing import DTypeLike

    Array = np.ndarray[Any, Any]

CHUNK_CROSSING = {**bundles.TINY, "n_vocab": 20_000}
"""wte then has 2.5 chunks."""


@pytest.mark.parametrize("bit", [0, 7, 31])
@pytest.mark.parametrize("element", [0, 262_143, 262_144, 20_000 * 32 - 1])
def test_one_flipped_bit_is_found_wherever_it_is(element: int, bit: int) -> None:
    target = raws.canonical(CHUNK_CROSSING)
    before = target["wte"].reshape(-1)[element]
    target["wte"].reshape(-1).view(np.uint32)[element] ^= 1 << bit
    after = target["wte"].reshape(-1)[element]
    finding = only(compared(target, CHUNK_CROSSING))
    assert (finding.kind, finding.tensor) == (Kind.VALUES, "wte")
    assert (finding.differing, finding.elements) == (1, 20_000 * 32)
    assert finding.first_index == divmod(element, 32)
    assert finding.max_abs_diff == abs(float(before) - float(after))


def test_signed_zero_and_nan_payloads_are_bits_too() -> None:
    weights = bundles.gpt2_arrays()
    weights["model/ln_f/g"][:3] = 0.0, np.nan, np.nan
    source = adopt(raws.raw(weights, bundles.TINY))
    equal = {name: tensor.array() for name, tensor in source.items()}
    assert compare(source, raws.raw(equal)).ok
    equal["ln_f.g"][0] = -0.0
    equal["ln_f.g"].view(np.uint32)[1] ^= 1
    finding = only(compare(source, raws.raw(equal)))
    assert finding.differing == 2
    assert finding.first_index == (0,)
    assert finding.max_abs_diff is None


def test_signalling_nans_of_bfloat16_are_compared() -> None:
    weights = bundles.gpt2_arrays()
    weights["model/ln_f/g"] = weights["model/ln_f/g"].astype(ml_dtypes.bfloat16)
    source = adopt(raws.raw(weights, bundles.TINY))
    target = {name: tensor for name, tensor in raws.canonical().items() if name != "ln_f.g"}
    changed = weights["model/ln_f/g"].copy()
    changed.view(np.uint16)[5] = 0x7F81
    finding = only(compare(source, raws.raw({**target, "ln_f.g": changed}, bundles.TINY)))
    assert (finding.tensor, finding.differing, finding.first_index) == ("ln_f.g", 1, (5,))
    assert finding.max_abs_diff is None


def test_counts_and_distances_are_exact() -> None:
    target = raws.canonical()
    target["wpe"][3] = 0
    finding = only(compared(target))
    row = raws.canonical()["wpe"][3]
    assert finding.differing == row.size
    assert finding.first_index == (3, 0)
    assert finding.max_abs_diff == float(np.abs(row.astype(np.float64)).max())


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_other_widths_are_compared_as_they_are(dtype: str) -> None:
    weights = bundles.gpt2_arrays(dtype=dtype)
    source = adopt(raws.raw(weights, bundles.TINY))
    assert compare(source, raws.raw(weights)).ok
    weights["model/wpe"][5, 7] += 1
    finding = only(compare(source, raws.raw(weights)))
    assert finding.first_index == (5, 7)
    before = float(bundles.gpt2_arrays(dtype=dtype)["model/wpe"][5, 7])
    assert finding.max_abs_diff == abs(before - float(weights["model/wpe"][5, 7]))


@pytest.mark.parametrize(
    ("cut", "differing"),
    [(slice(0, 0), 61 * 32), (slice(0, 4000), 61 * 32 - 1000), (slice(0, -4), 1)],
)
def test_a_target_that_ends_early_differs_by_what_it_lacks(cut: slice, differing: int) -> None:
    source = adopt(raws.raw(bundles.gpt2_arrays(), bundles.TINY))
    data = raws.canonical()["wte"].tobytes()[cut]
    finding = only(compare(source, with_wte(data)))
    assert (finding.kind, finding.tensor) == (Kind.VALUES, "wte")
    assert finding.differing == differing
    assert finding.first_index == divmod(len(data) // 4, 32)


def test_a_target_that_runs_on_differs() -> None:
    source = adopt(raws.raw(bundles.gpt2_arrays(), bundles.TINY))
    finding = only(compare(source, with_wte(raws.canonical()["wte"].tobytes() + b"junk")))
    assert finding.tensor == "wte"
    assert finding.hint is not None
    assert "more bytes" in finding.hint


def test_a_source_that_ends_early_proves_nothing() -> None:
    raw = with_wte(raws.canonical()["wte"].tobytes()[:-4])
    with pytest.raises(gpt2_convert.FormatError, match=r"7,808 bytes announced, found 7,804"):
        compare(adopt(raw), raws.raw(raws.canonical()))


def test_with_a_tolerance_an_infinity_is_near_to_nothing_but_itself() -> None:
    weights = bundles.gpt2_arrays()
    weights["model/wte"][0, :4] = np.inf, np.inf, -np.inf, np.nan
    source = adopt(raws.raw(weights, bundles.TINY))
    target = {name: tensor.array() for name, tensor in source.items()}
    assert compare(source, raws.raw(target), tolerance=Tolerance(rtol=1e-6)).ok
    target["wte"][0, :3] = 5, -np.inf, np.inf
    finding = only(compare(source, raws.raw(target), tolerance=Tolerance(rtol=1e-6)))
    assert finding.differing == 3


def counted(source: Array, target: Array, *, step: int, atol: float = 0.0) -> Difference:
    """Compare two arrays ``step`` elements at a time."""
    difference = Difference(raws.lazy("x", source), raws.lazy("x", target), Tolerance(atol=atol))
    for start in range(0, source.size, step):
        part = slice(start, start + step)
        difference.compare(source[part].tobytes(), target[part].tobytes())
    difference.finish()
    return difference


NUMBERS = st.one_of(st.floats(width=32), st.sampled_from([0.0, -0.0, 1.0, 1.5]))


@settings(derandomize=True, deadline=None)
@given(
    st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=12),
    st.integers(1, 5),
    st.sampled_from([0.0, 0.5, 1e30]),
)
@example([(0.0, -0.0), (1.0, 1.0), (2.0, 2.5)], 2, 0.0)
@example([(1.0, 1.0), (1.0, float("nan")), (1.0, 4.0)], 1, 0.0)
@example([(1.0, 4.0), (1.0, float("inf"))], 1, 0.5)
def test_counts_are_numpy_s_whatever_the_pieces(
    pairs: list[tuple[float, float]], step: int, atol: float
) -> None:
    source, target = (np.array(side, np.float32) for side in zip(*pairs, strict=True))
    found = counted(source, target, step=step, atol=atol)
    first, second = source.astype(np.float64), target.astype(np.float64)
    with np.errstate(all="ignore"):
        distance = np.abs(first - second)
        if atol:
            differs = ~np.isclose(second, first, rtol=0, atol=atol, equal_nan=True)
        else:
            differs = source.view(np.uint32) != target.view(np.uint32)
    where = np.flatnonzero(differs)
    assert bool(found) == bool(where.size)
    assert found.differing == where.size
    assert found.finite == bool(np.isfinite(distance[where]).all())
    if not where.size:
        assert (found.first, found.first_values) == (None, None)
        return
    assert found.first == where[0]
    assert repr(found.first_values) == repr((float(first[where[0]]), float(second[where[0]])))
    if found.finite:
        assert found.max_abs_diff == distance[where].max()


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float32, np.float64])
def test_numbers_of_every_width_are_exact_as_float64(dtype: DTypeLike) -> None:
    array = np.random.default_rng(3).standard_normal(1000).astype(dtype)
    found = numbers(array.tobytes(), DType(array.dtype.name))
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, array.astype(np.float64))


def test_damage_of_the_target_is_noted_and_what_came_before_it_is_compared() -> None:
    source = raws.lazy("x", np.arange(4, dtype=np.float32))

    def read() -> Iterator[bytes]:
        yield np.array([0, 7], np.float32).tobytes()
        raise gpt2_convert.ChecksumError("out.npz: member x: wrong")

    difference = Difference(source, dataclasses.replace(source, read=read))
    assert not difference
    for piece in difference.target_chunks():
        difference.compare(np.array([0, 1], np.float32).tobytes(), piece)
    assert difference
    assert difference.damage == "out.npz: member x: wrong"
    assert (difference.differing, difference.first) == (1, 1)


def expected_map(where: Array) -> list[list[int]]:
    """Return the counts as the schema defines them, from the indices of the elements."""
    last = where.shape[-1] if where.ndim else 1
    flat = where.reshape(-1, last)
    rows, columns = min(flat.shape[0], 16), min(last, 64)
    counts = [[0] * columns for _ in range(rows)]
    for i, j in np.argwhere(flat):
        counts[i * rows // flat.shape[0]][j * columns // last] += 1
    return counts


@pytest.mark.parametrize(
    "shape", [(), (3,), (1000,), (7, 5), (50, 130), (3, 7, 90), (2, 3, 4, 5), (40, 1), (1, 40)]
)
def test_a_map_counts_the_differences_where_they_lie(shape: tuple[int, ...]) -> None:
    random = np.random.default_rng(4)
    source = random.standard_normal(shape, np.float32)
    where = np.array(random.random(shape) < 0.3)
    where.reshape(-1)[-1] = True
    target = source + where.astype(np.float32)
    difference = Difference(raws.lazy("x", source), raws.lazy("x", target))
    # Pieces that end within rows.
    before, after = source.tobytes(), target.tobytes()
    for start in range(0, len(before), 36):
        difference.compare(before[start : start + 36], after[start : start + 36])
    found = difference.take_map()
    assert found is not None
    assert found.as_json()["counts"] == expected_map(where)
    assert sum(found.counts) == difference.differing


def test_a_map_has_what_a_target_lacks() -> None:
    source = np.ones((20, 10), np.float32)
    difference = Difference(raws.lazy("x", source), raws.lazy("x", source))
    difference.compare(source.tobytes()[:400], source.tobytes()[:400])
    difference.compare(source.tobytes()[400:], source.tobytes()[400:440])
    found = difference.take_map()
    assert found is not None
    lacking = np.arange(200).reshape(20, 10) >= 110
    assert found.as_json()["counts"] == expected_map(lacking)


def test_what_is_near_enough_is_not_on_the_map() -> None:
    source = np.zeros((2, 4), np.float32)
    target = source.copy()
    target[0, 1], target[1, 3] = 0.01, 5
    tensors = raws.lazy("x", source), raws.lazy("x", target)
    difference = Difference(*tensors, Tolerance(0.1, 0))
    difference.compare(source.tobytes(), target.tobytes())
    found = difference.take_map()
    assert found is not None
    assert found.as_json()["counts"] == [[0, 0, 0, 0], [0, 0, 0, 1]]


def test_there_is_no_map_of_what_is_equal_and_of_what_is_not_to_be_mapped() -> None:
    source = np.zeros((2, 4), np.float32)
    equal = Difference(raws.lazy("x", source), raws.lazy("x", source))
    equal.compare(source.tobytes(), source.tobytes())
    assert equal.take_map() is None
    unmapped = Difference(raws.lazy("x", source), raws.lazy("x", source + 1), mapped=False)
    unmapped.compare(source.tobytes(), (source + 1).tobytes())
    assert unmapped.differing == 8
    assert unmapped.take_map() is None


@pytest.mark.parametrize("shape", [(0,), (0, 5), (5, 0), (2, 3)])
def test_a_source_that_runs_on_is_refused_at_its_end_and_not_before(shape: tuple[int, ...]) -> None:
    source = np.zeros(shape, np.float32)
    difference = Difference(raws.lazy("x", source), raws.lazy("x", source))
    for _ in range(3):
        difference.compare(bytes(40), b"\1" * 40)
    with pytest.raises(gpt2_convert.FormatError, match="120"):
        difference.finish()
    found = difference.take_map()
    assert (found.counts if found else ()) == (1,) * source.size
