"""Statistics equal NumPy's and exact arithmetic's, and no number is too large, small or strange."""

from __future__ import annotations

import json
import math
import statistics
import tracemalloc
from dataclasses import replace
from fractions import Fraction
from functools import partial
from typing import TYPE_CHECKING

import ml_dtypes
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support import raws

from gpt2_convert import ChecksumError, DType, FormatError
from gpt2_convert.io.source import CHUNK
from gpt2_convert.tensors.histogram import BINS
from gpt2_convert.tensors.stats import TensorStats, compute_stats, dump_stats, load_stats
from gpt2_convert.tensors.tensor import LazyTensor

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from numpy.typing import DTypeLike

    Array = np.ndarray[Any, Any]

BFLOAT16: Any = ml_dtypes.bfloat16
FLOATS = [np.float16, BFLOAT16, np.float32, np.float64]
INTEGERS = [np.dtype(f"{sign}{size}") for sign in "iu" for size in (1, 2, 4, 8)]


def stats_of(array: Array) -> TensorStats:
    stats = compute_stats(raws.lazy("x", array))
    assert stats is not None
    json.dumps(stats.as_json(), allow_nan=False)
    return stats


@pytest.mark.parametrize("dtype", [*FLOATS, *INTEGERS, np.dtype(bool)], ids=str)
@pytest.mark.parametrize("size", [1, 1000, CHUNK + 7])
def test_statistics_equal_those_of_numpy(dtype: DTypeLike, size: int) -> None:
    random = np.random.default_rng(size)
    array = (random.standard_normal(size) * 20 + 50).astype(dtype)
    wide = array.astype(np.float64)
    stats = stats_of(array)
    assert (stats.count, stats.nan, stats.infinite) == (size, 0, 0)
    assert (stats.min, stats.max) == (wide.min(), wide.max())
    assert type(stats.min) is (float if dtype in FLOATS else int)
    assert stats.mean == pytest.approx(wide.mean(), rel=1e-13)
    assert stats.std == pytest.approx(wide.std(), rel=1e-12)
    if size > 1 and array.dtype.kind != "b":
        np.testing.assert_array_equal(stats.histogram, np.histogram(wide, BINS)[0])


@pytest.mark.parametrize("dtype", [*FLOATS, *INTEGERS, np.dtype(bool)], ids=str)
@pytest.mark.parametrize("values", [[], [3], [0, 1, 1], [np.nan], [np.inf, 1 / 3, 5e-324]], ids=str)
def test_statistics_that_were_told_are_the_same_in_value_and_type(
    dtype: DTypeLike, values: list[float]
) -> None:
    with np.errstate(all="ignore"):
        stats = compute_stats(raws.lazy("x", np.array(values).astype(dtype)))
    told = load_stats(dump_stats(stats))
    assert repr(told) == repr(stats)
    assert told == stats
    assert hash(told) == hash(stats)


def test_so_are_none() -> None:
    assert load_stats(dump_stats(None)) is None


@pytest.mark.parametrize("size", [1, 2, 4095, 65_537, 131_071])
def test_the_histogram_of_any_length_is_numpys(size: int) -> None:
    array = np.random.default_rng(size).standard_normal(size)
    expected = np.histogram(array, BINS)[0] if size > 1 else np.eye(BINS, dtype=int)[BINS // 2]
    np.testing.assert_array_equal(stats_of(array).histogram, expected)


@pytest.mark.parametrize("later", [[0.5, 9.0, -9.0], [0.5] * 100_000, [1e30, np.nan, 0.5], [0.5]])
def test_whatever_comes_the_second_time_ends_in_an_error_or_in_statistics(
    later: list[float],
) -> None:
    passes = iter([np.array([0.0, 1.0, 0.5], np.float32), np.array(later, np.float32)])
    tensor = raws.lazy("x", np.zeros(3, np.float32))
    changing = replace(tensor, read=lambda: iter([next(passes).tobytes()]))
    if len(later) == 3:
        stats = compute_stats(changing)
        assert stats is not None
        assert sum(stats.histogram) == 3
    else:
        with pytest.raises(FormatError, match=r"^x: it changed between two readings"):
            compute_stats(changing)


def test_what_is_held_is_read_once_and_has_the_same_statistics() -> None:
    array = np.random.default_rng(4).standard_normal(CHUNK).astype(np.float32)
    tensor = raws.lazy("x", array)
    passes: list[int] = []

    def read() -> Iterator[bytes]:
        passes.append(1)
        return tensor.chunks()

    watched = replace(tensor, read=read)
    found = [compute_stats(watched, held) for held in (array.nbytes, array.nbytes - 1, 0)]
    assert found == [stats_of(array)] * 3
    assert len(passes) == 1 + 2 + 2


def join_blocks(array: Array) -> tuple[float, float]:
    """Return mean and deviation out of blocks of 65,536 numbers that are mapped to 0 to 1."""
    wide = array.astype(np.float64)
    low, width = float(wide.min()), float(wide.max()) - float(wide.min())
    size, mean, squares = 0, 0.0, 0.0
    for start in range(0, wide.size, 65_536):
        share = (wide[start : start + 65_536] - low) / width
        block_mean = float(share.mean())
        distance = block_mean - mean
        together = size + share.size
        apart = distance * distance * (size * share.size / together)
        squares += float(((share - block_mean) ** 2).sum()) + apart
        mean += distance * (share.size / together)
        size = together
    return low + width * mean, width * math.sqrt(squares / size)


@pytest.mark.parametrize("dtype", [*FLOATS, np.int32, np.uint8], ids=str)
@pytest.mark.parametrize("size", [3, 65_535, 131_072, CHUNK + 65_541])
def test_not_one_bit_depends_on_how_much_is_worked_on_at_a_time(
    dtype: DTypeLike, size: int
) -> None:
    random = np.random.default_rng(size)
    array = (np.exp(random.standard_normal(size)) * 30).clip(0, 200).astype(dtype)
    stats = stats_of(array)
    assert (stats.mean, stats.std) == join_blocks(array)
    assert compute_stats(raws.lazy("x", array), held=array.nbytes) == stats


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_least_of_numbers_lose_no_bits(dtype: type[np.float32 | np.float64]) -> None:
    array = (np.array([0, 1, 3, 7, 12, 32]) * np.finfo(dtype).smallest_subnormal).astype(dtype)
    stats = stats_of(array)
    assert (stats.mean, stats.std) == join_blocks(array)
    assert [at for at, count in enumerate(stats.histogram) if count] == [0, 1, 3, 7, 12, 31]


def test_weights_around_zero_have_numpys_mean() -> None:
    array = np.random.default_rng(1).standard_normal(300_000).astype(np.float32) * 0.02
    stats = stats_of(array)
    exact = math.fsum(array.tolist()) / array.size
    assert stats.mean == pytest.approx(exact, abs=1e-16)
    assert abs(exact) < 1e-3


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_huge_offset_does_not_swallow_the_spread(dtype: DTypeLike) -> None:
    noise = np.random.default_rng(2).standard_normal(300_000) * 100
    array = (noise + 1e8).astype(dtype)
    stats = stats_of(array)
    without_offset = array.astype(np.float64) - 1e8
    assert stats.std == pytest.approx(without_offset.std(), rel=1e-11)
    assert stats.mean is not None
    assert stats.mean - 1e8 == pytest.approx(without_offset.mean(), abs=3e-8)


def test_blocks_with_different_means_are_joined_exactly() -> None:
    counts = {1: 65_536, 5: 65_536, -2: 131_072, 9: 3}
    array = np.repeat(np.array(list(counts), np.float64), list(counts.values()))
    stats = stats_of(array)
    mean = sum(value * size for value, size in counts.items()) / array.size
    variance = sum(size * (value - mean) ** 2 for value, size in counts.items()) / array.size
    assert stats.mean == pytest.approx(mean, rel=1e-14)
    assert stats.std == pytest.approx(math.sqrt(variance), rel=1e-14)


@settings(derandomize=True, deadline=None, max_examples=300)
@given(st.lists(st.one_of(st.floats(), st.floats(-10, 10), st.floats(1, 1 + 1e-14)), max_size=20))
@example([1.7976931348623157e308, -1.7976931348623157e308, 1e308])
@example([1.7976931348623157e308] * 3)
@example([5e-324, 0.0])
@example([5e-324, -5e-324, 1e-323])
@example([1.0, math.nextafter(1, 2)])
@example([0.1] * 7)
@example([-0.0])
@example([math.nan, 1e300, -math.inf, 3.0])
def test_any_numbers_have_the_statistics_of_exact_arithmetic(values: list[float]) -> None:
    stats = stats_of(np.array(values, np.float64))
    finite = [value for value in values if math.isfinite(value)]
    assert stats.count == len(values)
    assert stats.nan == sum(math.isnan(value) for value in values)
    assert stats.infinite == sum(math.isinf(value) for value in values)
    assert sum(stats.histogram) == len(finite)
    if not finite:
        assert (stats.min, stats.max, stats.mean, stats.std) == (None, None, None, None)
        assert stats.histogram == ()
        return
    assert (stats.min, stats.max) == (min(finite), max(finite))
    width = max(finite) / 2 - min(finite) / 2
    assert stats.mean is not None
    # Half, because the distance of the largest numbers is none.
    exact = float(statistics.mean([Fraction(value) / 2 for value in finite]))
    assert stats.mean / 2 == pytest.approx(exact, rel=1e-15, abs=max(width * 1e-14, 5e-324))
    spread = statistics.pvariance([Fraction(value) for value in finite])
    root = math.isqrt(int(spread * 4**1200)) / 2**1200 if spread else 0.0
    assert stats.std == pytest.approx(root, rel=1e-12, abs=5e-324)


@pytest.mark.parametrize("value", [0.0, 0.1, -3e38, 1e-45, 7.0])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_constant_has_no_spread_and_fills_one_bin(dtype: DTypeLike, value: float) -> None:
    array = np.full(200_001, value, dtype)
    stats = stats_of(array)
    assert (stats.min, stats.max, stats.mean, stats.std) == (array[0],) * 3 + (0,)
    assert stats.histogram[BINS // 2] == sum(stats.histogram) == 200_001


@pytest.mark.parametrize("zeros", [[0.0, -0.0], [-0.0, 0.0], [-0.0]])
def test_zero_has_no_sign(zeros: list[float]) -> None:
    stats = stats_of(np.array(zeros * 100))
    assert repr((stats.min, stats.max)) == "(0.0, 0.0)"


@pytest.mark.parametrize("dtype", FLOATS)
def test_an_empty_tensor_has_nothing_but_its_count(dtype: DTypeLike) -> None:
    assert stats_of(np.zeros((3, 0), dtype)) == TensorStats(0, 0, 0, None, None, None, None, ())


@pytest.mark.parametrize("dtype", FLOATS)
def test_a_scalar_is_all_of_its_statistics(dtype: DTypeLike) -> None:
    stats = stats_of(np.array(-1.5, dtype))
    assert (stats.count, stats.min, stats.max, stats.mean, stats.std) == (1, -1.5, -1.5, -1.5, 0)


@pytest.mark.parametrize("dtype", FLOATS)
def test_nan_and_infinities_are_counted_and_left_out(dtype: DTypeLike) -> None:
    array = np.arange(CHUNK, dtype=np.float64) % 97
    array[[0, 5, CHUNK - 1]] = np.nan
    array[[7, 70_000]] = np.inf
    array[8] = -np.inf
    stats = stats_of(array.astype(dtype))
    finite = array[np.isfinite(array)]
    assert (stats.count, stats.nan, stats.infinite) == (CHUNK, 3, 3)
    assert (stats.min, stats.max) == (0, 96)
    assert stats.mean == pytest.approx(finite.mean(), rel=1e-14)
    assert stats.std == pytest.approx(finite.std(), rel=1e-13)
    np.testing.assert_array_equal(stats.histogram, np.histogram(finite, BINS)[0])


@pytest.mark.parametrize("dtype", FLOATS)
def test_a_tensor_of_nothing_but_nan_has_no_numbers(dtype: DTypeLike) -> None:
    stats = stats_of(np.full(100_000, np.nan, dtype))
    assert stats == TensorStats(100_000, 100_000, 0, None, None, None, None, ())


@pytest.mark.parametrize(("dtype", "infinity"), [(np.float16, 0x7C00), (BFLOAT16, 0x7F80)])
def test_every_pattern_of_16_bits_is_a_number_or_counted(dtype: DTypeLike, infinity: int) -> None:
    # Signalling NaNs among them, which make processors complain.
    stats = stats_of(np.arange(1 << 16, dtype=np.uint16).view(dtype))
    largest = float(np.array(infinity - 1, np.uint16).view(dtype).astype(float))
    assert (stats.nan, stats.infinite) == (2 * (0x7FFF - infinity), 2)
    assert (stats.min, stats.max) == (-largest, largest)
    assert sum(stats.histogram) == 2 * infinity


def test_signalling_nans_of_float32_are_counted() -> None:
    patterns = np.array([0x7F800001, 0xFF800001, 0x3F800000], np.uint32)
    stats = stats_of(patterns.view(np.float32))
    assert (stats.nan, stats.min, stats.max) == (2, 1, 1)


@pytest.mark.parametrize("dtype", [np.int64, np.uint64])
def test_extremes_of_64_bit_integers_are_exact(dtype: DTypeLike) -> None:
    limits = np.iinfo(dtype)
    stats = stats_of(np.array([limits.max - 1, limits.min + 1, 5], dtype))
    assert (stats.min, stats.max) == (limits.min + 1, limits.max - 1)
    assert (sum(stats.histogram), stats.histogram[-1]) == (3, 1)


def test_of_booleans_the_mean_is_the_share_that_is_true() -> None:
    stats = stats_of(np.array([True, True, True, False]))
    assert (stats.min, stats.max, stats.mean) == (0, 1, 0.75)
    assert (stats.histogram[0], stats.histogram[-1]) == (1, 3)
    damaged = raws.lazy("x", np.array([0, 1, 255], np.uint8))
    found = compute_stats(replace(damaged, dtype=DType.BOOL))
    assert found is not None
    assert (found.min, found.max) == (0, 1)


@pytest.mark.parametrize(
    "dtype", ["complex64", "complex128", "qint32", "float8_e5m2", "string", "resource", "variant"]
)
def test_what_has_no_order_has_no_statistics_and_is_not_read(dtype: str) -> None:
    def read() -> Iterator[bytes]:
        raise AssertionError("read")

    assert compute_stats(LazyTensor("x", (2,), DType(dtype), 16, read, "x")) is None


def test_every_dtype_has_statistics_or_none() -> None:
    for dtype in DType:
        zero = bytes(dtype.itemsize or 1)
        tensor = LazyTensor("x", (1,), dtype, len(zero), partial(iter, [zero]), "x")
        stats = compute_stats(tensor)
        assert stats is None or (stats.min, stats.max) == (0, 0)


def test_the_last_bin_includes_the_maximum_and_every_bin_its_lower_edge() -> None:
    stats = stats_of(np.arange(BINS + 1, dtype=np.float32))
    assert stats.histogram == (1,) * (BINS - 1) + (2,)


def test_a_checksum_error_comes_through() -> None:
    tensor = raws.lazy("x", np.ones(10, np.float32))

    def read() -> Iterator[bytes]:
        yield from tensor.chunks()
        raise ChecksumError("x: wrong")

    with pytest.raises(ChecksumError, match="x: wrong"):
        compute_stats(replace(tensor, read=read))


def test_a_tensor_that_changes_between_the_passes_is_an_error() -> None:
    passes = iter([np.array([1, 2, np.nan]), np.array([1, np.nan, np.nan])])

    def read() -> Iterator[bytes]:
        yield next(passes).tobytes()

    with pytest.raises(FormatError, match="x: it changed"):
        compute_stats(LazyTensor("x", (3,), DType.FLOAT64, 24, read, "x"))


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64", "int8", "bool"])
def test_memory_does_not_grow_with_the_tensor(dtype: str) -> None:
    size = DType(dtype).itemsize or 1
    chunk = bytes(CHUNK)

    def read() -> Iterator[bytes]:
        for _ in range(32):
            yield chunk

    shape = (32 * CHUNK // size,)
    tensor = LazyTensor("x", shape, DType(dtype), 32 * CHUNK, read, "x")
    stats_of(np.zeros(3, np.float32))  # whatever is imported late has been
    tracemalloc.start()
    try:
        stats = compute_stats(tensor)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert stats is not None
    assert stats.count == 32 * CHUNK // size
    assert peak < 8 * CHUNK


def test_json_has_every_field() -> None:
    assert stats_of(np.array([1.0, 3.0, np.inf, np.nan], np.float32)).as_json() == {
        "count": 4,
        "nan": 1,
        "infinite": 1,
        "min": 1.0,
        "max": 3.0,
        "mean": 2.0,
        "std": 1.0,
        "histogram": [1, *[0] * (BINS - 2), 1],
    }
