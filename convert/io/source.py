"""Regular files, read at offsets.

Sources are read with pread and never mapped: a file that is truncated while it is mapped kills
the process with SIGBUS. They are opened with O_NONBLOCK and must be regular files: a named pipe
would block for ever and /dev/zero would never end.
"""

from __future__ import annotations

import os
import re
import stat
import weakref
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import FormatError, SourceNotFoundError, UnreadableError, UsageError
from ..quoting import os_reason
from .os_errors import os_errors_as

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Final

    import numpy as np
    import numpy.typing as npt

CHUNK = 1 << 20
"""Bytes in a chunk: large enough that a call a chunk costs nothing, small enough for the cache."""
_MANY: Final = 1 << 16
"""Open files: enough for two times any number of shards that was ever written."""


_ADDRESS: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
"""The scheme of a URL, of the web, a cloud's storage (gs, s3, hdfs) or a hub (hf)."""

_WRITTEN: Final = ("target", "folder", "report")
"""What names a path at which something is made."""


class SourceFile:
    """A regular file, open for reading until :meth:`close` or until nobody refers to it."""

    __slots__ = ("__weakref__", "_close", "fd", "path", "size")

    def __init__(self, path: Path) -> None:
        """Open ``path``.

        Raises:
            SourceNotFoundError: nothing is there.
            UnreadableError: it is no regular file, or may not be read.
        """
        with os_errors_as(UnreadableError, path):
            try:
                fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            except FileNotFoundError:
                what = "a link that leads nowhere" if os.path.islink(path) else "no such file"
                raise SourceNotFoundError(f"{path}: {what}") from None
            except ValueError as error:
                raise UsageError(f"{path}: {error}") from None
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            os.close(fd)
            raise UnreadableError(f"{path}: not a regular file")
        self.path = path
        self.fd = fd
        self.size = status.st_size
        self._close = weakref.finalize(self, os.close, fd)

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        self._close()

    def read(self, offset: int, size: int, what: str) -> bytes:
        """Return exactly ``size`` bytes from ``offset``; ``what`` names them in the error.

        Raises:
            FormatError: the file ends before that.
            UnreadableError: the disk or the network fails.
        """
        self._check(offset, size, what)
        pieces: list[bytes] = []
        while size:
            try:  # and no context: an archive has two reads for each of 16,000 members
                piece = os.pread(self.fd, size, offset)
            except OSError as error:
                raise UnreadableError(f"{self.path}: {os_reason(error)}") from None
            if not piece:
                raise FormatError(f"{self.path}: became shorter while {what} was being read")
            pieces.append(piece)
            offset += len(piece)
            size -= len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def read_into(self, buffer: memoryview, offset: int, what: str) -> None:
        """Fill ``buffer`` with the bytes from ``offset``; errors as in `read`."""
        self._check(offset, len(buffer), what)
        while buffer:
            with os_errors_as(UnreadableError, self.path):
                size = os.preadv(self.fd, [buffer], offset)
            if not size:
                raise FormatError(f"{self.path}: became shorter while {what} was being read")
            buffer = buffer[size:]
            offset += size

    def _check(self, offset: int, size: int, what: str) -> None:
        if offset + size > self.size:
            raise FormatError(
                f"{self.path}: truncated: {what} needs bytes {offset:,} to {offset + size:,}, "
                f"but the file has {self.size:,}"
            )
        if not self._close.alive:
            raise UsageError(f"{self.path}: read after the checkpoint was closed")

    def chunks(self, offset: int, size: int, what: str) -> Iterator[bytes]:
        """Yield ``size`` bytes from ``offset`` in pieces of CHUNK bytes; errors as in `read`."""
        for start in range(0, size, CHUNK):
            yield self.read(offset + start, min(CHUNK, size - start), what)

    def fill(
        self, array: npt.NDArray[np.uint8], offset: int, what: str
    ) -> Iterator[npt.NDArray[np.uint8]]:
        """Fill ``array`` with the bytes from ``offset`` on, and yield each CHUNK of it once filled.

        Errors are as in `read`.
        """
        for start in range(0, array.size, CHUNK):
            piece = array[start : start + CHUNK]
            self.read_into(piece.data, offset + start, what)
            yield piece


def allow_many_files() -> None:
    """Let this process open as many files as the system allows it to.

    A conversion has each shard of its source open twice, and the usual limit is 1,024 files.
    """
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MANY if hard == resource.RLIM_INFINITY else min(hard, _MANY)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(ValueError, OSError):  # then it stays as it is
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def read_small(path: Path, limit: int) -> bytes:
    """Return all of a small file, such as hparams.json.

    Raises:
        SourceNotFoundError, UnreadableError: it cannot be read.
        FormatError: it is larger than ``limit`` bytes, and so cannot be what it should be.
    """
    file = SourceFile(path)
    try:
        if file.size > limit:
            raise FormatError(f"{path}: {file.size:,} bytes, where at most {limit:,} make sense")
        return file.read(0, file.size, "the file")
    finally:
        file.close()


def check_path(given: str | os.PathLike[str], what: str = "source") -> Path:
    """Return the path, checked for what no file name can be; ``what`` is said in the error.

    Raises:
        UsageError: it is empty, holds a zero byte, or is an address of the network.
    """
    text = os.fspath(given)
    if not text:
        raise UsageError(f"the {what} is an empty path")
    try:
        encoded = os.fsencode(text)
    except UnicodeEncodeError:
        raise UsageError(f"{text!r}: holds a character that no file name can hold") from None
    if 0 in encoded:
        raise UsageError(f"{text!r}: a path cannot hold a zero byte")
    if _ADDRESS.match(text) and not os.path.lexists(text):
        if text.lower().startswith("file:"):
            raise UsageError(f"{text}: an address; name the path of the file without 'file://'")
        if what in _WRITTEN:
            raise UsageError(f"{text}: an address; name a path here, and upload what was written")
        gets = "'fetch' gets models of OpenAI's (124M) and of the Hugging Face Hub (OWNER/MODEL)"
        raise UsageError(
            f"{text}: an address, and files alone are read: download it first"
            + (f"; {gets}" if what == "source" else "")
        )
    return Path(text)
