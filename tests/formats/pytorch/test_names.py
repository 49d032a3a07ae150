"""The list of names: what a call of each makes, and that nothing else has a meaning."""

from __future__ import annotations

import pytest

from gpt2_convert import FormatError, UnsupportedError
from gpt2_convert.formats.pytorch.names import CALLS, call, check_name
from gpt2_convert.formats.pytorch.values import Kind, Name, Node, Storage, Tensor
from gpt2_convert.tensors.dtype import DType

PLACE = "x.pt: data.pkl"
STORAGE = Storage("0", DType.FLOAT32, 6)
TENSOR = Tensor(STORAGE, 0, (2, 3), (3, 1), DType.FLOAT32)


def made(name: str, *args: object) -> object:
    return call(Name(name), Node(Kind.TUPLE, list(args)), PLACE)


def tuple_of(*items: object) -> Node:
    return Node(Kind.TUPLE, list(items))


@pytest.mark.parametrize(
    ("module", "name", "full"),
    [
        ("torch", "FloatStorage", "torch.FloatStorage"),
        ("torch.storage", "UntypedStorage", "torch.storage.UntypedStorage"),
        ("torch", "bfloat16", "torch.bfloat16"),
        ("torch._utils", "_rebuild_tensor_v2", "torch._utils._rebuild_tensor_v2"),
        ("collections", "OrderedDict", "collections.OrderedDict"),
        ("builtins", "set", "builtins.set"),
        ("__builtin__", "set", "builtins.set"),
        ("torch.tensor", "_rebuild_from_type", "torch._tensor._rebuild_from_type"),
    ],
)
def test_a_name_of_the_list_stays_a_name(module: str, name: str, full: str) -> None:
    assert check_name(module, name, PLACE) == Name(full)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("_rebuild_sparse_tensor", "a sparse tensor; save what its to_dense"),
        ("_rebuild_qtensor", "a quantised tensor; save what its dequantize"),
        ("_rebuild_nested_tensor", "a nested tensor"),
        ("_rebuild_meta_tensor_no_storage", "of the device 'meta'"),
    ],
)
def test_tensors_that_are_not_handled_are_named(name: str, words: str) -> None:
    with pytest.raises(UnsupportedError, match=words):
        check_name("torch._utils", name, PLACE)


@pytest.mark.parametrize(
    "name", ["torch.QInt8Storage", "torch.quint8", "torch.complex32", "torch.uint3"]
)
def test_dtypes_that_are_not_handled_are_named(name: str) -> None:
    with pytest.raises(UnsupportedError, match=f"asks for '{name}'"):
        check_name("torch", name.removeprefix("torch."), PLACE)


def test_a_name_that_is_no_function_is_not_called() -> None:
    for name in ("torch.FloatStorage", "torch.float32", "torch.Tensor", "builtins.list"):
        with pytest.raises(UnsupportedError, match=f"calls the name '{name}'"):
            made(name)
    wrong: list[object] = [None, [], Node(Kind.LIST)]
    for args in wrong:
        with pytest.raises(FormatError, match="arguments expected"):
            call(Name("torch.Size"), args, PLACE)


def test_dicts_are_made_of_nothing_or_of_pairs() -> None:
    for name in ("collections.OrderedDict", "collections.defaultdict"):
        made_of_none = made(name)
        assert isinstance(made_of_none, Node)
        assert (made_of_none.kind, made_of_none) == (Kind.DICT, [])
    pairs = Node(Kind.LIST, [Node(Kind.LIST, ["a", 1]), Node(Kind.LIST, ["b", TENSOR])])
    found = made("collections.OrderedDict", pairs)
    assert isinstance(found, Node)
    assert list(found.pairs()) == [("a", 1), ("b", TENSOR)]
    assert found.tensors == 1
    assert made("collections.defaultdict", Name("builtins.list")) == []
    for broken in ("ab", Node(Kind.LIST, ["ab"]), Node(Kind.LIST, [tuple_of(1)])):
        with pytest.raises(FormatError, match="expected, found"):
            made("collections.OrderedDict", broken)


def test_sizes_counters_and_plain_data_are_what_they_are_made_of() -> None:
    size = tuple_of(2, 3)
    assert made("torch.Size", size) is size
    counted = Node(Kind.DICT, ["a", 2])
    assert made("collections.Counter", counted) is counted
    assert made("torch.device", "cuda", 0) == ["cuda", 0]
    assert made("builtins.set", Node(Kind.LIST, [TENSOR])) == [[TENSOR]]
    kept = made("builtins.set", Node(Kind.LIST, [TENSOR]))
    assert isinstance(kept, Node)
    assert kept.tensors == 1  # a tensor is counted wherever it is


def test_every_call_bears_any_arguments() -> None:
    deep = tuple_of(tuple_of(tuple_of()))
    for name in CALLS:
        for args in ((), (None,), (1, "a"), (TENSOR,) * 4, (deep,) * 7, (STORAGE, 0, deep, deep)):
            try:
                made(name, *args)
            except (FormatError, UnsupportedError):
                continue


def test_parameters_and_tensors_with_attributes_are_tensors() -> None:
    assert made("torch._utils._rebuild_parameter", TENSOR, True, Node(Kind.DICT)) is TENSOR
    state = Node(Kind.DICT, ["_is_buffer", True])
    assert made("torch._utils._rebuild_parameter_with_state", TENSOR, True, state, state) is TENSOR
    args = tuple_of(STORAGE, 0, tuple_of(2, 3), tuple_of(3, 1))
    function = Name("torch._utils._rebuild_tensor")
    for kind in ("torch.Tensor", "torch.nn.parameter.Parameter"):
        for name in ("_rebuild_from_type", "_rebuild_from_type_v2"):
            assert made(f"torch._tensor.{name}", function, Name(kind), args, state) == TENSOR
    hidden = Node(Kind.DICT, ["scale", Node(Kind.LIST, [TENSOR])])
    for name, given in {
        "torch._tensor._rebuild_from_type_v2": (function, Name("torch.Tensor"), args, hidden),
        "torch._utils._rebuild_parameter_with_state": (TENSOR, True, state, hidden),
        "torch._utils._rebuild_parameter": (TENSOR, True, hidden),
        "torch._utils._rebuild_tensor_v2": (*args, False, hidden),
    }.items():
        with pytest.raises(UnsupportedError, match="tensors as attributes of others"):
            made(name, *given)
    with pytest.raises(UnsupportedError, match=r"a tensor of the class the name 'torch\.Size'"):
        made("torch._tensor._rebuild_from_type_v2", function, Name("torch.Size"), args, state)
    with pytest.raises(FormatError, match="4 arguments of a tensor expected, found 1"):
        made("torch._tensor._rebuild_from_type_v2", function)
