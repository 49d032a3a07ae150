"""Runs of bytes out of a tensor, read without the rest where its storage allows that.

What is read so is not compared with a checksum, which is one of the whole.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import numpy as np
    import numpy.typing as npt

    Bytes = npt.NDArray[np.uint8]
    Fill = Callable[[Bytes], Iterator[Bytes]]


@dataclass(frozen=True, slots=True)
class Seekable:
    """A way to the bytes of a tensor that can begin anywhere: calling it starts a whole pass.

    ``at`` yields the bytes from an offset on, so many; both are multiples of the element's size,
    and no element lies across two of the pieces, which may have any sizes. It is ``direct`` where
    it reads nothing but those bytes, so that several runs cost no more than one that spans them.

    ``fill``, if there is one, puts a whole pass where the caller wants it, into an array of as many
    bytes, and yields each piece of that once its bytes are there and before they have left the
    processor's cache; it ends with a look at the checksum, as a whole pass does.
    """

    whole: Callable[[], Iterator[bytes]]
    at: Callable[[int, int], Iterator[bytes]]
    direct: bool = True
    fill: Fill | None = None

    def __call__(self) -> Iterator[bytes]:
        """Start a pass over all of it, which ends with a look at the checksum if there is one."""
        return self.whole()


def read_run(read: Callable[[], Iterator[bytes]], offset: int, size: int) -> Iterator[bytes]:
    """Yield ``size`` bytes from ``offset`` on; of what cannot be sought, all before them is read.

    ``read`` is that of a tensor. Less comes where the tensor ends before.
    """
    return read.at(offset, size) if isinstance(read, Seekable) else trim(read(), offset, size)


def trim(pieces: Iterable[bytes], skip: int, size: int) -> Iterator[bytes]:
    """Yield ``size`` bytes of a stream after the first ``skip``, and read no further."""
    for piece in pieces:
        part = piece[skip : skip + size]
        skip = max(0, skip - len(piece))
        size -= len(part)
        if part:
            yield part
        if not size:
            return


def split(
    shape: tuple[int, ...], start: int, stop: int
) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Cut the elements ``start`` to ``stop``, in C order, into boxes: (offset, shape) of each.

    At most one box in the middle and two an axis are needed.
    """
    strides = [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]
    while start < stop:
        axis = next(
            axis
            for axis, stride in enumerate(strides)
            if start % stride == 0 and stop - start >= stride
        )
        offset = tuple(start // stride % dim for stride, dim in zip(strides, shape, strict=True))
        count = min(shape[axis] - offset[axis], (stop - start) // strides[axis])
        yield offset, (*[1] * axis, count, *shape[axis + 1 :])
        start += count * strides[axis]
