"""What a PyTorch file holds: an object, and the bytes of its storages with their checksums.

A zip file has a CRC-32 of each storage, not of each tensor. It is compared after the last chunk of
a tensor that is the whole of its storage, each time. A tensor that is a part of one, or the whole
in another order, has it compared once: when the first such tensor of the storage has been read,
the storage is read to its end for that. Files of torch before 1.6 have no checksums.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...errors import ChecksumError
from ...io.source import CHUNK
from ..npz.crc32 import crc32

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ...errors import FormatError
    from ...io.source import SourceFile
    from ...tensors.runs import Bytes


class Record:
    """A storage in a file: ``nbytes`` from ``offset`` on, and their CRC-32 if one is stored.

    ``name`` is what the file calls it, in quotes.
    """

    __slots__ = ("_checked", "crc", "file", "name", "nbytes", "offset")

    def __init__(
        self, file: SourceFile, name: str, offset: int, nbytes: int, crc: int | None
    ) -> None:
        self.file = file
        self.name = name
        self.offset = offset
        self.nbytes = nbytes
        self.crc = crc
        self._checked: int | None = None
        """The CRC-32 that was found when all of it was read for that."""

    def read(self, start: int, size: int, label: str) -> bytes:
        """Return bytes of it; ``label`` is the tensor that they belong to, in quotes.

        Raises:
            FormatError, UnreadableError: they are not there, or cannot be read.
        """
        return self.file.read(self.offset + start, size, label)

    def chunks(self, start: int, size: int, label: str) -> Iterator[bytes]:
        """Yield bytes of it in pieces of CHUNK bytes, and compare the checksum after the last.

        Raises:
            ChecksumError: the storage is damaged, be it elsewhere.
            FormatError, UnreadableError: as in read.
        """
        whole = self.crc is not None and size == self.nbytes
        found = 0
        for at in range(start, start + size, CHUNK):
            chunk = self.read(at, min(CHUNK, start + size - at), label)
            if whole:
                found = crc32(chunk, found)
            yield chunk
        if whole:
            self._compare(found, label)
        else:
            self.check(label)

    def fill(self, array: Bytes, start: int, label: str) -> Iterator[Bytes]:
        """Put bytes of it into an array, yield each piece of that; the rest is as in chunks."""
        whole = self.crc is not None and array.size == self.nbytes
        found = 0
        for piece in self.file.fill(array, self.offset + start, label):
            if whole:
                found = crc32(piece, found)
            yield piece
        if whole:
            self._compare(found, label)
        else:
            self.check(label)

    def check(self, label: str) -> None:
        """Compare the checksum of the whole, if that was not done before.

        Raises:
            ChecksumError: it is another.
            FormatError, UnreadableError: as in read.
        """
        if self.crc is None:
            return
        if self._checked is None:
            found = 0
            for at in range(0, self.nbytes, CHUNK):
                found = crc32(self.read(at, min(CHUNK, self.nbytes - at), label), found)
            self._checked = found
        self._compare(self._checked, label)

    def _compare(self, found: int, label: str) -> None:
        if found != self.crc:
            raise ChecksumError(
                f"{self.file.path}: {label}: CRC-32 {self.crc:#010x} expected from the zip "
                f"directory for {self.name}, found {found:#010x}: the data is corrupt; fetch it "
                "again"
            )


@dataclass(frozen=True, slots=True)
class Contents:
    """The object that was saved, and where the bytes of its storages are, by key.

    ``swap`` is set where the numbers are big-endian, ``fault`` where the file ends before they do.
    """

    value: object
    records: Mapping[str, Record]
    swap: bool = False
    notes: tuple[str, ...] = ()
    fault: FormatError | None = None
