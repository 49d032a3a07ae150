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
from typing import TYPE_CHECKING, overload

from ..errors import Advice, ChecksumError, FormatError, UnsupportedError
from ..io.source import CHUNK
from ..quoting import clip, quote
from .dtype import DType, numpy_dtype
from .floats import decode
from .rows import find_rows, read_rows
from .runs import Seekable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any, Final, SupportsIndex

    import numpy as np
    import numpy.typing as npt

    from .runs import Fill


_SMALL: Final = 1 << 16
"""Bytes below which a piece is worth no object of its own while it waits."""


@dataclass(frozen=True, slots=True, repr=False)
class LazyTensor:
    """Name, shape and dtype of a tensor, and the way to its bytes.

    NumPy takes it for an array: ``np.asarray(tensor)`` reads it whole, as :meth:`array` does, and
    ``tensor[10:20]`` and ``tensor[-1]`` read rows, which are the steps of the first axis. Where
    these lie in the file as they are, nothing but the rows is read: in TensorFlow's data files,
    safetensors, PyTorch files, npz files that are not compressed, and HDF5 datasets that are
    contiguous. Of HDF5's chunks those are read that rows are in. Anything else takes more: a member
    of a compressed npz file is read from its beginning to the last of the rows, for example. The
    checksum of the tensor is not looked at for rows, since it is one of the whole.

    ``name`` is canonical in a Checkpoint and as the file spells it in a RawCheckpoint;
    ``source_name`` is always as the file spells it. ``nbytes`` is the size of the elements in
    memory (for a dtype without an item size: of what is stored). ``read`` starts a fresh pass
    over the bytes each time it is called; it is a :class:`.Seekable` where it can begin anywhere.
    """

    name: str
    shape: tuple[int, ...]
    dtype: DType
    nbytes: int
    read: Callable[[], Iterator[bytes]] = field(repr=False, compare=False)
    source_name: str

    def __repr__(self) -> str:
        return f"<LazyTensor {quote(self.name)}: {self.dtype} {clip(str(self.shape))}>"

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)

    def __bool__(self) -> bool:
        return True  # it is there, however many rows it has

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError(f"{quote(self.name)}: a scalar has no length")
        return self.shape[0]

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
        self._numpy_dtype()
        return self._shaped(self._read_all(), self.shape)

    def __array__(
        self, dtype: npt.DTypeLike | None = None, copy: bool | None = None
    ) -> npt.NDArray[Any]:
        """Return the whole tensor for NumPy; as :meth:`array`, then of another ``dtype``.

        Of bfloat16, which NumPy does not have, any dtype can be asked for, and float32 holds every
        number of it.

        Raises:
            ValueError: ``copy`` is False, and what is read is always a new array.
        """
        import numpy as np

        if copy is False:
            raise ValueError(f"{quote(self.name)}: its bytes are in a file, and reading is a copy")
        if dtype is None or self.dtype is not DType.BFLOAT16:
            array = self.array()
            return array if dtype is None else array.astype(dtype, copy=False)
        floats = decode(self._read_all(), self.dtype).reshape(self.shape)
        return floats.astype(np.dtype(dtype), copy=False)

    @overload
    def __getitem__(self, key: slice, /) -> npt.NDArray[Any]: ...
    @overload
    def __getitem__(self, key: SupportsIndex, /) -> Any: ...  # noqa: ANN401 - number or array

    def __getitem__(self, key: slice | SupportsIndex, /) -> Any:
        """Read rows: of a slice an array of them, of a number the row itself, as NumPy gives them.

        The tensor's checksum is not looked at, which is one of all its rows.

        Raises:
            IndexError: there is no such row.
            TypeError: it is neither a number nor a slice.
            UnsupportedError: NumPy has no such dtype.
            FormatError, UnreadableError, SourceNotFoundError: the rows cannot be read.
        """
        rows = find_rows(key, self.shape, quote(self.name))
        dtype = self._numpy_dtype()
        width = math.prod(self.shape[1:]) * dtype.itemsize
        flat = read_rows(self.read, rows, width)
        self._check_filled(len(flat), len(rows) * width)
        array = self._shaped(flat, (len(rows), *self.shape[1:]))
        return array if isinstance(key, slice) else array[0]

    def __iter__(self) -> Iterator[Any]:
        """Read the rows one after the other, with a look at the checksum after the last one."""
        width = self.nbytes // len(self) if len(self) else 0
        self._numpy_dtype()
        held = bytearray()
        count = 0
        for chunk in self.chunks() if width else ():
            held += chunk
            for start in range(0, len(held) - width + 1, width):
                yield self._row(held[start : start + width])
                count += 1
            del held[: len(held) // width * width]
        if width:
            self._check_filled(count * width + len(held), self.nbytes)
        else:
            yield from (self._row(bytearray()) for _ in range(len(self)))

    def _row(self, data: bytearray) -> Any:  # noqa: ANN401 - a number or an array
        import numpy as np

        return self._shaped(np.frombuffer(data, np.uint8), self.shape[1:])[()]

    def _numpy_dtype(self) -> np.dtype[Any]:
        try:
            return numpy_dtype(self.dtype)
        except UnsupportedError as error:
            help_ = Advice("open it with {}", "dtype", "float32")
            advice = help_ if self.dtype is DType.BFLOAT16 else None
            raise UnsupportedError(f"{self.name}: {error}", advice) from None

    def _read_all(self) -> npt.NDArray[np.uint8]:
        import numpy as np

        fill = self.read.fill if isinstance(self.read, Seekable) else None
        if fill is not None:
            return self._read_into_place(fill)
        # A source that cannot give the first piece is refused before there is memory for all.
        chunks = self.chunks()
        first = next(chunks, b"")
        flat = np.empty(self.nbytes, np.uint8)
        filled = 0
        for chunk in chain([first], chunks):
            flat[filled : filled + len(chunk)] = np.frombuffer(chunk, np.uint8)
            filled += len(chunk)
        self._check_filled(filled, self.nbytes)
        return flat

    def _read_into_place(self, fill: Fill) -> npt.NDArray[np.uint8]:
        import numpy as np

        try:
            flat = np.empty(self.nbytes, np.uint8)
        except (MemoryError, ValueError):
            next(self.chunks(), None)  # what is not even in the file is an error of the file's
            raise
        self._check_filled(sum(piece.size for piece in fill(flat)), self.nbytes)
        return flat

    def _check_filled(self, filled: int, announced: int) -> None:
        if filled != announced:
            raise FormatError(f"{self.name}: {filled:,} bytes where {announced:,} were announced")

    def _shaped(self, flat: npt.NDArray[np.uint8], shape: tuple[int, ...]) -> npt.NDArray[Any]:
        dtype = numpy_dtype(self.dtype)
        try:
            array = flat.view(dtype).reshape(shape)
        except ValueError:
            raise UnsupportedError(
                f"{self.name}: NumPy has no array of {len(shape)} axes, the first of them "
                f"{', '.join(map(str, shape[:4]))}"
            ) from None
        return array if sys.byteorder == "little" else array.astype(dtype.newbyteorder("="))


def rechunk(pieces: Iterable[bytes | memoryview]) -> Iterator[bytes]:
    """Cut pieces of any sizes anew, into chunks as :meth:`LazyTensor.chunks` promises them.

    A memoryview has to be one of bytes. A ChecksumError that ends ``pieces`` is raised after the
    last chunk, as there. Holds one piece and less than a chunk.
    """
    held: list[bytes | memoryview | bytearray] = []
    size = 0
    failure: ChecksumError | None = None
    try:
        for piece in pieces:
            start = 0
            while size + len(piece) - start >= CHUNK:
                stop = start + CHUNK - size
                yield b"".join([*held, piece[start:stop]])  # of one whole piece it is no copy
                held.clear()
                size, start = 0, stop
            if start < len(piece):
                _hold(held, bytes(piece[start:]) if start else piece)
                size += len(piece) - start
    except ChecksumError as error:
        failure = error
    if held:
        yield b"".join(held)
    if failure is not None:
        raise failure


def _hold(held: list[bytes | memoryview | bytearray], piece: bytes | memoryview) -> None:
    """Add a piece to those that wait; many small ones become one."""
    if len(piece) >= _SMALL:
        held.append(piece)
    elif held and isinstance(held[-1], bytearray):
        held[-1] += piece
    else:
        held.append(bytearray(piece))


def same_bytes(first: LazyTensor, second: LazyTensor) -> bool:
    """Whether two tensors have the same dtype and bytes; reads no further than it has to."""
    if first.dtype != second.dtype or first.nbytes != second.nbytes:
        return False
    return all(a == b for a, b in zip_longest(first.chunks(), second.chunks()))
