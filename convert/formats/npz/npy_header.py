r"""The header of a .npy file, such as each member of a NumPy archive is.

The format (numpy/lib/_format_impl.py): ``\x93NUMPY``, major and minor version, the header's length
(2 bytes in version 1, 4 in 2 and 3), the header, which is a Python literal with ``descr``,
``fortran_order`` and ``shape``, then the elements. The header is Latin-1, and UTF-8 in version 3,
which NumPy writes where the fields of a structure need it.

NumPy hands the header to Python's own parser, which is slow for tens of thousands of them. What
NumPy writes is one of a few dtypes and a tuple of numbers in a fixed text, and is read as that; it
parses whatever else there is.
"""

from __future__ import annotations

import io
import re
import tokenize
import warnings
import zlib
from typing import TYPE_CHECKING

from ...errors import FormatError, UnsupportedError

if TYPE_CHECKING:
    from typing import Any, Final, Protocol

    import numpy as np

    from ...io.source import SourceFile
    from ..limits import Listing

    class Readable(Protocol):
        """What a header is read from."""

        def read(self, size: int, /) -> bytes:
            """Return ``size`` bytes, or what is left."""


_MAX_HEADER: Final = 10_000
"""Bytes of a header: NumPy's own limit for data that is not trusted."""
_LENGTH_BYTES: Final = {(1, 0): 2, (2, 0): 4, (3, 0): 4}
"""Bytes of the header's length, by version."""
_PIECE: Final = 512
"""Bytes of a member that are read at a time for its header, of 128 as a rule."""
_UNPARSEABLE: Final = (
    ValueError, TypeError, IndexError, SyntaxError, tokenize.TokenError, MemoryError,
    RecursionError,
)  # fmt: skip
"""What NumPy raises for damaged headers: it hands them to Python's own parser."""


_PLAIN: Final = re.compile(
    rb"\{'descr': ?'([<>|][a-z][0-9]{1,2})', ?'fortran_order': ?(False|True), ?"
    rb"'shape': ?\(((?:(?:0|[1-9][0-9]{0,18}), ?)*)(0|[1-9][0-9]{0,18})?\),? ?\} *\n?"
)
"""A header as NumPy writes it, and others that copy it. The number in the last group is the only
one of a tuple if there is a comma before it."""
_MAX_ODD: Final = 1_000
"""Headers of an archive that are something else; those of Python 2 have an L behind each number."""


class Stored:
    """The start of a stored member."""

    __slots__ = ("_buffer", "_file", "_left", "_offset", "_place")

    def __init__(self, file: SourceFile, offset: int, size: int, place: str) -> None:
        self._file = file
        self._offset = offset
        self._left = max(0, min(size, file.size - offset))
        self._place = place
        self._buffer = b""

    def read(self, size: int) -> bytes:
        """Return ``size`` bytes, or what is left."""
        while len(self._buffer) < size and (piece := self.read_piece()):
            self._buffer += piece
        data, self._buffer = self._buffer[:size], self._buffer[size:]
        return data

    def read_piece(self) -> bytes:
        """Return some bytes that were not read yet; none where none are left."""
        size = min(_PIECE, self._left)
        piece = self._file.read(self._offset, size, self._place) if size else b""
        self._offset += size
        self._left -= size
        return piece


class Inflated:
    """The start of a deflated member, inflated no further than it is asked for.

    zipfile inflates 4 KiB at least, and so stumbles over damaged elements behind the header.
    """

    __slots__ = ("_inflater", "_stored")

    def __init__(self, stored: Stored) -> None:
        self._stored = stored
        self._inflater = zlib.decompressobj(-zlib.MAX_WBITS)

    def read(self, size: int) -> bytes:
        """Return ``size`` bytes, or what is left; raises ``zlib.error`` for damaged ones."""
        data = b""
        while len(data) < size and not self._inflater.eof:
            stored = self._inflater.unconsumed_tail or self._stored.read_piece()
            piece = self._inflater.decompress(stored, size - len(data))
            if not stored and not piece:
                break
            data += piece
        return data


class Headers:
    """Reads the headers of an archive, and counts their bytes with ``listing``."""

    __slots__ = ("_dtypes", "_listing", "_odd")

    def __init__(self, listing: Listing) -> None:
        self._listing = listing
        self._dtypes: dict[bytes, np.dtype[Any]] = {}
        self._odd = 0

    def read(
        self, stream: Readable, place: str
    ) -> tuple[tuple[int, ...], bool, np.dtype[Any], bytes]:
        """Return shape, Fortran order, dtype, and all bytes in front of the elements.

        None of them is checked. Beside these, :class:`Inflated` and NumPy raise ``zlib.error`` and
        ValueError for the bytes in front of the header.

        Raises:
            FormatError: the header is longer than makes sense, or cannot be parsed.
            UnsupportedError: its version is of the future, or there are too many headers.
        """
        import numpy as np

        magic = stream.read(np.lib.format.MAGIC_LEN)
        version = np.lib.format.read_magic(io.BytesIO(magic))
        if version not in _LENGTH_BYTES:
            raise UnsupportedError(f"{place}: .npy version {version}, not 1.0, 2.0 or 3.0")
        size = stream.read(_LENGTH_BYTES[version])
        length = int.from_bytes(size, "little")
        if length > _MAX_HEADER:
            raise FormatError(
                f"{place}: a .npy header of {length:,} bytes, where at most {_MAX_HEADER:,} make "
                "sense"
            )
        self._listing.add_header(length)
        header = stream.read(length)
        parsed = self._parse_plain(header) if len(header) == length else None
        if parsed is None:
            parsed = self._parse_odd(size + header, version, place)
        return *parsed, magic + size + header

    def _parse_plain(self, header: bytes) -> tuple[tuple[int, ...], bool, np.dtype[Any]] | None:
        """Parse a header as NumPy writes it; None for any other."""
        plain = _PLAIN.fullmatch(header)
        if plain is None:
            return None
        descr, fortran, front, last = plain.groups()
        if not front and last:
            return None  # a number in brackets, which is no tuple
        dtype = self._dtypes.get(descr)
        if dtype is None:
            import numpy as np

            try:
                dtype = self._dtypes[descr] = np.dtype(descr.decode())
            except TypeError:
                return None
        numbers = [*front.split(b",")[:-1], *([last] if last else [])]
        return tuple(map(int, numbers)), fortran == b"True", dtype

    def _parse_odd(
        self, sized: bytes, version: tuple[int, int], place: str
    ) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
        """Let NumPy parse a header, ``sized`` with its length in front."""
        import numpy as np

        self._odd += 1
        if self._odd > _MAX_ODD:
            raise UnsupportedError(
                f"{place}: more than {_MAX_ODD:,} headers of the archive are none that NumPy "
                "writes; save it again with NumPy"
            )
        parse = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
            # NumPy has no public name for it. Read as Latin-1, names of fields are other names.
            (3, 0): np.lib.format.read_array_header_2_0,
        }[version]
        try:
            if version == (3, 0):
                sized[_LENGTH_BYTES[version] :].decode("utf-8")
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of Python 2's longs, which are read all the same
                return parse(io.BytesIO(sized), max_header_size=_MAX_HEADER)
        except _UNPARSEABLE:
            found = sized[_LENGTH_BYTES[version] :][:80]
            raise FormatError(f"{place}: a broken .npy header: {found!r}") from None
