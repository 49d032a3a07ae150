"""Numbers whose bytes stand the other way around: turned while they are streamed."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from .dtype import DType
from .runs import Seekable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Final

    from .runs import Bytes, Fill

    Read = Callable[[], Iterator[bytes]]

_COMPLEX: Final = (DType.COMPLEX64, DType.COMPLEX128)
"""Two numbers each, of which either is turned."""


def swap_bytes(chunks: Iterable[bytes], dtype: DType) -> Iterator[bytes]:
    """Yield the chunks of a tensor of ``dtype`` with the bytes of each number turned around.

    No number may lie in two of them: CHUNK is a multiple of every size. What ``chunks`` raise after
    the last one is raised after the last one here.
    """
    import numpy as np

    size = _find_size(dtype)
    for chunk in chunks:
        yield chunk if size == 1 else np.frombuffer(chunk, f"u{size}").byteswap().tobytes()


def read_swapped(read: Read, dtype: DType) -> Read:
    """Return the ``read`` of a tensor with the bytes of each number turned around."""
    if isinstance(read, Seekable):
        whole, run = partial(_swap, read.whole, dtype), partial(swap_run, read.at, dtype)
        fill = read.fill and partial(fill_swapped, read.fill, dtype)
        return Seekable(whole, run, read.direct, fill)
    return partial(_swap, read, dtype)


def fill_swapped(fill: Fill, dtype: DType, array: Bytes) -> Iterator[Bytes]:
    """Fill an array, with the bytes of each number turned around where they then are."""
    size = _find_size(dtype)
    for piece in fill(array):
        if size > 1:
            piece.view(f"u{size}").byteswap(inplace=True)
        yield piece


def _swap(read: Read, dtype: DType) -> Iterator[bytes]:
    return swap_bytes(read(), dtype)


def swap_run(
    read_at: Callable[[int, int], Iterator[bytes]], dtype: DType, offset: int, size: int
) -> Iterator[bytes]:
    """Yield a run of bytes with those of each number turned around."""
    return swap_bytes(read_at(offset, size), dtype)


def _find_size(dtype: DType) -> int:
    """Return the bytes of what is turned."""
    itemsize = dtype.itemsize or 1
    return itemsize // 2 if dtype in _COMPLEX else itemsize
