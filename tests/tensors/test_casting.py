"""Casts stream, refuse to overflow, and say what they lose."""

from __future__ import annotations

import math
import tracemalloc
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from support import bundles, raws
from support.dtypes import DIRECTIONS, FLOATS, NUMPY, cast_array

from gpt2_convert import ChecksumError, DType, FormatError, UnsupportedError, UsageError
from gpt2_convert.errors import CastError
from gpt2_convert.io.source import CHUNK
from gpt2_convert.model.adopt import adopt
from gpt2_convert.tensors.casting import cast_tensors
from gpt2_convert.tensors.loss import CastLoss

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from gpt2_convert import Checkpoint
    from gpt2_convert.tensors.tensor import LazyTensor

    Array = np.ndarray[Any, Any]


def cast_checkpoint(
    checkpoint: Checkpoint,
    dtype: DType,
    *,
    allow_overflow: bool = False,
    loss: CastLoss | None = None,
) -> Checkpoint:
    tensors = cast_tensors(
        checkpoint.tensors,
        dtype,
        where=checkpoint.raw.where,
        allow_overflow=allow_overflow,
        loss=loss,
    )
    return replace(checkpoint, tensors=tensors)


class Pieces:
    """A checkpoint with one tensor ``ln_f.g`` beside the others; its chunks can end in an error."""

    def __init__(
        self, array: Array, shape: tuple[int, ...] = (), error: Exception | None = None
    ) -> None:
        self.passes = 0
        tensor = raws.lazy("model/x", array)
        checkpoint = adopt(raws.raw(bundles.gpt2_arrays(), bundles.TINY))

        def read() -> Iterator[bytes]:
            self.passes += 1
            yield from tensor.chunks()
            if error:
                raise error

        shape = shape or array.shape
        self.tensor = replace(tensor, name="ln_f.g", shape=shape, read=read)
        self.checkpoint = replace(checkpoint, tensors={"ln_f.g": self.tensor})

    def cast(
        self, target: DType, *, allow_overflow: bool = False, loss: CastLoss | None = None
    ) -> LazyTensor:
        cast = cast_checkpoint(self.checkpoint, target, allow_overflow=allow_overflow, loss=loss)
        return cast["ln_f.g"]


# Streams.


def cut(data: bytes) -> list[bytes]:
    return [data[start : start + CHUNK] for start in range(0, len(data), CHUNK)]


@pytest.mark.parametrize("source", FLOATS)
@pytest.mark.parametrize("target", FLOATS)
def test_chunks_keep_their_size_whatever_the_cast_does_to_the_bytes(
    source: DType, target: DType
) -> None:
    random = np.random.default_rng(5)
    for size in (0, 1, CHUNK // 8, CHUNK // 2 - 1, CHUNK // 2, CHUNK // 2 + 1, CHUNK + 3):
        # Numbers of float32 size: float64 to bfloat16 by way of float32 is then rounded once.
        array = random.standard_normal(size).astype(np.float32).astype(NUMPY[source])
        tensor = Pieces(array).cast(target)
        assert tensor.dtype is target
        assert tensor.nbytes == size * np.dtype(NUMPY[target]).itemsize
        middle = array.astype(np.float32) if target is DType.BFLOAT16 else array
        assert list(tensor.chunks()) == cut(middle.astype(NUMPY[target]).tobytes())


def test_passes_start_afresh_even_while_another_is_under_way() -> None:
    array = np.random.default_rng(6).standard_normal(CHUNK).astype(np.float32)
    tensor = Pieces(array).cast(DType.FLOAT16)
    first, second = tensor.chunks(), tensor.chunks()
    pairs = list(zip(first, second, strict=True))
    assert b"".join(one for one, _ in pairs) == array.astype(np.float16).tobytes()
    assert all(one == other for one, other in pairs)


@pytest.mark.parametrize(("source", "target"), DIRECTIONS)
def test_a_checksum_error_comes_after_all_chunks(source: DType, target: DType) -> None:
    array = np.ones(CHUNK // 2 + 100, NUMPY[source])
    tensor = Pieces(array, error=ChecksumError("x: wrong")).cast(target)
    found: list[bytes] = []
    with pytest.raises(ChecksumError, match="x: wrong"):
        found.extend(tensor.chunks())
    assert found == cut(array.astype(NUMPY[target]).tobytes())


def test_other_errors_of_the_source_pass_through() -> None:
    tensor = Pieces(np.ones(10, np.float32), error=FormatError("ends early")).cast(DType.FLOAT16)
    with pytest.raises(FormatError, match="ends early"):
        list(tensor.chunks())


@pytest.mark.slow
@pytest.mark.parametrize(("source", "target"), DIRECTIONS)
def test_memory_does_not_grow_with_the_tensor(source: DType, target: DType) -> None:
    chunk = np.zeros(CHUNK // np.dtype(NUMPY[source]).itemsize, NUMPY[source]).tobytes()
    count = 64 << 20
    size = np.dtype(NUMPY[source]).itemsize

    def read() -> Iterator[bytes]:
        for _ in range(count * size // CHUNK):
            yield chunk

    pieces = Pieces(np.zeros(1, NUMPY[source]))
    tensor = replace(pieces.tensor, shape=(count,), nbytes=count * size, read=read)
    checkpoint = replace(pieces.checkpoint, tensors={"x": tensor})
    loss = CastLoss()
    chunks = cast_checkpoint(checkpoint, target, loss=loss)["x"].chunks()
    next(chunks)  # whatever is imported late has been
    tracemalloc.start()
    try:
        for _, _ in zip(range(40), chunks, strict=False):
            pass
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 24 * CHUNK


# Whole checkpoints.


def test_every_tensor_is_cast_and_nothing_else_changes() -> None:
    before = adopt(raws.raw(bundles.gpt2_arrays(), bundles.TINY))
    after = cast_checkpoint(before, DType.FLOAT16)
    assert list(after) == list(before)
    for name, tensor in after.items():
        assert (tensor.name, tensor.dtype) == (name, DType.FLOAT16)
        assert tensor.shape == before[name].shape
        assert tensor.source_name == before[name].source_name
        np.testing.assert_array_equal(
            tensor.array(), raws.canonical()[name].astype(np.float16), strict=True
        )
    assert after.hparams == before.hparams
    assert after.raw is before.raw


def test_a_tensor_of_that_type_stays_as_it_is() -> None:
    pieces = Pieces(np.ones(3, np.float16))
    assert pieces.cast(DType.FLOAT16) is pieces.tensor


def test_nothing_is_read_before_chunks_are_asked_for() -> None:
    pieces = Pieces(np.ones(3, np.float32))
    tensor = pieces.cast(DType.FLOAT16)
    assert pieces.passes == 0
    list(tensor.chunks())
    assert pieces.passes == 1


@pytest.mark.parametrize("target", [dtype for dtype in DType if dtype not in FLOATS])
def test_only_floating_point_types_can_be_cast_to(target: DType) -> None:
    with pytest.raises(UsageError, match=f"cast to {target}"):
        Pieces(np.ones(3, np.float32)).cast(target)


def test_a_tensor_that_is_no_floating_point_number_is_refused_by_name() -> None:
    with pytest.raises(UnsupportedError, match=r"'ln_f\.g' is int32"):
        Pieces(np.ones(3, np.int32)).cast(DType.FLOAT16)


# Overflow.


@pytest.mark.parametrize(
    ("source", "target", "fits", "value", "fitting"),
    [
        (DType.FLOAT32, DType.FLOAT16, 65519.996, 65520.0, "bfloat16, float32, float64"),
        (DType.FLOAT64, DType.FLOAT16, -65519.99999999999, -65520.0, "bfloat16, float32, float64"),
        (DType.BFLOAT16, DType.FLOAT16, 65280.0, 65536.0, "bfloat16, float32, float64"),
        (DType.FLOAT32, DType.BFLOAT16, 3.3961773e38, 3.3961775e38, "float32, float64"),
        (
            DType.FLOAT64,
            DType.BFLOAT16,
            3.3961775292304597e38,
            -3.39617752923046e38,
            "float32, float64",
        ),
        (DType.FLOAT64, DType.FLOAT32, 3.4028235677973362e38, 3.4028235677973366e38, "float64"),
    ],
)
def test_a_number_that_becomes_infinite_is_an_error_that_names_it(
    source: DType, target: DType, fits: float, value: float, fitting: str
) -> None:
    array = np.array([[1, fits, np.inf], [-np.inf, np.nan, value]], NUMPY[source])
    value = float(array[1, 2])
    assert math.isfinite(value)
    with pytest.raises(CastError) as caught:
        list(Pieces(array).cast(target).chunks())
    assert isinstance(caught.value, ValueError)
    message = str(caught.value)
    assert f"ln_f.g at [1, 2] is {value!r}" in message
    assert f"infinite as {target}" in message
    assert f"; it fits {fitting};" in message
    assert "\n" not in message
    loss = CastLoss()
    data = b"".join(Pieces(array).cast(target, allow_overflow=True, loss=loss).chunks())
    found = np.frombuffer(data, NUMPY[target]).astype(np.float64)
    np.testing.assert_array_equal(
        found[[0, 2, 3, 4, 5]], [1, np.inf, -np.inf, np.nan, math.copysign(np.inf, value)]
    )
    assert np.isfinite(found[1])
    assert loss.overflows == loss.tensors["ln_f.g"].overflows == 1


@pytest.mark.parametrize("position", [0, CHUNK // 4 - 1, CHUNK // 4, CHUNK // 2 + 5])
def test_an_overflow_is_found_in_any_chunk(position: int) -> None:
    array = np.ones((CHUNK // 8 + 3, 5), np.float32)
    array.reshape(-1)[position] = 1e5
    with pytest.raises(CastError) as caught:
        list(Pieces(array).cast(DType.FLOAT16).chunks())
    place = [position // 5, position % 5]
    assert f"at {place} is 100000.0" in str(caught.value)


def test_the_first_of_several_overflows_is_named_and_all_are_counted() -> None:
    array = np.ones(CHUNK, np.float32)
    array[[7, 9, CHUNK // 2, CHUNK - 1]] = 1e5
    with pytest.raises(CastError, match=r"at \[7\] is"):
        list(Pieces(array).cast(DType.FLOAT16).chunks())
    assert lose(array, target=DType.FLOAT16, allow_overflow=True).overflows == 4


def test_a_damaged_number_is_a_checksum_error_and_no_overflow() -> None:
    array = np.ones(CHUNK, np.float32)
    array[3] = 1e30
    with pytest.raises(ChecksumError, match="wrong"):
        list(Pieces(array, error=ChecksumError("wrong")).cast(DType.FLOAT16).chunks())


# What was lost.


def lose(*arrays: Array, target: DType, allow_overflow: bool = False) -> CastLoss:
    loss = CastLoss()
    checkpoint = Pieces(np.ones(1, np.float32)).checkpoint
    tensors = {f"t{i}": raws.lazy(f"t{i}", array) for i, array in enumerate(arrays)}
    checkpoint = replace(checkpoint, tensors=tensors)
    cast = cast_checkpoint(checkpoint, target, loss=loss, allow_overflow=allow_overflow)
    for tensor in cast.values():
        list(tensor.chunks())
    return loss


@pytest.mark.parametrize(
    ("source", "target"),
    [
        (DType.FLOAT32, DType.FLOAT16), (DType.FLOAT32, DType.BFLOAT16),
        (DType.FLOAT64, DType.FLOAT16), (DType.FLOAT64, DType.FLOAT32),
        (DType.FLOAT64, DType.BFLOAT16), (DType.BFLOAT16, DType.FLOAT16),
        (DType.FLOAT16, DType.BFLOAT16),
    ],
)  # fmt: skip
def test_the_largest_errors_are_those_of_a_calculation_in_float64(
    source: DType, target: DType
) -> None:
    random = np.random.default_rng(7)
    arrays = [
        (random.standard_normal(size) * scale).astype(NUMPY[source])
        for size, scale in ((1000, 1), (CHUNK // 2, 30), (1000, 1e-6))
    ]
    arrays[1][:3] = 0, np.nan, np.inf
    loss = lose(*arrays, target=target)
    absolute, relative, zeroed = [], [], []
    for array in arrays:
        wide = array.astype(np.float64)
        after = array.astype(np.float32).astype(NUMPY[target]).astype(np.float64)
        if source is DType.FLOAT64:
            after = cast_array(array, source, target).astype(np.float64)
        keep = np.isfinite(wide)
        errors, sizes = np.abs(after[keep] - wide[keep]), np.abs(wide[keep])
        absolute.append(errors.max())
        left = (sizes > 0) & (after[keep] != 0)
        relative.append((errors[left] / sizes[left]).max())
        zeroed.append(int(((sizes > 0) & (after[keep] == 0)).sum()))
    assert max(absolute) > 0
    assert loss.max_abs_error == max(absolute)
    assert loss.max_abs_error_in == f"t{np.argmax(absolute)}"
    assert loss.max_rel_error == pytest.approx(max(relative), rel=2e-7)
    assert loss.max_rel_error_in == f"t{np.argmax(relative)}"
    assert [each.zeroed for each in loss.tensors.values()] == zeroed


def test_the_loss_of_known_numbers() -> None:
    # 2049 and 1 + 2**-12 become 2048 and 1; 2**-30 becomes 0.
    loss = lose(
        np.array([2049, 0], np.float32), np.array([1 + 2**-12, -(2.0**-30)]), target=DType.FLOAT16
    )
    first = {
        "max_abs_error": 1.0,
        "max_rel_error": 1 / 2049,
        "zeroed": 0,
        "overflows": 0,
    }
    second = {
        "max_abs_error": 2**-12,
        "max_rel_error": 2**-12 / (1 + 2**-12),
        "zeroed": 1,
        "overflows": 0,
    }
    assert loss.as_json() == {
        "max_abs_error": 1.0,
        "max_abs_error_in": "t0",
        "max_rel_error": 1 / 2049,
        "max_rel_error_in": "t0",
        "zeroed": 1,
        "overflows": 0,
        "tensors": [{"name": "t0", **first}, {"name": "t1", **second}],
    }


def test_nan_and_infinity_do_not_move_the_errors_of_others() -> None:
    array = np.array([np.nan, 0.5, np.inf, 2049, 1e9], np.float32)
    loss = lose(array, target=DType.FLOAT16, allow_overflow=True)
    assert (loss.max_abs_error, loss.max_rel_error) == (1, 1 / 2049)


def test_of_two_equal_errors_the_first_is_named() -> None:
    loss = lose(*[np.array([2049], np.float32)] * 2, target=DType.FLOAT16)
    assert (loss.max_abs_error_in, loss.max_rel_error_in) == ("t0", "t0")


def test_a_cast_that_loses_nothing_has_an_error_of_zero_and_no_name() -> None:
    loss = lose(np.array([0.0, -0.0, 0.5, 5e-45], np.float32), target=DType.FLOAT64)
    assert (loss.max_abs_error, loss.max_rel_error) == (0.0, 0.0)
    assert (loss.max_abs_error_in, loss.max_rel_error_in) == (None, None)


@pytest.mark.parametrize("values", [[], [np.nan, np.inf, -np.inf], [1e39]])
def test_without_finite_elements_there_is_no_error(values: list[float]) -> None:
    loss = lose(np.array(values, np.float64), target=DType.FLOAT32, allow_overflow=True)
    assert (loss.max_abs_error, loss.max_rel_error) == (None, None)
    assert loss.overflows == (1e39 in values)


def test_reading_again_changes_no_loss() -> None:
    loss = CastLoss()
    array = np.array([1e5, 0.1, -1e6], np.float32)
    tensor = Pieces(array).cast(DType.FLOAT16, allow_overflow=True, loss=loss)
    list(tensor.chunks())
    once = loss.as_json()
    assert once["overflows"] == 2
    assert loss.dtype is DType.FLOAT16
    list(tensor.chunks())
    assert loss.as_json() == once
