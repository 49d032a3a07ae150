"""What is known of datasets survives the way from one process to another."""

from __future__ import annotations

from array import array
from dataclasses import replace

import pytest

from gpt2_convert.checkpoint.raw import Skipped
from gpt2_convert.formats.hdf5.layout import (
    NOWHERE,
    Chunked,
    Compact,
    Contiguous,
    Dataset,
    Storage,
    columns,
    decode,
    encode,
    encode_again,
    encode_attributes,
    encode_skipped,
    split_axis,
)
from gpt2_convert.tensors.dtype import DType

CHUNKS = Chunked(
    (2, 3), (2, 1, 3), 4, 96, array("Q", [0, NOWHERE]), array("Q", [1 << 40, 0]), array("I", [5, 0])
)
STORAGES: list[Storage] = [
    Contiguous(1 << 60),
    Compact(b""),
    Compact(b"\n{}\0\xff"),
    CHUNKS,
    Chunked((1,), (), 0, 4, *columns(0)),
]


@pytest.mark.parametrize("storage", STORAGES, ids=str)
@pytest.mark.parametrize("name", ["wte", "a/b", "n\ndc\udcff\0", "\u00e4\U0001f600"])
@pytest.mark.parametrize("shape", [(), (0, 3), ((1 << 64) - 1, 2)])
def test_a_dataset_arrives_as_it_was(storage: Storage, name: str, shape: tuple[int, ...]) -> None:
    dataset = Dataset(name, shape, DType.COMPLEX128, 1 << 70, storage)
    assert decode([encode(dataset)]) == ([dataset], [], {})
    turned = replace(dataset, swap=True)
    assert decode([encode(turned)]) == ([turned], [], {})


def test_a_second_name_is_one_of_the_same_dataset() -> None:
    first = Dataset("a", (1,), DType.FLOAT32, 4, CHUNKS)
    second = Dataset("b", (1,), DType.FLOAT32, 4, Contiguous(4))
    found, _, _ = decode(
        [encode(first), encode(second), encode_again("c", 0), encode_again("d", 2)]
    )
    assert [each.name for each in found] == ["a", "b", "c", "d"]
    assert [each.storage for each in found] == [CHUNKS, Contiguous(4), CHUNKS, CHUNKS]
    assert found[3].storage is found[0].storage  # one table, however many names it has


def test_what_is_skipped_arrives_as_it_was_and_has_no_number() -> None:
    dataset = Dataset("a", (1,), DType.FLOAT32, 4, Contiguous(4))
    skipped = [Skipped("b/\udcff", "a soft link", is_folder=True), Skipped("c", "type string")]
    messages = [*map(encode_skipped, skipped), encode(dataset), encode_again("d", 0)]
    found, passed, _ = decode(messages)
    assert [each.name for each in found] == ["a", "d"]
    assert passed == skipped


def test_attributes_arrive_as_they_were() -> None:
    attributes = {"hparams": '{"n_layer": 3}\udcff\n', "config": None}
    assert decode([encode_attributes(attributes)]) == ([], [], attributes)


def test_chunks_are_nowhere_until_they_are_found() -> None:
    assert [list(column) for column in columns(2)] == [[(1 << 64) - 1] * 2, [0, 0], [0, 0]]


@pytest.mark.parametrize(
    ("box", "axis"), [((4, 5), 0), ((1, 5), 1), ((1, 1, 2, 1), 2), ((1, 1), 0), ((1,), 0)]
)
def test_the_split_axis_is_the_first_with_several_steps(box: tuple[int, ...], axis: int) -> None:
    assert split_axis(box) == axis
