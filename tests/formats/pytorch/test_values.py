"""Values of a pickle: containers count what is in them, and messages of them stay short."""

from __future__ import annotations

import pytest

from gpt2_convert.formats.pytorch.values import Kind, Name, Node, Storage, Tensor, describe
from gpt2_convert.tensors.dtype import DType

STORAGE = Storage("0", DType.FLOAT32, 6)
TENSOR = Tensor(STORAGE, 0, (2, 3), (3, 1), DType.FLOAT32)


def test_a_container_knows_how_deep_it_goes_and_how_many_tensors_are_in_it() -> None:
    flat = Node(Kind.TUPLE, [1, "a", TENSOR, STORAGE])
    assert (flat.depth, flat.tensors) == (1, 1)
    outer = Node(Kind.LIST)
    outer.add([flat, TENSOR])
    assert (outer.depth, outer.tensors) == (2, 2)
    outer.add([Node(Kind.DICT, ["key", outer])])
    assert (outer.depth, outer.tensors) == (4, 4)


def test_containers_that_hold_each_other_many_times_are_counted_to_an_end() -> None:
    node = Node(Kind.TUPLE, [TENSOR])
    for _ in range(60):
        node = Node(Kind.TUPLE, [node] * 1000)
    assert node.tensors == 1 << 30
    assert node.depth == 61


def test_a_dict_gives_its_pairs() -> None:
    node = Node(Kind.DICT, ["a", 1, 2, TENSOR])
    assert list(node.pairs()) == [("a", 1), (2, TENSOR)]


def test_the_size_of_a_tensor_is_that_of_its_shape() -> None:
    assert TENSOR.size == 6
    assert Tensor(STORAGE, 0, (), (), DType.FLOAT32).size == 1


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (Node(Kind.TUPLE, [1, 2]), "a tuple"),
        (Node(Kind.DICT), "a dict"),
        (Name("os.system"), "the name 'os.system'"),
        (STORAGE, "a storage"),
        (TENSOR, "a tensor"),
        (None, "None"),
        (-1, "-1"),
        ("a\nb", r"'a\nb'"),
        (b"\xff", r"b'\xff'"),
    ],
)
def test_a_value_is_described_without_what_is_in_it(value: object, words: str) -> None:
    assert describe(value) == words


@pytest.mark.parametrize("value", ["x" * 9999, b"x" * 9999, 1 << 2039, Name("x" * 9999)])
def test_a_long_value_is_cut(value: object) -> None:
    assert len(describe(value)) < 250
