"""Tensors whose reading is told to whoever watches."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from .runs import Seekable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from .runs import Bytes
    from .tensor import LazyTensor

    Advance = Callable[[int], None]


def watch_tensors(tensors: Mapping[str, LazyTensor], advance: Advance) -> dict[str, LazyTensor]:
    """Return the tensors; ``advance`` is called with the bytes of each chunk that was used."""
    return {name: watch(tensor, advance) for name, tensor in tensors.items()}


def watch(tensor: LazyTensor, advance: Advance) -> LazyTensor:
    """Return the tensor; ``advance`` is called with the bytes of each chunk that was used."""
    way = tensor.read

    def tell(pieces: Iterable[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            yield piece
            advance(len(piece))

    def read() -> Iterator[bytes]:
        return tell(way())

    if not isinstance(way, Seekable):
        return replace(tensor, read=read)
    seekable, fill = way, way.fill

    def read_at(offset: int, size: int) -> Iterator[bytes]:
        return tell(seekable.at(offset, size))

    def fill_and_tell(array: Bytes) -> Iterator[Bytes]:
        for piece in fill(array) if fill else ():
            yield piece
            advance(piece.size)

    told = replace(way, whole=read, at=read_at, fill=fill_and_tell if fill else None)
    return replace(tensor, read=told)
