"""The table of writers: its keys are the public ones, and a name asks for one of them at most."""

from __future__ import annotations

from typing import get_args

from support import writers

from gpt2_convert.formats.readers import READERS
from gpt2_convert.formats.writers import WRITERS, Compression, TargetFormat
from gpt2_convert.tensors.dtype import DTypeName


def test_the_types_of_targets_and_compressions_have_the_keys() -> None:
    assert get_args(TargetFormat) == tuple(WRITERS)
    offered = {name for writer in WRITERS.values() for name in writer.compressed}
    assert set(get_args(Compression)) == offered


def test_the_tests_go_through_every_writer_and_every_compression() -> None:
    ways = {(name, None) for name in WRITERS} | {
        (name, compression) for name, writer in WRITERS.items() for compression in writer.compressed
    }
    assert {(writer.to, writer.compress) for writer in writers.WRITERS.values()} == ways


def test_no_two_writers_are_asked_for_by_the_same_end_of_a_name() -> None:
    suffixes = [suffix for writer in WRITERS.values() for suffix in writer.suffixes]
    assert len(suffixes) == len(set(suffixes))
    for suffix in suffixes:
        assert [other for other in suffixes if suffix.endswith(other)] == [suffix]


def test_each_has_a_reader() -> None:
    assert {writer.read_as for writer in WRITERS.values()} <= READERS.keys()


def test_weights_of_any_dtype_have_a_writer() -> None:
    for dtype in get_args(DTypeName):
        assert [each for each in writers.WRITERS.values() if dtype in each.dtypes]
