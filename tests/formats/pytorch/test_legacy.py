"""Files of before torch 1.6: pickles one after the other, and the storages behind them."""

from __future__ import annotations

import pickle
import struct
from typing import TYPE_CHECKING

import numpy as np
import pytest
from support.contracts import contents, contents_of
from support.torch_files import (
    MAGIC,
    Call,
    Global,
    Storage,
    legacy_file,
    pickled,
    refusal,
    state_dict,
    view,
)

from gpt2_convert import FormatError, UnsupportedError
from gpt2_convert.formats.opening import open_raw

if TYPE_CHECKING:
    from pathlib import Path

    from support.contracts import Array

ARRAYS: dict[str, Array] = {
    "a": np.arange(6, dtype=np.float32).reshape(2, 3),
    "b": np.ones(4, np.int16),
}
HEAD = tuple(pickle.dumps(each, 2) for each in (MAGIC, 1001, {"little_endian": True}))


def write(path: Path, *pieces: bytes) -> Path:
    path.write_bytes(b"".join(pieces))
    return path


def numbers(array: Array) -> bytes:
    return struct.pack("<q", array.size) + array.tobytes()


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_files_of_every_protocol_are_read(protocol: int, tmp_path: Path) -> None:
    path = write(tmp_path / "x.bin", legacy_file(state_dict(ARRAYS), protocol))
    assert contents(path) == contents_of(ARRAYS)


def test_a_file_typed_out_by_hand_is_read(tmp_path: Path) -> None:
    saved = (
        b"\x80\x02}X\x01\0\0\0wctorch._utils\n_rebuild_tensor_v2\n"
        b"((X\x07\0\0\0storagectorch\nFloatStorage\nX\x02\0\0\0"
        b"42X\x03\0\0\0cpuK\x02NtQK\0K\x02\x85K\x01\x85\x89ccollections\nOrderedDict\n)RtRs."
    )
    keys = b"\x80\x02]X\x02\0\0\x0042a."
    data = b"\x02\0\0\0\0\0\0\0" + b"\0\0\x80\x3f" + b"\0\0\0\xc0"
    path = write(tmp_path / "x.bin", *HEAD, saved, keys, data)
    assert contents(path) == {"w": ("float32", (2,), np.array([1, -2], "<f4").tobytes())}


def test_numbers_are_little_endian_whatever_the_machine_was(tmp_path: Path) -> None:
    data = legacy_file(state_dict(ARRAYS), little_endian=False)
    assert contents(write(tmp_path / "x.bin", data)) == contents_of(ARRAYS)


def test_parts_of_a_storage_are_read_from_it(tmp_path: Path) -> None:
    array = np.arange(10, dtype=np.float32)
    whole = Storage(array, key="7")
    part = Storage(array, key="7", view=("8", 3, 4))
    value = {"whole": view(whole, (10,)), "part": view(part, (2, 2), (1, 2))}
    saved, _ = pickled(value, legacy=True)
    path = write(tmp_path / "x.bin", *HEAD, saved, pickle.dumps(["7"], 2), numbers(array))
    expected = {"whole": array, "part": array[3:7].reshape(2, 2).T}
    assert contents(path) == contents_of(expected)


def test_a_truncated_file_is_listed_and_not_converted(tmp_path: Path) -> None:
    data = legacy_file(state_dict(ARRAYS))
    path = write(tmp_path / "x.bin", data[:-9])
    with open_raw(path) as raw:
        assert [tensor.name for tensor in raw.tensors] == ["a", "b"]
        (fault,) = raw.faults
        assert isinstance(fault, FormatError)
        assert "truncated: the storage '" in str(fault)
        assert f"but the file has {len(data) - 9:,}" in str(fault)


def test_bytes_after_the_last_storage_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "x.bin", legacy_file(state_dict(ARRAYS)), b"more")
    assert "4 bytes after the last storage belong to nothing" in refusal(path, FormatError)


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ([], "the storage '7' of a tensor is missing"),
        (["7", "8"], "'8' is the key of no storage"),
        (["7", "7"], "one stands twice"),
        ([7], "7 is the key of no storage"),
        ({"7": 1}, "a list expected, found a dict"),
        (None, "a list expected, found None"),
    ],
)
def test_keys_that_are_not_those_of_the_tensors_are_refused(
    keys: object, words: str, tmp_path: Path
) -> None:
    array = np.ones(3, np.float32)
    saved, _ = pickled({"a": view(Storage(array, key="7"), (3,))}, legacy=True)
    path = write(tmp_path / "x.bin", *HEAD, saved, pickle.dumps(keys, 2), numbers(array))
    assert f"storage keys: {words}" in refusal(path, FormatError)


@pytest.mark.parametrize("numel", [0, 2, 4, -1, 1 << 62])
def test_a_storage_of_another_length_than_the_pickle_says_is_refused(
    numel: int, tmp_path: Path
) -> None:
    array = np.ones(3, np.float32)
    saved, _ = pickled({"a": view(Storage(array, key="7"), (3,))}, legacy=True)
    tail = struct.pack("<q", numel) + array.tobytes()
    path = write(tmp_path / "x.bin", *HEAD, saved, pickle.dumps(["7"], 2), tail)
    assert f"3 elements expected by the pickle, found {numel:,}" in refusal(path, FormatError)


def test_a_key_with_two_dtypes_or_lengths_is_refused(tmp_path: Path) -> None:
    array = np.ones(3, np.float32)
    for other in (np.ones(3, np.int32), np.ones(4, np.float32)):
        value = {"a": view(Storage(array, key="7"), (3,)), "b": view(Storage(other, key="7"), (3,))}
        saved, _ = pickled(value, legacy=True)
        path = write(tmp_path / "x.bin", *HEAD, saved, pickle.dumps(["7"], 2), numbers(array))
        assert "the storage '7' has" in refusal(path, FormatError)


def test_other_versions_are_refused(tmp_path: Path) -> None:
    for version in (1000, 1002, None, "1001"):
        path = write(tmp_path / "x.bin", HEAD[0], pickle.dumps(version, 2))
        assert "of the format, where 1001 is the one" in refusal(path, UnsupportedError)


def test_a_magic_number_further_on_is_none(tmp_path: Path) -> None:
    path = write(tmp_path / "x.bin", b"\x80\x02N0" + HEAD[0][2:])
    assert "the opcode POP" in refusal(path, UnsupportedError)
    path = write(tmp_path / "x.bin", b"\x80\x02K\x01\x85" + HEAD[0][2:])
    assert "more than one value is left" in refusal(path, FormatError)


def test_a_whole_model_is_refused_by_its_class(tmp_path: Path) -> None:
    model = Call(Global("transformers.modeling_gpt2", "GPT2LMHeadModel"), ())
    saved, _ = pickled(model, legacy=True)
    path = write(tmp_path / "x.bin", *HEAD, saved)
    message = refusal(path, UnsupportedError)
    assert "pickle: asks for 'transformers.modeling_gpt2.GPT2LMHeadModel'" in message


def test_pickles_longer_than_make_sense_are_refused(tmp_path: Path) -> None:
    saved, _ = pickled({"notes": "x" * (5 << 20)}, legacy=True)
    path = write(tmp_path / "x.bin", *HEAD, saved, pickle.dumps([], 2))
    assert "its pickles have more than 4,194,304 bytes" in refusal(path, UnsupportedError)
