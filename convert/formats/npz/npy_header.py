r"""The header of a .npy file, such as each member of a NumPy archive is.

The format (numpy/lib/_format_impl.py): ``\x93NUMPY``, major and minor version, the header's length
(2 bytes in version 1, 4 in 2 and 3), the header, which is a Python literal with ``descr``,
``fortran_order`` and ``shape``, then the elements.
"""

from __future__ import annotations

import io
import tokenize
import warnings
import zlib
from typing import TYPE_CHECKING

from ...errors import FormatError, UnsupportedError

if TYPE_CHECKING:
    from typing import IO, Any, Final, Protocol

    import numpy as np

    class Readable(Protocol):
        """What a header is read from."""

        def read(self, size: int, /) -> bytes:
            """Return ``size`` bytes, or what is left."""


_MAX_HEADER: Final = 10_000
"""Bytes of a header: NumPy's own limit for data that is not trusted."""
_PIECE: Final = 512
"""Bytes of a deflated member that are read at a time to inflate its header, of 128 as a rule."""
_UNPARSEABLE: Final = (
    ValueError, TypeError, IndexError, SyntaxError, tokenize.TokenError, MemoryError,
    RecursionError,
)  # fmt: skip
"""What NumPy raises for damaged headers: it hands them to Python's own parser."""


class Inflated:
    """The start of a deflated member, inflated no further than it is asked for.

    zipfile inflates 4 KiB at least, and so stumbles over damaged elements behind the header.
    """

    __slots__ = ("_inflater", "_stored")

    def __init__(self, stored: IO[bytes]) -> None:
        self._stored = stored
        self._inflater = zlib.decompressobj(-zlib.MAX_WBITS)

    def read(self, size: int) -> bytes:
        """Return ``size`` bytes, or what is left; raises ``zlib.error`` for damaged ones."""
        data = b""
        while len(data) < size and not self._inflater.eof:
            stored = self._inflater.unconsumed_tail or self._stored.read(_PIECE)
            piece = self._inflater.decompress(stored, size - len(data))
            if not stored and not piece:
                break
            data += piece
        return data


def read_header(stream: Readable, place: str) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    """Return shape, Fortran order, dtype, and where in the member the elements start.

    None of them is checked. Beside these, :class:`Inflated` and NumPy raise ``zlib.error`` and
    ValueError for the bytes in front of the header.

    Raises:
        FormatError: the header is longer than makes sense, or cannot be parsed.
        UnsupportedError: its version is of the future.
    """
    import numpy as np

    magic = stream.read(np.lib.format.MAGIC_LEN)
    version = np.lib.format.read_magic(io.BytesIO(magic))
    parse, size_bytes = {
        (1, 0): (np.lib.format.read_array_header_1_0, 2),
        (2, 0): (np.lib.format.read_array_header_2_0, 4),
    }.get(version, (None, 0))
    if parse is None:
        raise UnsupportedError(f"{place}: .npy version {version}, not 1.0 or 2.0")
    size = stream.read(size_bytes)
    length = int.from_bytes(size, "little")
    if length > _MAX_HEADER:
        raise FormatError(
            f"{place}: a .npy header of {length:,} bytes, where at most {_MAX_HEADER:,} make sense"
        )
    header = stream.read(length)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Python 2's longs, which are read all the same
            shape, fortran, dtype = parse(io.BytesIO(size + header), max_header_size=_MAX_HEADER)
    except _UNPARSEABLE:
        raise FormatError(f"{place}: a broken .npy header: {header[:80]!r}") from None
    return shape, fortran, dtype, len(magic) + len(size) + len(header)
