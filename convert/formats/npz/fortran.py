"""Arrays in Fortran order, given out in C order within bounded memory.

Such an array lies as the C-order array of its axes in reverse would. A band is as many steps of the
first axis as fit into BAND bytes; it takes a strip of each column, which is a run of bytes as long
as the first axis. An array that is one band is read once, from its start to its end. Of others,
the strips of a stored member are read where they are, so that every byte is read once again, after
a pass for the checksum. All of a deflated member has to be inflated anew for each band, and of a
stored one read if its columns are short: a GPT-2 has few weights that take several bands.

Limits: a step of the first axis of more than BAND bytes is refused, of some million columns, that
is, or of the first of three and more axes; so is what takes more than MAX_PASSES.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ...errors import ChecksumError, FormatError, UnsupportedError
from ...io.source import CHUNK
from ...tensors.runs import trim

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, Final

    import numpy.typing as npt

    Strips = Callable[[int, int], "npt.NDArray[Any]"]

BAND: Final = 16 << 20
"""Bytes of the array that are put together at a time."""


MAX_PASSES: Final = 64
"""Times that all of an array may be read: a deflated one of a GiB, and the largest weights of a
GPT-2 have a third of one."""
_FEW_COLUMNS: Final = 1 << 16
"""Strips that may be sought for a single row; the largest GPT-2 has a tenth of that."""
_COLUMN: Final = 2048
"""Bytes of a column from which on a strip of it is sought rather than read past."""


def is_in_c_order(shape: tuple[int, ...]) -> bool:
    """Whether Fortran order is C order, too: where one axis at most has several steps, or none."""
    return 0 in shape or sum(dim > 1 for dim in shape) < 2


def has_few_columns(shape: tuple[int, ...]) -> bool:
    """Whether single rows are worth to be read alone, by :func:`read_strips`."""
    return math.prod(_squeeze(shape)[1:]) <= _FEW_COLUMNS


def check_shape(shape: tuple[int, ...], itemsize: int, place: str, *, deflated: bool) -> None:
    """Refuse an array that cannot be read within BAND bytes, or in MAX_PASSES.

    Raises:
        UnsupportedError: a step of its first axis is longer, or they are too many.
    """
    rows, *rest = _squeeze(shape)
    row = math.prod(rest) * itemsize
    if row > BAND:
        raise UnsupportedError(
            f"{place}: Fortran order, and a step of its first axis takes {row:,} bytes, where at "
            f"most {BAND:,} are put in order; save it again in C order"
        )
    bands = -(-rows // (BAND // row))
    if bands > MAX_PASSES and (deflated or not _is_sought(rows, itemsize)):
        raise UnsupportedError(
            f"{place}: Fortran order, and its {rows * row:,} bytes would be read {bands:,} times, "
            f"where at most {MAX_PASSES} make sense; save it again in C order"
        )


def _is_sought(rows: int, itemsize: int) -> bool:
    return rows * itemsize >= _COLUMN


def read_in_c_order(
    read: Callable[[], Iterator[bytes]],
    shape: tuple[int, ...],
    itemsize: int,
    read_at: Callable[[int, int], bytes] | None,
) -> Iterator[bytes]:
    """Yield the elements in C order, in pieces of CHUNK bytes.

    ``read`` starts a pass over the stored bytes, in pieces of CHUNK, that ends with a ChecksumError
    if they are damaged: that is raised after the last piece. ``read_at`` returns so many of them at
    an offset, if any can be had without those before.

    Raises:
        FormatError, UnreadableError: they cannot be read.
    """
    rows, *rest = _squeeze(shape)
    columns = math.prod(rest)
    step = min(rows, max(1, BAND // (columns * itemsize)))
    failure: ChecksumError | None = None
    held = b""
    for start in range(0, rows, step):
        stop = min(start + step, rows)
        if read_at is not None and step < rows and _is_sought(rows, itemsize):
            if not start:
                failure = _check(read)
            strips = _read_strips(read_at, start, stop, rows, columns, itemsize)
        else:
            strips, fault = _gather_strips(read(), start, stop, rows, columns, itemsize)
            failure = failure or fault
        # The other axes stand in reverse, and the first at the end.
        band = strips.reshape(*reversed(rest), stop - start).T
        for at in range(0, len(band), max(1, CHUNK // (columns * itemsize))):
            held += band[at : at + max(1, CHUNK // (columns * itemsize))].tobytes()
            whole = len(held) // CHUNK * CHUNK
            for first in range(0, whole, CHUNK):
                yield held[first : first + CHUNK]
            held = held[whole:]
        del band, strips  # before there are the next
    if held:
        yield held
    if failure is not None:
        raise failure


def read_strips(
    shape: tuple[int, ...],
    itemsize: int,
    read_at: Callable[[int, int], bytes],
    offset: int,
    size: int,
) -> Iterator[bytes]:
    """Yield ``size`` bytes of the elements in C order, from ``offset`` on, read where they are.

    No more is read than the steps of the first axis that they lie in, a strip of each column.

    Raises:
        FormatError, UnreadableError: they cannot be read.
    """
    rows, *rest = _squeeze(shape)
    columns = math.prod(rest)
    row = columns * itemsize
    first, last = offset // row, -(-(offset + size) // row)

    def read() -> Iterator[bytes]:
        for start in range(first, last, max(1, BAND // row)):
            stop = min(start + max(1, BAND // row), last)
            strips = _read_strips(read_at, start, stop, rows, columns, itemsize)
            yield strips.reshape(*reversed(rest), stop - start).T.tobytes()

    return trim(read(), offset - first * row, size)


def _squeeze(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(dim for dim in shape if dim > 1) or (1,)


def _kind(itemsize: int) -> str:
    """Return a type of so many bytes; which numbers they are does not matter."""
    return "c16" if itemsize == 16 else f"u{itemsize}"


def _check(read: Callable[[], Iterator[bytes]]) -> ChecksumError | None:
    """Read all of it, for the checksum."""
    try:
        for _ in read():
            pass
    except ChecksumError as error:
        return error
    return None


def _read_strips(
    read_at: Callable[[int, int], bytes],
    start: int,
    stop: int,
    rows: int,
    columns: int,
    itemsize: int,
) -> npt.NDArray[Any]:
    """Return the elements ``start`` to ``stop`` of each column, read where they are."""
    import numpy as np

    strips = np.empty((columns, stop - start), _kind(itemsize))
    for column in range(columns):
        data = read_at((column * rows + start) * itemsize, (stop - start) * itemsize)
        strips[column] = np.frombuffer(data, strips.dtype)
    return strips


def _gather_strips(
    chunks: Iterator[bytes], start: int, stop: int, rows: int, columns: int, itemsize: int
) -> tuple[npt.NDArray[Any], ChecksumError | None]:
    """Return the same out of a pass over all of it, and what is wrong with the checksum."""
    import numpy as np

    strips = np.empty((columns, stop - start), _kind(itemsize))
    position = 0
    failure: ChecksumError | None = None
    try:
        for chunk in chunks:
            elements = np.frombuffer(chunk, strips.dtype)
            while elements.size:
                column, row = divmod(position, rows)
                whole = elements.size // rows
                if row == 0 and whole:
                    taken = whole * rows
                    strips[column : column + whole] = elements[:taken].reshape(whole, rows)[
                        :, start:stop
                    ]
                else:
                    taken = min(rows - row, elements.size)
                    first, last = max(start, row), min(stop, row + taken)
                    if first < last:
                        strips[column, first - start : last - start] = elements[
                            first - row : last - row
                        ]
                position += taken
                elements = elements[taken:]
    except ChecksumError as error:
        failure = error
    if position != rows * columns:
        raise FormatError(f"{position:,} elements where {rows * columns:,} were announced")
    return strips, failure
