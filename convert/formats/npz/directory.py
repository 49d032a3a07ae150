r"""The directory of a zip file: checked before zipfile builds anything of it, and after.

A file ends in the directory, a record a member, and a record of where that starts (APPNOTE 6.3,
4.3)::

    member    ``PK\3\4``, …, name's length at 26, extra's at 28; 30 bytes, name, extra, data
    record    ``PK\1\2``, …, lengths of name, extra and comment at 28, 30 and 32; 46 bytes, name,
              extra, comment
    end       ``PK\5\6``, …, number of records at 10, length of the comment at 20; 22 bytes, comment

zipfile takes time with the square of a record's extra fields, and it lets records share the bytes
of a member, so that a small file has the contents of a large one.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from itertools import pairwise
from typing import TYPE_CHECKING

from ...errors import FormatError, Gpt2ConvertError, UnsupportedError
from ...quoting import clip, quote
from ..limits import check_count

if TYPE_CHECKING:
    from typing import Final

    from ...io.source import SourceFile

MAGICS: Final = (b"PK\x03\x04", b"PK\x05\x06")
"""A member's local header; the only record of an empty archive."""
BROKEN: Final = (
    zipfile.BadZipFile, NotImplementedError, ValueError, EOFError, OSError, zlib.error,
)  # fmt: skip
"""What zipfile raises for damaged archives."""
_RECORD: Final = b"PK\x01\x02"
_RECORD_SIZE: Final = 46
_LOCAL_SIZE: Final = 30
_END: Final = b"PK\x05\x06"
_END_SIZE: Final = 22
_IN_ZIP64: Final = 0xFFFF
"""Where that many or more stand in the zip64 record."""
_MAX_DIRECTORY: Final = 8 << 20
"""Bytes of the zip directory: 200 for each of as many members as there may be."""
_MAX_EXTRA: Final = 1 << 10
"""Bytes of the extra fields of a record, which has times and rights in them, or sizes: some 40."""
_MAX_DEFLATE_RATIO: Final = 1032
"""Deflate codes at most 258 bytes in two bits (zlib.net/zlib_tech.html)."""
_ENCRYPTED: Final = 0x01
_UNHANDLED: Final = 0x60
"""Flags of patched data, and of encryption with certificates."""
_UTF8: Final = 1 << 11
"""The flag of a name that is not in code page 437."""


def open_archive(file: SourceFile, others: int = 0) -> zipfile.ZipFile:
    """Let zipfile read the directory of ``file``, and check what it has found.

    Beside a member for each tensor, there may be so many ``others``.

    Raises:
        FormatError: it is damaged, or members share bytes.
        UnsupportedError: it has too many members.
    """
    try:
        archive = zipfile.ZipFile(_Stream(file, others))
    except Gpt2ConvertError:
        raise
    except BROKEN as error:
        raise FormatError(
            f"{file.path}: not a readable zip file ({clip(str(error))}); it is cut short or "
            "damaged: fetch it again"
        ) from None
    members = archive.infolist()
    check_count(len(members) - others, str(file.path))
    _check_end(archive, file)
    for member in members:
        _check_sizes(member, file)
    _check_overlap(members, file)
    return archive


def check_flags(member: zipfile.ZipInfo, place: str, program: str) -> None:
    """Refuse a member whose bytes are not those of its contents; ``program`` writes none such.

    Raises:
        FormatError: it has flags of what is never done with numbers.
        UnsupportedError: it is encrypted.
    """
    if member.flag_bits & _ENCRYPTED:
        raise UnsupportedError(f"{place}: encrypted")
    if member.flag_bits & _UNHANDLED:
        raise FormatError(
            f"{place}: zip flags {member.flag_bits:#06x}, which no archive of {program}'s has"
        )


def find_data(file: SourceFile, member: zipfile.ZipInfo, place: str) -> int:
    """Return the offset in ``file`` at which the data of a member starts.

    Raises:
        FormatError: there is no local header as the directory has it.
    """
    at = member.header_offset
    if at < 0:
        raise FormatError(f"{place}: would start {-at:,} bytes before the file")
    name = member.orig_filename.encode("utf-8" if member.flag_bits & _UTF8 else "cp437")
    local = file.read(at, _LOCAL_SIZE + len(name), place)
    size, extra = struct.unpack_from("<HH", local, 26)
    if not local.startswith(MAGICS[0]) or size != len(name) or local[_LOCAL_SIZE:] != name:
        raise FormatError(
            f"{place}: no member of that name starts at byte {at:,}, where the directory has it"
        )
    return at + len(local) + int(extra)


class _Stream:
    """A SourceFile with a position, as zipfile wants it; its errors stay those of SourceFile."""

    __slots__ = ("_file", "_others", "_position")

    def __init__(self, file: SourceFile, others: int) -> None:
        self._file = file
        self._others = others
        self._position = 0

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = 0) -> int:
        position = (0, self._position, self._file.size)[whence] + offset
        if position < 0:
            # The kind that files raise, by which zipfile learns that there is no zip64 record.
            raise OSError(f"a record would start {-position:,} bytes before the file")
        self._position = position
        return position

    def read(self, size: int = -1) -> bytes:
        left = max(0, self._file.size - self._position)
        size = left if size < 0 else min(size, left)
        if size > _MAX_DIRECTORY:  # the directory is the only thing that zipfile reads at once
            raise FormatError(
                f"{self._file.path}: a zip directory of {size:,} bytes, where at most "
                f"{_MAX_DIRECTORY:,} make sense"
            )
        data = self._file.read(self._position, size, "the archive") if size else b""
        if data.startswith(_RECORD):
            _check_records(data, str(self._file.path), self._others)
        self._position += size
        return data


def _check_records(directory: bytes, where: str, others: int) -> None:
    """Refuse records that zipfile would take long to parse; what else is wrong is its matter."""
    count = at = 0
    while directory.startswith(_RECORD, at) and at + _RECORD_SIZE <= len(directory):
        name, extra, comment = struct.unpack_from("<HHH", directory, at + 28)
        if extra > _MAX_EXTRA:
            raise FormatError(
                f"{where}: {extra:,} bytes of extra fields of a member, where at most "
                f"{_MAX_EXTRA:,} make sense"
            )
        count += 1
        check_count(count - others, where)
        at += _RECORD_SIZE + name + extra + comment


def _check_end(archive: zipfile.ZipFile, file: SourceFile) -> None:
    """Compare what zipfile has found with what the last record states.

    A damaged length in the directory makes zipfile pass over the records that follow, and it takes
    as much of the comment as a truncated file has.
    """
    found = len(archive.infolist())
    end = file.size - _END_SIZE - len(archive.comment)
    record = file.read(end, _END_SIZE, "the end of the directory")
    stated = int.from_bytes(record[10:12], "little")
    if not record.startswith(_END) or (stated != found and stated != _IN_ZIP64):
        raise FormatError(
            f"{file.path}: not a readable zip file: its directory has {found:,} members, and no "
            f"record of as many ends the file"
        )
    announced = int.from_bytes(record[20:22], "little")
    if announced != len(archive.comment):
        raise FormatError(
            f"{file.path}: truncated: a comment of {announced:,} bytes ends the file, which has "
            f"{len(archive.comment):,} of them; fetch it again"
        )


def _check_sizes(member: zipfile.ZipInfo, file: SourceFile) -> None:
    """Refuse a member that its file cannot hold."""
    ratio = _MAX_DEFLATE_RATIO if member.compress_type == zipfile.ZIP_DEFLATED else 1
    if member.compress_size > file.size or member.file_size > ratio * member.compress_size:
        raise FormatError(
            f"{file.path}: {quote(member.filename)}: {member.file_size:,} bytes cannot be stored "
            f"in {member.compress_size:,} of a file of {file.size:,}"
        )


def _check_overlap(members: list[zipfile.ZipInfo], file: SourceFile) -> None:
    """Refuse members that have bytes of the file in common."""
    ordered = sorted(members, key=lambda member: member.header_offset)
    for before, member in pairwise(ordered):
        end = before.header_offset + _LOCAL_SIZE + before.compress_size
        if end > member.header_offset:
            raise FormatError(
                f"{file.path}: {quote(member.filename)}: starts at byte {member.header_offset:,}, "
                f"inside {quote(before.filename)}, which ends at {end:,} or later"
            )
