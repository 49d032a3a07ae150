r"""NumPy archives: a zip file with one ``<tensor name>.npy`` member a tensor.

A member is a header (:mod:`.npy_header`) and the elements. The archives of this tool carry in the
zip comment the JSON object ``{"hparams": {…}, "source_format": "…"}``, and ``"config"`` with a
whole config.json where the model was Hugging Face's.

zipfile finds and inflates the members; NumPy parses their headers. The CRC-32 of a member is
compared here, because zipfile withholds the last bytes of one that does not match. Stored and
deflated members are read. Refused: pickled objects, Fortran order, big-endian elements.

Damage to the elements of a member shows when they are read, and leaves the other members alone.
Damage to what lists them, which is the zip directory and each header, shows when the archive is
opened. A deflated header is inflated by the code tables at the start of its member, so damage to
these counts as damage to the header.
"""

from __future__ import annotations

import copy
import zipfile
import zlib
from functools import partial
from typing import TYPE_CHECKING

from ...checkpoint.raw import FileInfo, RawCheckpoint
from ...errors import ChecksumError, FormatError, Gpt2ConvertError, UnsupportedError
from ...io.source import CHUNK, SourceFile
from ...quoting import clip, quote
from ...tensors.dtype import DType
from ...tensors.tensor import LazyTensor
from ..foreign import explain_file
from ..limits import check_count
from ..provenance import read_comment
from .crc32 import crc32
from .npy_header import Inflated, read_header

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Final

NAME: Final = "npz"
_SUFFIX: Final = ".npy"
_END: Final = b"PK\x05\x06"
_END_SIZE: Final = 22
"""Bytes of the last record before the archive's comment. Bytes 10 and 11 are the number of members,
20 and 21 the length of the comment."""
_IN_ZIP64: Final = 0xFFFF
"""Where that many or more stand in the zip64 record."""
_MAGICS: Final = (b"PK\x03\x04", _END)
"""A member's local header; the only record of an empty archive."""
_MAX_DIRECTORY: Final = 8 << 20
"""Bytes of the zip directory: 200 for each of as many members as there may be."""
_MAX_DEFLATE_RATIO: Final = 1032
"""Deflate codes at most 258 bytes in two bits (zlib.net/zlib_tech.html)."""
_BROKEN: Final = (
    zipfile.BadZipFile, NotImplementedError, ValueError, EOFError, OSError, zlib.error,
)  # fmt: skip
"""What zipfile raises for damaged archives."""


def recognises(path: Path) -> bool:
    """Whether ``path`` is a zip file."""
    if not path.is_file():
        return False
    file = SourceFile(path)
    try:
        return file.size >= 4 and file.read(0, 4, "the magic") in _MAGICS
    finally:
        file.close()


def open_npz(path: Path, step: int | None = None) -> RawCheckpoint:
    """Open an archive and read the header of each member, no elements.

    ``step`` has no meaning here.

    Raises:
        SourceNotFoundError, UnreadableError: the file cannot be opened.
        FormatError: the zip file or a member is malformed.
        UnsupportedError: a member is pickled, in Fortran order, big-endian or encrypted.
    """
    file = SourceFile(path)
    try:
        archive = zipfile.ZipFile(_Stream(file))
    except Gpt2ConvertError:
        raise
    except _BROKEN as error:
        raise FormatError(
            f"{path}: not a readable zip file ({clip(str(error))}); it is cut short or damaged: "
            "fetch it again"
        ) from None
    _check_directory(archive, file)
    tensors = tuple(_open_member(archive, member, file) for member in archive.infolist())
    stated = read_comment(archive.comment, str(path))
    return RawCheckpoint(
        format=NAME,
        where=str(path),
        tensors=tensors,
        files=(FileInfo(str(path), file.size),),
        open_files=(file,),
        configs=(stated,) if stated else (),
    )


class _Stream:
    """A SourceFile with a position, as zipfile wants it; its errors stay those of SourceFile."""

    __slots__ = ("_file", "_position")

    def __init__(self, file: SourceFile) -> None:
        self._file = file
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
        self._position += size
        return data


def _check_directory(archive: zipfile.ZipFile, file: SourceFile) -> None:
    """Compare what zipfile has found with a limit and with what the last record states.

    A damaged length in the directory makes zipfile pass over the records that follow, and it takes
    as much of the comment as a truncated file has.
    """
    found = len(archive.infolist())
    check_count(found, str(file.path))
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


def _open_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, file: SourceFile) -> LazyTensor:
    place = f"{file.path}: {quote(member.filename)}"
    if not member.filename.endswith(_SUFFIX):
        raise explain_file(file) or FormatError(
            f"{place}: not a {_SUFFIX} member, so this is not a NumPy archive"
        )
    if member.flag_bits & 1:
        raise UnsupportedError(f"{place}: encrypted")
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise UnsupportedError(f"{place}: zip compression {member.compress_type}, not 0 or 8")
    ratio = 1 if member.compress_type == zipfile.ZIP_STORED else _MAX_DEFLATE_RATIO
    if member.compress_size > file.size or member.file_size > ratio * member.compress_size:
        raise FormatError(
            f"{place}: {member.file_size:,} bytes cannot be stored in {member.compress_size:,} "
            f"of a file of {file.size:,}"
        )
    # zipfile compares no checksum where it knows of none.
    unchecked = copy.copy(member)
    del unchecked.CRC
    raw = copy.copy(unchecked)
    raw.compress_type, raw.file_size = zipfile.ZIP_STORED, raw.compress_size
    try:
        with archive.open(raw) as stored:
            stream = stored if member.compress_type == zipfile.ZIP_STORED else Inflated(stored)
            shape, fortran, dtype, start = read_header(stream, place)
    except Gpt2ConvertError:
        raise
    except _BROKEN as error:
        raise FormatError(f"{place}: {clip(str(error))}") from None
    if dtype.hasobject:
        raise UnsupportedError(f"{place}: pickled Python objects; they are never loaded")
    if fortran and len(shape) > 1:
        raise UnsupportedError(f"{place}: Fortran order; save it again as C order")
    if dtype.name not in set(DType) or dtype.newbyteorder("<") != dtype:
        raise UnsupportedError(f"{place}: dtype {quote(dtype.str)} is not a little-endian number")
    # NumPy lets negative sizes pass, and True.
    if not all(type(dim) is int and 0 <= dim < 1 << 63 for dim in shape):
        raise FormatError(f"{place}: shape {clip(str(list(shape)))} is not one of whole numbers")
    nbytes = dtype.itemsize
    for dim in shape:
        nbytes *= dim
    if start + nbytes != member.file_size:
        raise FormatError(
            f"{place}: shape {clip(str(list(shape)))} of {dtype} does not fill the "
            f"{member.file_size - start:,} bytes that follow the header"
        )
    name = member.filename.removesuffix(_SUFFIX)
    return LazyTensor(
        name=name,
        shape=shape,
        dtype=DType(dtype.name),
        nbytes=nbytes,
        read=partial(_read_member, archive, unchecked, member.CRC, place, start, nbytes),
        source_name=name,
    )


def _read_member(
    archive: zipfile.ZipFile,
    member: zipfile.ZipInfo,
    expected: int,
    place: str,
    start: int,
    nbytes: int,
) -> Iterator[bytes]:
    """Yield the elements of a member and compare its CRC-32 after the last ones."""
    try:
        with archive.open(member) as stream:
            crc = crc32(stream.read(start))
            for position in range(0, nbytes, CHUNK):
                size = min(CHUNK, nbytes - position)
                chunk = stream.read(size)
                if len(chunk) != size:
                    raise FormatError(f"{place}: ends after {position + len(chunk):,} bytes")
                crc = crc32(chunk, crc)
                yield chunk
    except Gpt2ConvertError:
        raise
    except _BROKEN as error:
        raise FormatError(f"{place}: {clip(str(error))}") from None
    if crc != expected:
        raise ChecksumError(
            f"{place}: CRC-32 {expected:#010x} expected from the zip directory, found {crc:#010x}: "
            "the data is corrupt; fetch or convert it again"
        )
