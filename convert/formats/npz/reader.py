r"""NumPy archives: a zip file with one ``<tensor name>.npy`` member a tensor.

A member is a header (:mod:`.npy_header`) and the elements. The archives of this tool carry in the
zip comment the JSON object ``{"hparams": {…}, "checksum": "…"}``, and ``"config"`` with a whole
config.json where that says more.

zipfile finds and inflates the members; NumPy parses their headers. The CRC-32 of a member is
compared here, because zipfile withholds the last bytes of one that does not match. Stored and
deflated members are read, those in Fortran order (:mod:`.fortran`) and of big-endian numbers too.
What is no array of numbers is skipped: strings, structures, pickled objects, which are never
loaded, and members of other kinds.

Damage to the elements of a member shows when they are read, and leaves the other members alone.
Damage to what lists them, which is the zip directory and each header, shows when the archive is
opened. A deflated header is inflated by the code tables at the start of its member, so damage to
these counts as damage to the header.
"""

from __future__ import annotations

import encodings.cp437  # noqa: F401 - zipfile would import it amid reading
import zipfile
from functools import lru_cache, partial
from typing import TYPE_CHECKING

from ...checkpoint.raw import FileInfo, RawCheckpoint, Skipped, describe_skipped
from ...errors import ChecksumError, FormatError, Gpt2ConvertError, UnsupportedError
from ...io.source import CHUNK, SourceFile
from ...quoting import clip, quote
from ...tensors.byte_order import read_swapped
from ...tensors.dtype import DType
from ...tensors.runs import Seekable
from ...tensors.tensor import LazyTensor
from ..foreign import explain_file
from ..foreign_kinds import describe_members
from ..limits import Listing, check_expansion, check_rank
from ..provenance import read_comment
from ..pytorch.signature import HEAD, is_zip
from .beside import check_skipped
from .crc32 import crc32
from .directory import BROKEN, MAGICS, check_flags, find_data, open_archive
from .fortran import check_shape, has_few_columns, is_in_c_order, read_in_c_order, read_strips
from .npy_header import Headers, Inflated, Stored

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import Final

    from ...tensors.runs import Bytes

NAME: Final = "npz"
_SUFFIX: Final = ".npy"
_DTYPES: Final = {dtype.value: dtype for dtype in DType}
_SAVE_AGAIN: Final = (
    "where you trust it, as loading objects can run any program, save it again: "
    "numpy.savez('weights.npz', **numpy.load(FILE, allow_pickle=True)[NAME].item()), if it is a "
    "dict of arrays"
)


def recognises(path: Path) -> bool:
    """Whether ``path`` is a zip file, and not PyTorch's."""
    if not path.is_file():
        return False
    file = SourceFile(path)
    try:
        head = file.read(0, min(file.size, HEAD), "the magic")
        return head.startswith(MAGICS) and not is_zip(head)
    finally:
        file.close()


def open_npz(path: Path, step: int | None = None) -> RawCheckpoint:
    """Open an archive and read the header of each member, no elements.

    ``step`` has no meaning here.

    Raises:
        SourceNotFoundError, UnreadableError: the file cannot be opened.
        FormatError: the zip file or a member is malformed.
        UnsupportedError: a member is encrypted, or in Fortran order and too long for that; or it
            is a zip file of something else.
    """
    # Here, since amid a member's header an error of the import would be taken for one of the file.
    import numpy as np  # noqa: F401

    file = SourceFile(path)
    archive = open_archive(file)
    listing = Listing(str(path))
    headers = Headers(listing)
    members = archive.infolist()
    if members and not any(member.filename.endswith(_SUFFIX) for member in members):
        raise _explain(file, [member.filename for member in members])
    found = [_open_member(archive, member, file, headers, listing) for member in members]
    skipped = tuple(each for each in found if isinstance(each, Skipped))
    odd = [m for m, each in zip(members, found, strict=True) if isinstance(each, Skipped)]
    if odd and len(odd) == len(found):
        raise UnsupportedError(
            f"{path}: {quote(odd[0].filename)}: {skipped[0].reason}, and there is no array of "
            f"numbers in it; {_SAVE_AGAIN}"
        )
    check_skipped(archive, odd, file)
    deflated = [each for each in archive.infolist() if each.compress_type == zipfile.ZIP_DEFLATED]
    check_expansion(
        sum(each.file_size for each in deflated),
        sum(each.compress_size for each in deflated),
        str(path),
    )
    stated = read_comment(archive.comment, str(path))
    return RawCheckpoint(
        format=NAME,
        where=str(path),
        tensors=tuple(each for each in found if not isinstance(each, Skipped)),
        files=(FileInfo(str(path), file.size),),
        open_files=(file,),
        configs=(stated,) if stated else (),
        notes=describe_skipped(skipped),
        skipped=skipped,
    )


def _explain(file: SourceFile, names: list[str]) -> Gpt2ConvertError:
    """Return the error of a zip file without an array."""
    known = explain_file(file) if any(name.endswith("/data.pkl") for name in names) else None
    return known or FormatError(
        f"{file.path}: {describe_members(names)} (none of its members ends in {_SUFFIX}; the first "
        f"is {quote(names[0])})"
    )


def _open_member(
    archive: zipfile.ZipFile,
    member: zipfile.ZipInfo,
    file: SourceFile,
    headers: Headers,
    listing: Listing,
) -> LazyTensor | Skipped:
    """Open a member, or say why it is not read."""
    place = f"{file.path}: {quote(member.filename)}"
    check_flags(member, place, "NumPy")
    deflated = member.compress_type == zipfile.ZIP_DEFLATED
    if not deflated and member.compress_type != zipfile.ZIP_STORED:
        raise UnsupportedError(f"{place}: zip compression {member.compress_type}, not 0 or 8")
    at = find_data(file, member, place)
    if not member.filename.endswith(_SUFFIX):
        listing.add(member.filename, 0)
        kind = "a folder" if member.is_dir() else f"not a {_SUFFIX} member"
        return Skipped(member.filename, kind, is_member=False)
    stored = Stored(file, at, member.compress_size, place)
    try:
        shape, fortran, dtype, start = headers.read(Inflated(stored) if deflated else stored, place)
    except Gpt2ConvertError:
        raise
    except BROKEN as error:
        raise FormatError(f"{place}: {clip(str(error))}") from None
    name = member.filename.removesuffix(_SUFFIX)
    check_rank(len(shape), place)
    listing.add(name, len(shape))
    known, swap = _find_dtype(dtype.str)
    if dtype.hasobject:
        return Skipped(name, "pickled Python objects; they are never loaded")
    if known is None:
        return Skipped(name, f"dtype {quote(dtype.str)} is not a number that is read")
    # NumPy lets negative sizes pass, and True.
    if not all(type(dim) is int and 0 <= dim < 1 << 63 for dim in shape):
        raise FormatError(f"{place}: shape {clip(str(list(shape)))} is not one of whole numbers")
    nbytes = dtype.itemsize
    for dim in shape:
        nbytes *= dim
    if len(start) + nbytes != member.file_size:
        raise FormatError(
            f"{place}: shape {clip(str(list(shape)))} of {dtype} does not fill the "
            f"{member.file_size - len(start):,} bytes that follow the header"
        )
    fortran = fortran and not is_in_c_order(shape)
    if fortran:
        check_shape(shape, dtype.itemsize, place, deflated=deflated)
    expected, crc = member.CRC, crc32(start)
    if deflated:
        del member.CRC  # zipfile compares no checksum where it knows of none
        open_elements = partial(_inflate, archive, member, len(start), nbytes)
    else:
        open_elements = partial(file.chunks, at + len(start), nbytes, place)
    read: Callable[[], Iterator[bytes]]
    read = partial(_read_elements, open_elements, crc, expected, place)
    read_at = None if deflated else partial(_read_at, file, at + len(start), place)
    if fortran:
        read = partial(read_in_c_order, read, shape, dtype.itemsize, read_at)
    if read_at is not None and not fortran:
        fill = partial(_fill, file, at + len(start), crc, expected, place)
        read = Seekable(read, partial(_read_run, file, at + len(start), place), fill=fill)
    elif read_at is not None and has_few_columns(shape):
        run = partial(read_strips, shape, dtype.itemsize, read_at)
        read = Seekable(read, run, direct=False)
    return LazyTensor(
        name=name,
        shape=shape,
        dtype=known,
        nbytes=nbytes,
        read=read_swapped(read, known) if swap else read,
        source_name=name,
    )


@lru_cache(maxsize=64)
def _find_dtype(spelled: str) -> tuple[DType | None, bool]:
    """Return what NumPy's string for a dtype stands for, and whether its bytes are swapped."""
    import numpy as np

    dtype = np.dtype(spelled)
    return _DTYPES.get(dtype.name), dtype.newbyteorder("<") != dtype


def _read_at(file: SourceFile, start: int, place: str, offset: int, size: int) -> bytes:
    return file.read(start + offset, size, place)


def _read_run(file: SourceFile, start: int, place: str, offset: int, size: int) -> Iterator[bytes]:
    return file.chunks(start + offset, size, place)


def _fill(
    file: SourceFile, start: int, crc: int, expected: int, place: str, array: Bytes
) -> Iterator[Bytes]:
    """Put the elements of a stored member into an array; the rest is as in `_read_elements`."""
    for piece in file.fill(array, start, place):
        crc = crc32(piece, crc)
        yield piece
    _compare(crc, expected, place)


def _inflate(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo, start: int, nbytes: int
) -> Iterator[bytes]:
    """Yield the elements of a deflated member, which follow its first ``start`` bytes."""
    with archive.open(member) as stream:
        stream.read(start)
        for position in range(0, nbytes, CHUNK):
            size = min(CHUNK, nbytes - position)
            chunk = stream.read(size)
            if len(chunk) != size:
                raise EOFError(f"ends after {position + len(chunk):,} bytes")
            yield chunk


def _read_elements(
    elements: Callable[[], Iterator[bytes]], crc: int, expected: int, place: str
) -> Iterator[bytes]:
    """Yield the elements, and compare the CRC-32 of the member after the last ones.

    ``crc`` is that of what is in front of them.
    """
    try:
        for chunk in elements():
            crc = crc32(chunk, crc)
            yield chunk
    except Gpt2ConvertError:
        raise
    except BROKEN as error:
        raise FormatError(f"{place}: {clip(str(error))}") from None
    _compare(crc, expected, place)


def _compare(crc: int, expected: int, place: str) -> None:
    if crc != expected:
        raise ChecksumError(
            f"{place}: CRC-32 {expected:#010x} expected from the zip directory, found {crc:#010x}: "
            "the data is corrupt; fetch or convert it again"
        )
