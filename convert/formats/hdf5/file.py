"""An HDF5 file as this reader opens it: by a checked descriptor, and with typed errors.

The library never opens a path. It reads through h5py's driver for Python files, whose callbacks
land in :class:`~gpt2_convert.io.source.SourceFile`, and an error raised there comes out of the
library as it is. Its own POSIX driver fills up with zeros where a file ends too early; ours raises.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ...errors import ChecksumError, FormatError, Gpt2ConvertError, UsageError
from ...quoting import clip, quote
from .library import load_h5py, locked

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, Final

    from ...io.source import SourceFile

_BROKEN: Final = (
    OSError, RuntimeError, ValueError, LookupError, TypeError, ArithmeticError, MemoryError,
)  # fmt: skip
"""What h5py makes of the library's errors."""
_FILTER_FAILED: Final = "filter returned failure"
"""In the words of the library. That every chunk can be inflated was seen before it is asked."""


@contextmanager
def translate_errors(place: str) -> Iterator[None]:
    """Hold h5py's lock; turn what it raises into a FormatError or ChecksumError at ``place``."""
    try:
        with locked():
            yield
    except Gpt2ConvertError:
        raise
    except _BROKEN as error:
        reason = " ".join(str(arg) for arg in error.args) or type(error).__name__
        if _FILTER_FAILED in reason:
            raise ChecksumError(f"{place}: a chunk does not match its Fletcher-32 sum") from None
        raise FormatError(f"{place}: {clip(' '.join(reason.split()))}") from None


class HDF5File:
    """An HDF5 file, open for reading until :meth:`close` or until nobody refers to it."""

    __slots__ = ("_file", "source")

    def __init__(self, source: SourceFile) -> None:
        """Take over ``source`` and open it; it is closed if that fails.

        Raises:
            FormatError, UnreadableError: the library or the operating system cannot.
        """
        h5py = load_h5py()
        self.source = source
        try:
            with translate_errors(str(source.path)):
                self._file = h5py.File(_Stream(source), "r")
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

    __slots__ = ("_position", "_source")

    def __init__(self, source: SourceFile) -> None:
        self._source = source
        self._position = 0

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._position = offset + (self._source.size if whence == os.SEEK_END else 0)
        return self._position

    def tell(self) -> int:
        return self._position

    def read(self, size: int) -> bytes:
        return self._source.read(self._position, size, "the HDF5 library")

    def readinto(self, buffer: memoryview) -> int:
        self._source.read_into(buffer, self._position, "the HDF5 library")
        return len(buffer)
