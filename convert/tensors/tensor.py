"""A tensor whose metadata is free and whose bytes come on demand, in bounded chunks.

Everything that moves weights moves them as :data:`CHUNK`-byte pieces of little-endian, C-order
bytes. That keeps memory flat at any model size and lets two tensors of different containers be
compared without an agreement between their readers.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import chain, zip_longest
from typing import TYPE_CHECKING

from ..errors import ChecksumError, FormatError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

    import numpy as np
    import numpy.typing as npt

CHUNK = 1 << 20
"""Bytes in a chunk: large enough that a call a chunk costs nothing, small enough for the cache."""


class DType(StrEnum):
    """An element type. Members are strings, so ``np.dtype(tensor.dtype)`` works.

    The exceptions are those that NumPy does not have: ``bfloat16``, and from ``qint8`` on what
    TensorFlow alone has. The elements of the last three have no fixed size.
    """

    FLOAT16 = "float16"
    BFLOAT16 = "bfloat16"
    FLOAT32 = "float32"
    FLOAT64 = "float64"
    INT8 = "int8"
    INT16 = "int16"
    INT32 = "int32"
    INT64 = "int64"
    UINT8 = "uint8"
    UINT16 = "uint16"
    UINT32 = "uint32"
    UINT64 = "uint64"
    BOOL = "bool"
    COMPLEX64 = "complex64"
    COMPLEX128 = "complex128"
    QINT8 = "qint8"
    QINT16 = "qint16"
    QINT32 = "qint32"
    QUINT8 = "quint8"
    QUINT16 = "quint16"
    FLOAT8_E4M3FN = "float8_e4m3fn"
    FLOAT8_E5M2 = "float8_e5m2"
    STRING = "string"
    RESOURCE = "resource"
    VARIANT = "variant"

    @property
    def itemsize(self) -> int | None:
        """Bytes an element, or None where elements differ in size."""
        return _ITEMSIZES.get(self)

    @property
    def in_numpy(self) -> bool:
        """Whether NumPy has it, under the same name."""
        return self not in _NOT_IN_NUMPY

    @property
    def is_floating(self) -> bool:
        """Whether model weights can be of this type."""
        return self in _FLOATING


_ITEMSIZES = {
    DType.FLOAT16: 2,
    DType.BFLOAT16: 2,
    DType.FLOAT32: 4,
    DType.FLOAT64: 8,
    DType.INT8: 1,
    DType.INT16: 2,
    DType.INT32: 4,
    DType.INT64: 8,
    DType.UINT8: 1,
    DType.UINT16: 2,
    DType.UINT32: 4,
    DType.UINT64: 8,
    DType.BOOL: 1,
    DType.COMPLEX64: 8,
    DType.COMPLEX128: 16,
    DType.QINT8: 1,
    DType.QINT16: 2,
    DType.QINT32: 4,
    DType.QUINT8: 1,
    DType.QUINT16: 2,
    DType.FLOAT8_E4M3FN: 1,
    DType.FLOAT8_E5M2: 1,
}
_NOT_IN_NUMPY = {
    DType.BFLOAT16,
    DType.QINT8,
    DType.QINT16,
    DType.QINT32,
    DType.QUINT8,
    DType.QUINT16,
    DType.FLOAT8_E4M3FN,
    DType.FLOAT8_E5M2,
    DType.STRING,
    DType.RESOURCE,
    DType.VARIANT,
}
_FLOATING = {DType.FLOAT16, DType.BFLOAT16, DType.FLOAT32, DType.FLOAT64}


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


def numpy_dtype(dtype: DType) -> np.dtype[Any]:
    """Return the little-endian NumPy dtype of ``dtype``.

    Raises:
        UnsupportedError: NumPy has none.
    """
    import numpy as np

    if not dtype.in_numpy:
        raise UnsupportedError(f"NumPy has no {dtype} dtype")
    return np.dtype(dtype.value).newbyteorder("<")


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
