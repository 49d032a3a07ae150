"""What a checkpoint holds, as tests compare it, and damage to its files."""

from __future__ import annotations

import gc
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from gpt2_convert.formats.opening import open_raw

from ..descriptors import list_descriptors

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from types import FrameType

    from gpt2_convert.checkpoint.raw import RawCheckpoint
    from gpt2_convert.tensors.tensor import LazyTensor

Array: TypeAlias = np.ndarray[Any, Any]
Contents: TypeAlias = dict[str, tuple[str, tuple[int, ...], bytes]]


def contents(path: Path) -> Contents:
    """Return dtype, shape and bytes of every tensor by name; every fault is raised."""
    with open_raw(path) as raw:
        for fault in raw.faults:
            raise fault
        found = {
            tensor.name: (tensor.dtype.value, tensor.shape, b"".join(tensor.chunks()))
            for tensor in raw.tensors
        }
        assert len(found) == len(raw.tensors)
        for tensor in raw.tensors:  # read straight into an array, it is the same
            if tensor.dtype.in_numpy and getattr(tensor.read, "fill", None):
                assert tensor.array().tobytes() == found[tensor.name][2]
    return found


def contents_of(arrays: Mapping[str, Array]) -> Contents:
    """Return the same of arrays in memory."""
    return {
        name: (array.dtype.name, array.shape, array.tobytes()) for name, array in arrays.items()
    }


def split_strings(tensor: LazyTensor) -> list[bytes]:
    """The elements of a string tensor in C order: varint lengths, a checksum, then the bytes."""
    stored = b"".join(tensor.chunks())
    position, lengths = 0, []
    for _ in range(tensor.size):
        length = shift = 0
        while stored[position] >= 0x80:
            length |= (stored[position] & 0x7F) << shift
            shift += 7
            position += 1
        lengths.append(length | stored[position] << shift)
        position += 1
    position += 4
    elements: list[bytes] = []
    for length in lengths:
        elements.append(stored[position : position + length])
        position += length
    return elements


def find_tensor(raw: RawCheckpoint, name: str) -> LazyTensor:
    return next(tensor for tensor in raw.tensors if tensor.name == name)


@contextmanager
def no_hang(seconds: int = 30) -> Iterator[None]:
    """Turn a read that never ends into a failure; nothing passes or fails by its speed."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise AssertionError("hangs")

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def flip_bit(path: Path, bit: int) -> None:
    with path.open("r+b") as file:
        file.seek(bit // 8)
        (byte,) = file.read(1)
        file.seek(bit // 8)
        file.write(bytes([byte ^ 1 << bit % 8]))


def open_descriptors() -> int:
    return len(list_descriptors())


def descriptors_before() -> int:
    """Return the same once everything is closed that earlier tests have left to the collector."""
    gc.collect()
    return open_descriptors()


def find_bytes(folder: Path, data: bytes) -> tuple[Path, int]:
    """Return the only place in the files of ``folder`` where ``data`` stands."""
    places = []
    for file in folder.iterdir():
        whole = file.read_bytes()
        assert whole.count(data) < 2
        if data in whole:
            places.append((file, whole.index(data)))
    (place,) = places
    return place
