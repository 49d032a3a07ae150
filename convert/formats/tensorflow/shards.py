"""The data files of a bundle, and the parts that lie in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import google_crc32c

from ...errors import (
    ChecksumError,
    FormatError,
    Gpt2ConvertError,
    SourceNotFoundError,
    UnsupportedError,
)
from ...io.source import CHUNK, SourceFile
from ..foreign import explain_file, explain_missing, explain_packed
from ..limits import FREE_EXPANSION, MAX_SHARDS, Listing, check_shards
from .locate import shard_path
from .table import mask_crc

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path
    from typing import Final

    from ...tensors.runs import Bytes
    from .slices import Part

MAX_MISSING: Final = 100
"""Data files that may be missing for the rest to be listed; an index of 1 KB can name 99,999."""
_PAGE: Final = 4096
"""Bytes below which a shard that is too short may be a pointer or a page instead of weights."""


class Shards:
    """The data files of a bundle; one that is missing is None, and a fault."""

    __slots__ = ("faults", "files", "paths")

    def __init__(self, prefix: Path, num_shards: int) -> None:
        """Open those that are there.

        Raises:
            UnreadableError: one is no regular file, or may not be read.
            FormatError: one is another, under a second name.
            SourceNotFoundError: more than MAX_MISSING are missing.
            UnsupportedError: there are more than may be open.
        """
        listing = Listing(str(prefix))
        self.paths: list[Path] = []
        self.files: list[SourceFile | None] = []
        self.faults: list[Gpt2ConvertError] = []
        for number in range(num_shards):
            if number == MAX_SHARDS:
                check_shards(num_shards, str(prefix))
            path = shard_path(prefix, number, num_shards)
            self.paths.append(path)
            try:
                file = SourceFile(path)
                listing.add_shard(file)
                self.files.append(file)
            except SourceNotFoundError:
                self.files.append(None)
                self.faults.append(
                    explain_missing(path)
                    or SourceNotFoundError(
                        f"{path}: missing: the index speaks of {num_shards} data "
                        f"file{'s' if num_shards > 1 else ''}; put it beside the index"
                    )
                )
                if len(self.faults) > MAX_MISSING:
                    raise self.faults[0] from None

    def find_truncations(self, parts: Iterable[Part]) -> list[Gpt2ConvertError]:
        """Return, for each file that is too short, an error with the first part it cuts off.

        What is packed may also be too long; no saver leaves bytes behind the last part.
        """
        cut: dict[int, Part] = {}
        ends = [0] * len(self.files)
        for part in parts:
            entry = part.entry
            file = self.files[entry.shard_id]
            ends[entry.shard_id] = max(ends[entry.shard_id], entry.offset + entry.size)
            if file and entry.offset + entry.size > file.size:
                first = cut.setdefault(entry.shard_id, part)
                if entry.offset < first.entry.offset:
                    cut[entry.shard_id] = part
        faults: list[Gpt2ConvertError] = []
        for number, file in enumerate(self.files):
            if file and file.size != ends[number]:
                foreign = explain_packed(file) if ends[number] else None
                if number in cut:
                    foreign = foreign or (explain_file(file) if file.size < _PAGE else None)
                    faults.append(foreign or _truncation(cut[number], file))
                elif foreign:
                    faults.append(foreign)
        return faults

    def check_room(self, parts: Iterable[Part]) -> None:
        """Refuse parts that share their bytes, where a file would hold many times what it has.

        No saver writes such parts; TensorFlow reads them.

        Raises:
            UnsupportedError: they do.
        """
        taken = [0] * len(self.files)
        for part in parts:
            entry = part.entry
            file = self.files[entry.shard_id]
            if file and entry.offset + entry.size <= file.size:  # else it cannot be read
                taken[entry.shard_id] += entry.size
                if taken[entry.shard_id] > max(file.size, FREE_EXPANSION):
                    raise UnsupportedError(
                        f"{file.path}: {part.label} and others share bytes: up to it they take "
                        f"{taken[entry.shard_id]:,}, where the file has {file.size:,}"
                    )

    def open(self, part: Part) -> Cursor:
        """Return a cursor at the start of a part.

        Raises:
            SourceNotFoundError: its file is missing.
            FormatError: its file is too short.
        """
        return Cursor(part, self._find(part))

    def read_run(self, part: Part, offset: int, size: int) -> Iterator[bytes]:
        """Yield ``size`` bytes of a part from ``offset`` on; no checksum is compared.

        Raises:
            SourceNotFoundError, FormatError: as :meth:`open`.
        """
        yield from self._find(part).chunks(part.entry.offset + offset, size, part.label)

    def _find(self, part: Part) -> SourceFile:
        file = self.files[part.entry.shard_id]
        if file is None:
            path = self.paths[part.entry.shard_id]
            raise SourceNotFoundError(f"{path}: missing: {part.label} lies in it")
        if part.entry.offset + part.entry.size > file.size:
            raise _truncation(part, file)
        return file


class Cursor:
    """Reads the bytes of a part from its first to its last, and takes their crc32c."""

    __slots__ = ("_crc", "_file", "_label", "_position", "part", "place")

    def __init__(self, part: Part, file: SourceFile) -> None:
        self.part = part
        self._file = file
        self._label = part.label
        self.place = f"{file.path}: {part.label}"
        self._position = part.entry.offset
        self._crc = 0

    def read(self, size: int) -> bytes:
        """Return the next ``size`` bytes."""
        data = self._file.read(self._position, size, self._label)
        self._position += size
        self._crc = google_crc32c.extend(self._crc, data)
        return data

    def chunks(self, size: int) -> Iterator[bytes]:
        """Yield the next ``size`` bytes in pieces of CHUNK."""
        for start in range(0, size, CHUNK):
            yield self.read(min(CHUNK, size - start))

    def fill(self, array: Bytes) -> Iterator[Bytes]:
        """Put the next bytes into an array, yield each piece of it; :meth:`.SourceFile.fill`."""
        for piece in self._file.fill(array, self._position, self._label):
            self._position += piece.size
            self._crc = google_crc32c.extend(self._crc, piece)
            yield piece

    def check(self) -> None:
        """Compare the crc32c, once all bytes are read.

        Raises:
            ChecksumError: it is another than the index says.
        """
        self.compare(self._crc)

    def compare(self, crc: int) -> None:
        """Compare a crc32c that was taken elsewhere; raises as :meth:`check`."""
        entry = self.part.entry
        if mask_crc(crc) != entry.crc32c:
            raise ChecksumError(
                f"{self.place}: crc32c {entry.crc32c:#010x} expected from "
                f"the index, found {mask_crc(crc):#010x} in bytes {entry.offset:,} to "
                f"{entry.offset + entry.size:,}: "
                "the data is corrupt or belongs to another index; fetch it again"
            )


def _truncation(part: Part, file: SourceFile) -> FormatError:
    end = part.entry.offset + part.entry.size
    return FormatError(
        f"{file.path}: truncated: {part.label} needs bytes {part.entry.offset:,} to "
        f"{end:,}, but the file has {file.size:,}; fetch it again"
    )
