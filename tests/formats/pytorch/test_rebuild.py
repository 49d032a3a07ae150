"""Tensors are built of what torch pickles, and of nothing that leads out of a storage."""

from __future__ import annotations

from typing import Any

import pytest

from gpt2_convert import FormatError, UnsupportedError
from gpt2_convert.formats.pytorch.rebuild import (
    rebuild_parameter,
    rebuild_tensor,
    rebuild_tensor_v2,
    rebuild_tensor_v3,
)
from gpt2_convert.formats.pytorch.values import Kind, Name, Node, Storage, Tensor
from gpt2_convert.tensors.dtype import DType

PLACE = "x.pt: data.pkl"
STORAGE = Storage("0", DType.FLOAT32, 24)
BYTES = Storage("1", DType.UINT8, 24)
NOTHING = Node(Kind.DICT)


def numbers(*values: object) -> Node:
    return Node(Kind.TUPLE, values)


def arguments(*values: object) -> Node:
    return Node(Kind.TUPLE, values)


def build(
    offset: Any = 0,  # noqa: ANN401
    size: Any = None,  # noqa: ANN401
    stride: Any = None,  # noqa: ANN401
    storage: Any = STORAGE,  # noqa: ANN401
) -> Tensor:
    size = numbers(4, 6) if size is None else size
    stride = numbers(6, 1) if stride is None else stride
    return rebuild_tensor(arguments(storage, offset, size, stride), PLACE)


def test_all_functions_build_the_same_tensor() -> None:
    expected = Tensor(STORAGE, 0, (4, 6), (6, 1), DType.FLOAT32)
    basic = (STORAGE, 0, numbers(4, 6), numbers(6, 1))
    assert rebuild_tensor(arguments(*basic), PLACE) == expected
    for more in ((), (None,), (NOTHING,), (Node(Kind.DICT, ["conj", False]),)):
        found = rebuild_tensor_v2(arguments(*basic, True, NOTHING, *more), PLACE)
        assert found == expected
    assert rebuild_parameter(arguments(expected, True, NOTHING), PLACE) is expected
    for more in ((), (None,)):
        args = arguments(*basic, False, NOTHING, Name("torch.float32"), *more)
        assert rebuild_tensor_v3(args, PLACE) == expected


def test_the_dtype_is_that_of_the_storage_unless_it_is_said() -> None:
    args = (BYTES, 2, numbers(10), numbers(1), False, NOTHING, Name("torch.uint16"))
    assert rebuild_tensor_v3(arguments(*args), PLACE).dtype is DType.UINT16
    with pytest.raises(FormatError, match="ends at byte 26 of a storage of 24"):
        rebuild_tensor_v3(arguments(BYTES, 3, *args[2:]), PLACE)
    for dtype in (Name("torch.FloatStorage"), "torch.uint16", None):
        with pytest.raises(FormatError, match="a dtype of torch expected"):
            rebuild_tensor_v3(arguments(*args[:6], dtype), PLACE)


@pytest.mark.parametrize(
    ("offset", "size", "stride"),
    [
        (23, (), ()), (0, (24,), (1,)), (23, (9,), (0,)), (0, (0, 99), (1, 1)), (99, (0,), (1,)),
        (0, (1, 24), (1 << 40, 1)), (0, (2, 2), (22, 1)), (0, (6, 4), (1, 6)),
    ],
)  # fmt: skip
def test_a_tensor_may_be_any_view_that_lies_within(
    offset: int, size: tuple[int, ...], stride: tuple[int, ...]
) -> None:
    found = build(offset, numbers(*size), numbers(*stride))
    assert (found.offset, found.shape, found.strides) == (offset, size, stride)


@pytest.mark.parametrize(
    ("offset", "size", "stride", "last"),
    [
        (24, (), (), 100), (1, (24,), (1,), 100), (0, (25,), (1,), 100), (0, (5, 6), (6, 1), 120),
        (0, (2,), (24,), 100), (0, (2, 2), (23, 1), 100),
        (0, (2,), ((1 << 62) - 1,), (1 << 64)),
    ],
)  # fmt: skip
def test_a_tensor_that_leads_out_of_its_storage_is_refused(
    offset: int, size: tuple[int, ...], stride: tuple[int, ...], last: int
) -> None:
    with pytest.raises(FormatError, match=f"ends at byte {last:,} of a storage of 96"):
        build(offset, numbers(*size), numbers(*stride))


@pytest.mark.parametrize("value", [-1, 1 << 63, True, 1.0, "1", None, STORAGE, Node(Kind.LIST)])
def test_what_is_no_whole_number_is_refused_wherever_one_is_wanted(value: object) -> None:
    with pytest.raises(FormatError, match="a tensor's offset: found"):
        build(offset=value)
    for what in ("size", "stride"):
        with pytest.raises(FormatError, match=f"a tensor's {what}: a tuple of whole numbers"):
            build(**{what: numbers(4, value)})
        if value is not None:
            with pytest.raises(FormatError, match=f"a tensor's {what}: a tuple of whole numbers"):
                build(**{what: value})


def test_axes_are_as_many_as_strides_and_not_more_than_numpy_has() -> None:
    with pytest.raises(FormatError, match="a tensor of 2 axes has strides for 1 of them"):
        build(stride=numbers(1))
    build(size=numbers(*[1] * 32), stride=numbers(*[1] * 32))
    with pytest.raises(UnsupportedError, match="33 axes"):
        build(size=numbers(*[1] * 33), stride=numbers(*[1] * 33))


def test_a_shape_of_more_elements_than_can_exist_is_refused_even_beside_a_zero() -> None:
    for size in ((1 << 40, 1 << 40), (0, 1 << 40, 1 << 40)):
        with pytest.raises(FormatError, match="more elements than can exist"):
            build(size=numbers(*size), stride=numbers(*[0] * len(size)))


def test_a_number_that_is_meant_negated_or_conjugated_is_refused() -> None:
    args = (STORAGE, 0, numbers(4), numbers(1), False, NOTHING)
    for mark in ("conj", "neg"):
        metadata = Node(Kind.DICT, ["conj", False, mark, True])
        with pytest.raises(UnsupportedError, match=f"marked '{mark}'"):
            rebuild_tensor_v2(arguments(*args, metadata), PLACE)
        with pytest.raises(UnsupportedError, match=f"marked '{mark}'"):
            rebuild_tensor_v3(arguments(*args, Name("torch.float32"), metadata), PLACE)
    with pytest.raises(FormatError, match="metadata: found 'conj'"):
        rebuild_tensor_v2(arguments(*args, "conj"), PLACE)


def test_other_arguments_are_refused() -> None:
    for storage in (None, "0", Name("torch.FloatStorage"), build()):
        with pytest.raises(FormatError, match="a tensor's storage expected"):
            build(storage=storage)
    for build_of in (rebuild_tensor, rebuild_tensor_v2, rebuild_tensor_v3):
        for count in (0, 3, 5, 9):
            with pytest.raises(FormatError, match=f"arguments of a tensor expected, found {count}"):
                build_of(arguments(*[0] * count), PLACE)
    for args in (arguments(), arguments(STORAGE, True, NOTHING)):
        with pytest.raises(FormatError, match="a tensor to be a parameter expected"):
            rebuild_parameter(args, PLACE)


def test_messages_stay_short() -> None:
    for broken in (
        {"size": numbers(*[7] * 32), "stride": numbers(*[1 << 62] * 32)},
        {"size": numbers(*["x" * 9999] * 32)},
        {"offset": "x" * 9999},
    ):
        with pytest.raises(FormatError) as caught:
            build(**broken)
        assert len(str(caught.value)) < 700
