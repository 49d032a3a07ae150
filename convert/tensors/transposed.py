"""Matrices that are read transposed, a band at a time.

A band is some rows of the result, which are columns of what is stored, and takes a pass over all of
that: a source is read forwards only, since it may be inflated and checked on the way. A matrix of
BAND bytes or less takes one pass, the largest of a GPT-2 (41 MB) ten. Memory is that of a band and
some chunks, whatever the size.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from ..errors import ChecksumError, FormatError, UnsupportedError
from ..io.source import CHUNK
from ..quoting import quote
from .runs import Seekable, trim
from .tensor import rechunk

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, Final

    import numpy as np
    import numpy.typing as npt

    from .tensor import LazyTensor

    Array = npt.NDArray[Any]

BAND: Final = 4 << 20
"""Bytes of a band."""
MAX_MATRIX: Final = 256 << 20
"""Bytes of a matrix: six times the largest of a GPT-2. Time grows with the square of it."""


def transpose(tensor: LazyTensor, band: int = BAND) -> LazyTensor:
    """Return a matrix with its axes exchanged; nothing is read before somebody asks for chunks.

    Raises:
        UnsupportedError: it is larger than MAX_MATRIX.
    """
    rows, columns = tensor.shape
    if tensor.nbytes > MAX_MATRIX:
        raise UnsupportedError(
            f"{quote(tensor.source_name)}: {tensor.nbytes:,} bytes, where matrices of up to "
            f"{MAX_MATRIX:,} are read transposed; transpose it in the file"
        )
    # A single row, and a single column, has the same bytes either way.
    if min(rows, columns) <= 1:
        return replace(tensor, shape=(columns, rows))
    read = Seekable(partial(_read, tensor, band), partial(_read_run, tensor, band), direct=False)
    return replace(tensor, shape=(columns, rows), read=read)


def _read(tensor: LazyTensor, band: int) -> Iterator[bytes]:
    return rechunk(_read_bands(tensor, band))


def _read_run(tensor: LazyTensor, band: int, offset: int, size: int) -> Iterator[bytes]:
    """Yield ``size`` bytes of the transpose from ``offset`` on: the columns that they lie in."""
    column = tensor.nbytes // tensor.shape[1]
    first, last = offset // column, -(-(offset + size) // column)
    return trim(_read_bands(tensor, band, first, last), offset - first * column, size)


def _read_bands(
    tensor: LazyTensor, band: int, first: int = 0, last: int | None = None
) -> Iterator[bytes]:
    """Yield the bytes of the transpose in pieces of CHUNK bytes at most.

    These are of the columns ``first`` to ``last``, or to the end. A ChecksumError is raised after
    the last of them, as :meth:`.LazyTensor.chunks` promises.
    """
    columns = (tensor.shape[1] if last is None else last) - first
    most = band // (tensor.nbytes // tensor.shape[1])
    # Bands of much the same width: the last pass would cost as much for a single column.
    count = -(-columns // most) if most else columns
    failure: ChecksumError | None = None
    for number in range(count):
        start, stop = (first + columns * n // count for n in (number, number + 1))
        try:
            yield from _read_columns(tensor, start, stop) if most else _read_one(tensor, start)
        except ChecksumError as error:
            failure = error
    if failure is not None:
        raise failure


def _read_columns(tensor: LazyTensor, start: int, stop: int) -> Iterator[bytes]:
    """Yield the columns of a matrix from ``start`` on, one after the other."""
    import numpy as np

    rows, columns = tensor.shape
    band = np.zeros((stop - start, rows), _dtype(tensor))
    failure: ChecksumError | None = None
    try:
        for position, elements in _read_elements(tensor):
            _place(elements, position, columns, band, start)
    except ChecksumError as error:
        failure = error
    flat = band.reshape(-1).view(np.uint8)
    for at in range(0, flat.size, CHUNK):
        yield flat[at : at + CHUNK].tobytes()
    if failure is not None:
        raise failure


def _read_one(tensor: LazyTensor, column: int) -> Iterator[bytes]:
    """Yield a single column, which may be larger than a band: it comes in order."""
    columns = tensor.shape[1]
    for position, elements in _read_elements(tensor):
        yield elements[(column - position) % columns :: columns].tobytes()


def _place(elements: Array, position: int, columns: int, band: Array, start: int) -> None:
    """Put elements that stand at ``position`` in C order into the band of columns from ``start``.

    They begin and end anywhere in a row; ``columns`` is its length.
    """
    stop = start + len(band)

    def place_part(row: int, first: int, part: Array) -> None:
        """Put a part of one row, from the column ``first`` on."""
        low, high = max(start, first), min(stop, first + part.size)
        if low < high:
            band[low - start : high - start, row] = part[low - first : high - first]

    row, column = divmod(position, columns)
    if column:
        head = elements[: columns - column]
        place_part(row, column, head)
        elements, row = elements[head.size :], row + 1
    whole = elements.size // columns
    rows = elements[: whole * columns].reshape(whole, columns)
    band[:, row : row + whole] = rows[:, start:stop].T
    place_part(row + whole, 0, elements[whole * columns :])


def _read_elements(tensor: LazyTensor) -> Iterator[tuple[int, Array]]:
    """Yield the elements in C order, with the number of the first in each piece.

    Raises:
        FormatError: there are not as many as were announced.
    """
    import numpy as np

    dtype, position = _dtype(tensor), 0
    for chunk in tensor.chunks():
        elements = np.frombuffer(chunk, dtype)
        first, position = position, position + elements.size
        if position > tensor.size:
            break
        yield first, elements
    if position != tensor.size:
        raise FormatError(
            f"{quote(tensor.source_name)}: other than the {tensor.nbytes:,} bytes that were "
            "announced"
        )


def _dtype(tensor: LazyTensor) -> np.dtype[Any]:
    """Return a NumPy dtype of elements as large as the tensor's, which moves them as they are."""
    import numpy as np

    size = tensor.dtype.itemsize or 1
    return np.dtype(f"V{size}" if size > 8 else f"u{size}")
