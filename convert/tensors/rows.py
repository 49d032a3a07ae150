"""Rows of a tensor: the steps of its first axis, by NumPy's rules, and the bytes that they are."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING

from .runs import Seekable, read_run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any, Final

    import numpy.typing as npt

    Read = Callable[[], Iterator[bytes]]
    Bytes = npt.NDArray[Any]

_FEW: Final = 4096
"""Rows that are each read alone, however little lies between them; and the bytes between them from
which on any number is."""


def find_rows(key: object, shape: tuple[int, ...], name: str) -> range:
    """Return the rows that an index or a slice means; ``name`` is the tensor's, in quotes.

    Raises:
        TypeError: it is neither a whole number nor a slice of such.
        IndexError: there is no such row, or the tensor has no rows.
    """
    if isinstance(key, slice):
        _check_rows(shape, name)
        return range(*key.indices(shape[0]))
    try:
        if isinstance(key, bool):  # which NumPy takes for a mask
            raise TypeError
        index = operator.index(key)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(
            f"{name}: a row's number or a slice of rows expected, found {type(key).__name__}; "
            "array() gives an array that takes any index"
        ) from None
    _check_rows(shape, name)
    if not -shape[0] <= index < shape[0]:
        raise IndexError(f"{name}: no row {index}: it has {shape[0]:,}")
    return range(index % shape[0], index % shape[0] + 1)


def _check_rows(shape: tuple[int, ...], name: str) -> None:
    if not shape:
        raise IndexError(f"{name}: a scalar has no rows")


def read_rows(read: Read, rows: range, width: int) -> Bytes:
    """Return the bytes of these rows, ``width`` each, one after the other; ``read`` is a tensor's.

    They are fewer where the tensor ends before.
    """
    import numpy as np

    found = np.empty((len(rows), width), np.uint8)
    flat, filled = found.reshape(-1), 0
    if not flat.size:
        return flat
    for piece in _read_ascending(read, rows if rows.step > 0 else rows[::-1], width):
        flat[filled : filled + len(piece)] = np.frombuffer(piece, np.uint8)
        filled += len(piece)
    if filled < flat.size:
        return flat[:filled]
    return flat if rows.step > 0 else found[::-1].reshape(-1)


def _read_ascending(read: Read, rows: range, width: int) -> Iterator[bytes]:
    step, span = rows.step, (rows[-1] + 1 - rows[0]) * width
    alone = len(rows) <= _FEW or (step - 1) * width >= _FEW
    if step > 1 and alone and isinstance(read, Seekable) and read.direct:
        for row in rows:
            yield from read.at(row * width, width)
    else:
        pieces = read_run(read, rows[0] * width, span)
        yield from pieces if step == 1 else _pick(pieces, step * width, width)


def _pick(pieces: Iterable[bytes], stride: int, width: int) -> Iterator[bytes]:
    """Yield the first ``width`` bytes of every ``stride`` of a stream."""
    import numpy as np

    position = 0
    for piece in pieces:
        places = np.arange(position, position + len(piece)) % stride
        yield np.frombuffer(piece, np.uint8)[places < width].tobytes()
        position += len(piece)
