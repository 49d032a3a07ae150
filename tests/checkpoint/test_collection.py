"""A collection is a mapping of names to tensors, equal to itself alone, that closes its files."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from support import raws

from gpt2_convert.checkpoint.canonical import Checkpoint
from gpt2_convert.checkpoint.collection import Dropped, TensorCollection


class File:
    closed = 0

    def close(self) -> None:
        self.closed += 1


def collection() -> TensorCollection:
    raw = raws.raw({"b/w": np.ones(3), "a": np.zeros((), np.int64)})
    return TensorCollection(
        raw=replace(raw, open_files=(File(),)),
        tensors={tensor.name: tensor for tensor in raw.tensors},
        dropped=(Dropped("c", "a reason"),),
    )


def test_it_maps_the_names_in_their_order() -> None:
    taken = collection()
    assert list(taken) == ["b/w", "a"]
    assert taken["a"].array() == 0
    assert len(taken) == 2
    assert taken.format == "memory"
    assert repr(taken) == "<TensorCollection 'memory' (memory): 2 tensors>"


def test_it_is_equal_to_nothing_but_itself() -> None:
    taken = collection()
    same = replace(taken)
    assert dict(taken) == dict(same)
    assert taken != same
    assert len({taken, same, taken}) == 2


def test_its_files_are_closed_with_it() -> None:
    taken = collection()
    (file,) = taken.raw.open_files
    assert isinstance(file, File)
    with taken as entered:
        assert entered is taken
        assert not file.closed
    assert file.closed


def test_a_gpt2_is_one() -> None:
    assert issubclass(Checkpoint, TensorCollection)
