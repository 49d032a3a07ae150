"""A checkpoint as it is: every tensor of numbers by its own name, and a reason for all else."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from support import raws

from gpt2_convert import (
    DType,
    FormatError,
    LazyTensor,
    SchemaError,
    UnsupportedError,
    UsageError,
)
from gpt2_convert.checkpoint.raw import RawConfig, Skipped
from gpt2_convert.model.as_is import NOTE, take_as_is

if TYPE_CHECKING:
    from typing import Any

    from gpt2_convert.checkpoint.raw import RawCheckpoint


def text(name: str, dtype: DType = DType.STRING) -> LazyTensor:
    return LazyTensor(name, (), dtype, 5, lambda: iter([b"hello"]), name)


def checkpoint(*more: LazyTensor) -> RawCheckpoint:
    arrays: dict[str, np.ndarray[Any, Any]] = {
        "bert/embeddings/word": np.ones((3, 2), np.float32),
        "bert/embeddings/word/adam_v": np.ones((3, 2), np.float32),
        "Z": np.zeros(2, np.complex128),
        "global_step": np.ones((), np.int64),
    }
    raw = raws.raw(arrays)
    return replace(raw, tensors=(*raw.tensors, *more))


def test_every_tensor_keeps_its_name_and_they_stand_in_that_order() -> None:
    raw = checkpoint()
    taken = take_as_is(replace(raw, notes=("a note",)))
    assert list(taken) == [
        "Z",
        "bert/embeddings/word",
        "bert/embeddings/word/adam_v",
        "global_step",
    ]
    assert {tensor.name: tensor for tensor in raw.tensors} == dict(taken)
    assert taken.dropped == ()
    assert taken.notes == ("a note", NOTE)


def test_patterns_leave_out_whatever_they_match() -> None:
    taken = take_as_is(checkpoint(text("vocab")), ["*/adam_?", "vocab", "Z"])
    assert list(taken) == ["bert/embeddings/word", "global_step"]
    assert [(each.source_name, each.reason) for each in taken.dropped] == [
        ("bert/embeddings/word/adam_v", "asked for by the pattern '*/adam_?'"),
        ("Z", "asked for by the pattern 'Z'"),
        ("vocab", "asked for by the pattern 'vocab'"),
    ]


def test_a_pattern_that_matches_nothing_is_misuse() -> None:
    with pytest.raises(UsageError, match=r"^memory: the pattern '\*/Adam' matches no tensor$"):
        take_as_is(checkpoint(), ["*/Adam"])


@pytest.mark.parametrize("dtype", [each for each in DType if each.itemsize is None])
def test_what_is_no_number_is_refused_by_its_name(dtype: DType) -> None:
    with pytest.raises(UnsupportedError) as caught:
        take_as_is(checkpoint(text("vo*cab", dtype)))
    assert str(caught.value) == (
        f"memory: 'vo*cab' is of dtype {dtype}, which no target holds as numbers; "
        "drop='vo*cab' leaves it out"
    )
    assert list(take_as_is(checkpoint(text("vo*cab", dtype)), ["vo*cab"])) == list(
        take_as_is(checkpoint())
    )


def test_all_strings_are_named_at_once() -> None:
    with pytest.raises(UnsupportedError) as caught:
        take_as_is(checkpoint(text("a"), text("b"), text("c", DType.VARIANT)))
    assert str(caught.value) == (
        "memory: 'a', 'b', 'c' are of dtype string and variant, which no target holds as numbers; "
        "leave them out with drop=..."
    )


def test_tensorflow_s_object_graph_is_no_variable_and_goes_for_a_stated_reason() -> None:
    name = "_CHECKPOINTABLE_OBJECT_GRAPH"
    (dropped,) = take_as_is(checkpoint(text(name))).dropped
    assert dropped.source_name == name
    assert "object graph" in dropped.reason
    (asked,) = take_as_is(checkpoint(text(name)), [name]).dropped
    assert asked.reason == f"asked for by the pattern {name!r}"
    # By that name alone; and numbers stay, whatever their name is.
    with pytest.raises(UnsupportedError):
        take_as_is(checkpoint(text(f"x/{name}")))
    assert name in take_as_is(checkpoint(raws.lazy(name, np.ones(1))))


def test_what_the_reader_has_skipped_is_refused_unless_it_cannot_be_a_tensor() -> None:
    link = Skipped("a/link", "a soft link", is_folder=True)
    text = Skipped("config.json", "not a .npy member", is_member=False)
    raw = replace(checkpoint(), skipped=(text, link, replace(link, name="b")))
    with pytest.raises(UnsupportedError) as caught:
        take_as_is(raw)
    assert str(caught.value) == (
        "memory: 'a/link': a soft link (and 1 more); drop='a/link' leaves it out"
    )
    taken = take_as_is(raw, ["a/*", "b", "config.json"])
    assert dict(taken) == dict(take_as_is(checkpoint()))
    assert [each.source_name for each in taken.dropped] == ["config.json", "a/link", "b"]
    assert not take_as_is(replace(raw, skipped=(text,))).dropped


def test_a_name_that_stands_twice_is_refused_once() -> None:
    again = raws.lazy("Z", np.ones(1))
    with pytest.raises(SchemaError) as caught:
        take_as_is(checkpoint(again, again))
    assert caught.value.problems == ("'Z' stands twice",)


def test_nothing_is_no_checkpoint() -> None:
    with pytest.raises(SchemaError, match=r"^memory: nothing to take: no tensors of numbers$"):
        take_as_is(raws.raw({}))
    with pytest.raises(SchemaError, match=r"no tensors of numbers, and 4 left out$"):
        take_as_is(checkpoint(), ["*"])


def test_a_statement_that_is_damaged_is_no_matter_of_taste() -> None:
    stated = RawConfig("x.npz: zip comment", b"{", "damaged: it does not match its checksum")
    with pytest.raises(FormatError, match=r"^x\.npz: zip comment: damaged"):
        take_as_is(replace(checkpoint(), configs=(stated,)))
