"""The index of a bundle as a whole: its variables, and where each lies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...errors import FormatError
from ...quoting import quote
from ..limits import Listing, check_count
from .entries import parse_entry, parse_header
from .slices import find_parts
from .table import read_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ...io.source import SourceFile
    from ...tensors.dtype import DType
    from .slices import Part


@dataclass(frozen=True, slots=True)
class Variable:
    """A tensor of the index; ``parts`` tile it, and are one if it is not partitioned."""

    name: str
    dtype: DType
    shape: tuple[int, ...]
    parts: tuple[Part, ...]

    @property
    def stored(self) -> int:
        """The bytes that it takes in the shards."""
        return sum(part.entry.size for part in self.parts)


@dataclass(frozen=True, slots=True)
class Index:
    """What an index says: ``variables`` in its own order, by name."""

    num_shards: int
    big_endian: bool
    variables: tuple[Variable, ...]


def read_index(file: SourceFile) -> Index:
    """Read and check all of an index.

    Raises:
        FormatError, ChecksumError: it is corrupt.
        UnsupportedError: it is legal but not handled.
    """
    where = str(file.path)
    listing = Listing(where)
    records = _bounded(read_table(file), listing, where)
    key, value = next(records, (None, b""))
    if key != b"":
        found = "no key at all" if key is None else quote(key)
        raise FormatError(f"{where}: no header: the first key must be empty, found {found}")
    header = parse_header(value, where)
    slices: dict[bytes, bytes] = {}
    variables: list[Variable] = []
    for key, value in records:
        if key[0] == 0:  # all of them stand before the first name
            slices[key] = value
            continue
        name = key.decode("utf-8", "surrogateescape")
        entry = parse_entry(value, header.num_shards, f"{where}: {quote(name)}")
        listing.add(name, len(entry.shape))
        listing.add_axes(len(entry.slices) * len(entry.shape))
        parts = find_parts(name, entry, slices, header.num_shards, where)
        variables.append(Variable(name, entry.dtype, entry.shape, parts))
    for key in slices:
        raise FormatError(f"{where}: {quote(key)}: a slice that no tensor names")
    return Index(header.num_shards, header.big_endian, tuple(variables))


def _bounded(
    records: Iterable[tuple[bytes, bytes]], listing: Listing, where: str
) -> Iterator[tuple[bytes, bytes]]:
    """Yield the records, the header first, while there are no more than a checkpoint can have."""
    for count, (key, value) in enumerate(records):
        check_count(count, where)
        listing.add_header(len(value))
        yield key, value
