"""An HDF5 file as the library gets to see it: by a checked descriptor, and with typed errors.

The library never opens a path. It reads through h5py's driver for Python files, whose callbacks
land in :class:`~gpt2_convert.io.source.SourceFile`, and an error raised there comes out of the
library as it is. Its own POSIX driver fills up with zeros where a file ends too early; ours raises.

What stands before the signature, a user block, is not shown to it: releases of the library differ
in whether the places that they tell count from the one or the other.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ...errors import FormatError, Gpt2ConvertError, UsageError
from ...quoting import clip, quote
from .library import load_h5py, locked

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, Final

    from ...io.source import SourceFile

MAX_READ: Final = 32 << 20
"""Bytes that the library may want at once; what it cannot do without, a list of links, has 16 MiB
of names at most."""
_BROKEN: Final = (
    OSError, RuntimeError, ValueError, LookupError, TypeError, ArithmeticError, SystemError,
)  # fmt: skip
"""What h5py makes of the library's errors."""
_OUT_OF_MEMORY: Final = ("memory allocation failed", "unable to allocate", "H5MM_")
"""In the words of the library, which has no other way to say so."""


@contextmanager
def translate_errors(place: str) -> Iterator[None]:
    """Hold h5py's lock; turn what it raises into a FormatError at ``place``.

    Raises:
        MemoryError: the library has too little.
    """
    try:
        with locked():
            yield
    except Gpt2ConvertError:
        raise
    except _BROKEN as error:
        reason = " ".join(str(arg) for arg in error.args) or type(error).__name__
        if any(words in reason for words in _OUT_OF_MEMORY):
            raise MemoryError(reason) from None
        raise FormatError(f"{place}: {clip(' '.join(reason.split()))}") from None


class HDF5File:
    """An HDF5 file, open for reading until :meth:`close` or until nobody refers to it."""

    __slots__ = ("_file", "base", "size", "source")

    def __init__(self, source: SourceFile, base: int) -> None:
        """Take over ``source``, in which the signature is at ``base``; it is closed if that fails.

        Raises:
            FormatError, UnreadableError: the library or the operating system cannot.
        """
        h5py = load_h5py()
        self.source = source
        self.base = base
        self.size = source.size - base
        try:
            with translate_errors(str(source.path)):
                self._file = h5py.File(_Stream(source, base), "r")
        except BaseException:
            source.close()
            raise

    def root(self) -> Any:  # noqa: ANN401
        """Return the root group's low-level identifier.

        Raises:
            UsageError: the file was closed.
        """
        from h5py import h5g

        self.check_open()
        with translate_errors(self.place(b"/")):
            return h5g.open(self._file.id, b"/")

    def check_open(self) -> None:
        """Raise UsageError if the file was closed."""
        if not self._file.id.valid:
            raise UsageError(f"{self.source.path}: read after the checkpoint was closed")

    def place(self, path: bytes) -> str:
        """Return the file and ``path`` in it, for messages."""
        return f"{self.source.path}: {quote(path.decode('utf-8', 'backslashreplace'))}"

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        self._file.close()
        self.source.close()


class _Stream:
    """The methods of a Python file that h5py's driver calls."""

    __slots__ = ("_base", "_position", "_source")

    def __init__(self, source: SourceFile, base: int) -> None:
        self._source = source
        self._base = base
        self._position = 0

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        end = self._source.size - self._base
        self._position = offset + (end if whence == os.SEEK_END else 0)
        return self._position

    def tell(self) -> int:
        return self._position

    def read(self, size: int) -> bytes:
        buffer = bytearray(size)
        self.readinto(memoryview(buffer))
        return bytes(buffer)

    def readinto(self, buffer: memoryview) -> int:
        # The memory is the library's, and this is the first that is seen of it.
        if len(buffer) > MAX_READ:
            raise FormatError(
                f"{self._source.path}: the HDF5 library wants {len(buffer):,} bytes at once, and "
                f"no part of a sound file takes more than {MAX_READ:,}"
            )
        self._source.read_into(buffer, self._base + self._position, "the HDF5 library")
        return len(buffer)
