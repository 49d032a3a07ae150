"""Members of an archive that are no tensors: passed over, but not before they are seen to be whole.

A flipped bit can make any array one of strings, or a member that is no array. So the checksum of
what is skipped is compared when the archive is opened: that is why it has to be small.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...errors import ChecksumError, FormatError, Gpt2ConvertError, UnsupportedError
from ...io.source import CHUNK
from ...quoting import clip, quote
from .crc32 import crc32
from .directory import BROKEN

if TYPE_CHECKING:
    import zipfile
    from collections.abc import Sequence
    from typing import Final

    from ...io.source import SourceFile

MAX_SKIPPED: Final = 64 << 20
"""Bytes of all of them together: vocabularies and configurations have a few."""
MAX_MEMBERS: Final = 1_000
"""Opening one takes as long as listing ten arrays."""


def check_skipped(
    archive: zipfile.ZipFile, members: Sequence[zipfile.ZipInfo], file: SourceFile
) -> None:
    """Compare the CRC-32 of each of these members.

    Raises:
        ChecksumError: one does not match.
        FormatError: one cannot be inflated, or is shorter than its directory says.
        UnsupportedError: they are too many, or too large together.
    """
    if len(members) > MAX_MEMBERS:
        raise UnsupportedError(
            f"{file.path}: {quote(members[MAX_MEMBERS].filename)}: no array of numbers, and there "
            f"are more than {MAX_MEMBERS:,} such members; save the arrays again without them"
        )
    total = 0
    for member in members:
        place = f"{file.path}: {quote(member.filename)}"
        total += member.file_size
        if total > MAX_SKIPPED:
            raise UnsupportedError(
                f"{place}: no array of numbers, and more than {MAX_SKIPPED:,} bytes are in such "
                "members; save the arrays again without them"
            )
        expected, crc, left = member.CRC, 0, member.file_size
        del member.CRC  # zipfile withholds the last bytes where it compares them itself
        try:
            with archive.open(member) as stream:
                while left and (chunk := stream.read(min(left, CHUNK))):
                    crc = crc32(chunk, crc)
                    left -= len(chunk)
        except Gpt2ConvertError:
            raise
        except BROKEN as error:
            raise FormatError(f"{place}: {clip(str(error))}") from None
        if left or crc != expected:
            raise ChecksumError(
                f"{place}: CRC-32 {expected:#010x} expected from the zip directory, found "
                f"{crc:#010x}: the data is corrupt; fetch it again"
            )
