"""Buffers: only what GPT-2 computes itself is one, told by the values."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
from support import raws

from gpt2_convert.io.source import CHUNK
from gpt2_convert.model.buffers import BUFFERS, find_fault
from gpt2_convert.model.schema import load_family


def test_the_rules_name_known_kinds_only() -> None:
    kinds = {drop.values for drop in load_family().drops if drop.values is not None}
    assert kinds == set(BUFFERS) == {"causal_mask", "masked_bias"}


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int64", "float16", "float32", "float64"])
@pytest.mark.parametrize("leading", [(), (1,), (1, 1)])
def test_ones_on_and_below_the_diagonal_are_a_causal_mask(
    leading: tuple[int, ...], dtype: str
) -> None:
    for size in (0, 1, 2, 7, 64):
        mask = np.tri(size, dtype=dtype).reshape(*leading, size, size)
        assert find_fault(raws.lazy("h.0.attn.bias", mask), "causal_mask") is None


def test_every_single_other_element_is_a_fault_at_its_place() -> None:
    for row in range(5):
        for column in range(5):
            mask = np.tri(5, dtype=np.uint8)
            mask[row, column] ^= 1
            fault = find_fault(raws.lazy("b", mask), "causal_mask")
            assert fault is not None
            assert (
                f"{mask[row, column]} at [{row}, {column}], where {mask[row, column] ^ 1}" in fault
            )


def test_a_mask_of_several_chunks_is_looked_at_to_its_end() -> None:
    size = 1100
    assert size * size > CHUNK
    mask = np.tri(size, dtype=np.uint8)
    assert find_fault(raws.lazy("b", mask), "causal_mask") is None
    mask[size - 1, size - 1] = 0
    fault = find_fault(raws.lazy("b", mask), "causal_mask")
    assert fault == "'b' is no causal mask: 0 at [1099, 1099], where 1 is expected"


@pytest.mark.parametrize("shape", [(2, 3), (2, 2, 2), (4,), ()])
def test_what_is_not_square_is_no_causal_mask(shape: tuple[int, ...]) -> None:
    fault = find_fault(raws.lazy("b", np.ones(shape, np.uint8)), "causal_mask")
    if shape == ():
        assert fault is None  # one row of one column
    else:
        assert fault == f"'b' is no causal mask: its shape is {list(shape)}, which is not square"


# What transformers took at one time or another, what it is in half precision, and after a cast of
# the least of float32.
@pytest.mark.parametrize(
    "value", [-1e4, -1e9, -65504.0, float(np.finfo(np.float32).min), -9984.0, -np.inf]
)
@pytest.mark.parametrize("shape", [(), (1,), (1, 1)])
def test_one_large_negative_number_is_a_masked_bias(shape: tuple[int, ...], value: float) -> None:
    array = np.full(shape, value, np.float32)
    assert find_fault(raws.lazy("m", array), "masked_bias") is None


@pytest.mark.parametrize("back", [None, "float16", "float32", "float64"])
@pytest.mark.parametrize("half", ["float16", "bfloat16"])
@pytest.mark.parametrize("value", [-1e4, -65504.0, -1e9])
def test_an_honest_cast_of_it_is_one(value: float, half: str, back: str | None) -> None:
    kind = np.dtype(half) if half == "float16" else np.dtype(ml_dtypes.bfloat16)
    with np.errstate(over="ignore"):
        array = np.array(value, np.float32).astype(kind)
        array = array if back is None else array.astype(back)
    assert find_fault(raws.lazy("m", array), "masked_bias") is None


def test_what_bfloat16_has_for_other_numbers_is_none() -> None:
    for value in (-9920.0, -9984.0 + 64):
        array = np.array(value, ml_dtypes.bfloat16)
        assert find_fault(raws.lazy("m", array), "masked_bias") is not None
    for kind in (np.float32, ml_dtypes.bfloat16):
        array = np.array(9984.0, kind)
        assert find_fault(raws.lazy("m", array), "masked_bias") is not None


@pytest.mark.parametrize("value", [0.0, 1e4, -9999.0, -9985.0, -9983.0, np.nan, np.inf])
def test_any_other_number_is_none(value: float) -> None:
    fault = find_fault(raws.lazy("m", np.array(value, np.float32)), "masked_bias")
    assert fault == (
        f"'m' is no masked bias: {value!r}, where a negative number of at least 10,000 in size is "
        "expected"
    )
    many = find_fault(raws.lazy("m", np.full(2, -1e4, np.float32)), "masked_bias")
    assert many == "'m' is no masked bias: its shape is [2], which is not one number"


def test_what_has_no_real_numbers_is_no_buffer() -> None:
    tensor = raws.lazy("m", np.zeros((), np.complex64))
    assert find_fault(tensor, "masked_bias") == "'m' is complex64, and no masked bias"
