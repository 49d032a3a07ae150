"""A tensor whose metadata is free and whose bytes come on demand, in bounded chunks.

Everything that moves weights moves them as :data:`CHUNK`-byte pieces of little-endian, C-order
bytes. That keeps memory flat at any model size and lets two tensors of different containers be
compared without an agreement between their readers.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass, field
from itertools import chain, zip_longest
from typing import TYPE_CHECKING

from ..errors import ChecksumError, FormatError, UnsupportedError
from ..io.source import CHUNK
from .dtype import numpy_dtype

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

    import numpy.typing as npt

    from .dtype import DType


@dataclass(frozen=True, slots=True)
class LazyTensor:
    """Name, shape and dtype of a tensor, and the way to its bytes.

    ``name`` is canonical in a Checkpoint and as the file spells it in a RawCheckpoint;
    ``source_name`` is always as the file spells it. ``nbytes`` is the size of the elements in
    memory (for a dtype without an item size: of what is stored). ``read`` starts a fresh pass
    over the bytes each time it is called.
    """

    name: str
    shape: tuple[int, ...]
    dtype: DType
    nbytes: int
    read: Callable[[], Iterator[bytes]] = field(repr=False, compare=False)
    source_name: str

    @property
    def size(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)

    def chunks(self) -> Iterator[bytes]:
        """Yield the elements as little-endian C-order bytes, in pieces of CHUNK bytes.

        Only the last piece may be shorter; an empty tensor yields none. Where the container
        stores a checksum it is compared after the last piece, so a caller knows that the bytes
        are good only once the iterator has ended without an error.

        Raises:
            ChecksumError: the bytes do not match their checksum.
            FormatError, UnreadableError, SourceNotFoundError, UnsupportedError: they cannot be
                read at all.
        """
        return self.read()

    def array(self) -> npt.NDArray[Any]:
        """Return the whole tensor as a new NumPy array of ``shape`` and ``dtype``.

        Raises:
            UnsupportedError: NumPy has no such dtype, or no array of so many axes or elements.
            FormatError, UnreadableError, SourceNotFoundError: as in :meth:`chunks`.
        """
        import numpy as np

        try:
            dtype = numpy_dtype(self.dtype)
        except UnsupportedError as error:
            raise UnsupportedError(f"{self.name}: {error}") from None
        # A source that cannot give the first piece is refused before there is memory for all.
        chunks = self.chunks()
        first = next(chunks, b"")
        flat = np.empty(self.nbytes, np.uint8)
        filled = 0
        for chunk in chain([first], chunks):
            flat[filled : filled + len(chunk)] = np.frombuffer(chunk, np.uint8)
            filled += len(chunk)
        if filled != self.nbytes:
            raise FormatError(f"{self.name}: {filled:,} bytes where {self.nbytes:,} were announced")
        try:
            array = flat.view(dtype).reshape(self.shape)
        except ValueError:
            raise UnsupportedError(
                f"{self.name}: NumPy has no array of {len(self.shape)} axes, the first of them "
                f"{', '.join(map(str, self.shape[:4]))}"
            ) from None
        return array if sys.byteorder == "little" else array.astype(dtype.newbyteorder("="))


def rechunk(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Cut pieces of any sizes anew, into chunks as :meth:`LazyTensor.chunks` promises them.

    A ChecksumError that ends ``pieces`` is raised after the last chunk, as there. Holds one piece
    and less than a chunk.
    """
    held = bytearray()
    failure: ChecksumError | None = None
    try:
        for piece in pieces:
            if not held and len(piece) == CHUNK:
                yield piece
                continue
            held += piece
            while len(held) >= CHUNK:
                with memoryview(held)[:CHUNK] as view:
                    chunk = bytes(view)
                del held[:CHUNK]
                yield chunk
    except ChecksumError as error:
        failure = error
    if held:
        yield bytes(held)
    if failure is not None:
        raise failure


def same_bytes(first: LazyTensor, second: LazyTensor) -> bool:
    """Whether two tensors have the same dtype and bytes; reads no further than it has to."""
    if first.dtype != second.dtype or first.nbytes != second.nbytes:
        return False
    return all(a == b for a, b in zip_longest(first.chunks(), second.chunks()))
