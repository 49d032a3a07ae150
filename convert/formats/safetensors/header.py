"""The header of a safetensors file: read, checked in full, and only then believed.

Layout: the header's length (uint64, little-endian), the header, the data. The header is a JSON
object that begins with ``{`` and may end in spaces::

    {"__metadata__": {"format": "pt"},
     "wte": {"dtype": "F32", "shape": [50257, 768], "data_offsets": [0, 154389504]}, …}

``data_offsets`` are begin and end in the data, whose start need not be aligned. Sorted by offset
the tensors cover the data exactly: no hole, no overlap, nothing after the last. Source: the format
section of the README of huggingface/safetensors and its safetensors/src/tensor.rs.

Stricter than that library (0.8): a name that stands twice, fields beside the three and entries that
are arrays are refused, and a header may have MAX_HEADER_BYTES where the library stops at 100 MB,
since the parsed form takes some twenty times the text's memory at worst.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...errors import FormatError, UnsupportedError
from ...io.strict_json import describe, parse_object
from ...tensors.dtype import DType
from ..foreign import explain_file
from ..limits import Listing, check_rank

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Final

    from ...io.source import SourceFile

DTYPES: Final[dict[str, DType]] = {
    "BOOL": DType.BOOL,
    "U8": DType.UINT8,
    "I8": DType.INT8,
    "F8_E5M2": DType.FLOAT8_E5M2,
    "F8_E4M3": DType.FLOAT8_E4M3FN,
    "F8_E8M0": DType.FLOAT8_E8M0FNU,
    "F8_E4M3FNUZ": DType.FLOAT8_E4M3FNUZ,
    "F8_E5M2FNUZ": DType.FLOAT8_E5M2FNUZ,
    "I16": DType.INT16,
    "U16": DType.UINT16,
    "F16": DType.FLOAT16,
    "BF16": DType.BFLOAT16,
    "I32": DType.INT32,
    "U32": DType.UINT32,
    "F32": DType.FLOAT32,
    "C64": DType.COMPLEX64,
    "F64": DType.FLOAT64,
    "I64": DType.INT64,
    "U64": DType.UINT64,
}
"""The format's names of the dtypes, in the library's order, by which it sorts what it writes."""
CODES: Final = {dtype: code for code, dtype in DTYPES.items()}
_NARROW_DTYPES: Final = ("F4", "F6_E2M3", "F6_E3M2")
"""Those whose elements are no whole bytes: the format has them, and this tool has not."""
METADATA: Final = "__metadata__"
LENGTH_BYTES: Final = 8
MAX_FORMAT_HEADER_BYTES: Final = 100_000_000
"""Beyond this the library calls a header invalid, so no such length is a safetensors file's."""
MAX_HEADER_BYTES: Final = 4 << 20
"""Room for as many tensors as may be; a GPT-2's header has some tens of kilobytes."""
_MAX_BYTES: Final = (1 << 63) - 1
_FIELDS: Final = {"dtype", "shape", "data_offsets"}


@dataclass(frozen=True, slots=True)
class Entry:
    """A tensor of the file: ``begin`` and ``end`` are offsets in the data section."""

    name: str
    dtype: DType
    shape: tuple[int, ...]
    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class Header:
    """The entries by offset, the metadata, and the offset in the file at which data starts.

    ``fault`` is set where the file ends before its data does.
    """

    entries: tuple[Entry, ...]
    metadata: Mapping[str, str]
    data_start: int
    fault: FormatError | None


def announced_length(head: bytes) -> int | None:
    """Return the header's length if ``head``, the first 9 bytes of a file, can be a start of one.

    The length itself is not checked.
    """
    if head[LENGTH_BYTES : LENGTH_BYTES + 1] != b"{":
        return None
    return int.from_bytes(head[:LENGTH_BYTES], "little")


def read_header(file: SourceFile, listing: Listing | None = None) -> Header:
    """Read and check the header of ``file``; ``listing`` counts what all files of a model list.

    Raises:
        FormatError: it breaks a rule of the format, or ``file`` is something else altogether.
        UnsupportedError: a tensor of a dtype or rank that is not handled, or too many of them.
        UnreadableError: the disk or the network fails.
    """
    where = str(file.path)
    length = announced_length(file.read(0, min(file.size, LENGTH_BYTES + 1), "the header"))
    if length is None:
        raise explain_file(file) or FormatError(
            f"{where}: not a safetensors file: byte {LENGTH_BYTES} must be '{{', the start of its "
            "header; fetch it again"
        )
    if length > MAX_HEADER_BYTES:
        raise FormatError(
            f"{where}: a header of {length:,} bytes announced, where at most "
            f"{MAX_HEADER_BYTES:,} make sense; fetch it again"
        )
    listing = listing or Listing(where)
    listing.add_header(length)
    data_start = LENGTH_BYTES + length
    fields = parse_object(file.read(LENGTH_BYTES, length, "the header"), f"{where}: header")
    metadata = _parse_metadata(fields.pop(METADATA, None), where)
    entries = []
    for name, entry in fields.items():
        entries.append(_parse_entry(name, entry, where))
        listing.add(name, len(entries[-1].shape))
    entries.sort(key=_position)
    _check_contiguity(entries, where)
    fault = _check_end(entries, file.size - data_start, where)
    return Header(tuple(entries), metadata, data_start, fault)


def _parse_metadata(value: object, where: str) -> dict[str, str]:
    if value is None:
        return {}
    place = f"{where}: {METADATA}"
    if not isinstance(value, dict):
        raise FormatError(f"{place}: an object expected, found {describe(value)}")
    for key, text in value.items():
        if not isinstance(text, str):
            raise FormatError(f"{place}: {describe(key)}: a text expected, found {describe(text)}")
    return value


def _parse_entry(name: str, fields: object, where: str) -> Entry:
    place = f"{where}: {describe(name)}"
    if not isinstance(fields, dict):
        raise FormatError(f"{place}: an object expected, found {describe(fields)}")
    if fields.keys() != _FIELDS:
        odd = ", ".join(describe(key) for key in sorted(fields.keys() ^ _FIELDS)[:3])
        raise FormatError(f"{place}: dtype, shape and data_offsets expected; missing or odd: {odd}")
    dtype = _parse_dtype(fields["dtype"], place)
    if isinstance(fields["shape"], list):
        check_rank(len(fields["shape"]), place)
    shape = _parse_numbers(fields["shape"], f"{place}: shape")
    offsets = _parse_numbers(fields["data_offsets"], f"{place}: data_offsets")
    if len(offsets) != 2:
        raise FormatError(f"{place}: data_offsets: 2 numbers expected, found {len(offsets):,}")
    begin, end = offsets
    if begin > end:
        raise FormatError(f"{place}: ends at byte {end:,} of the data, before it begins: {begin:,}")
    nbytes = most = dtype.itemsize or 0
    for dim in shape:
        nbytes *= dim
        # A zero elsewhere in the shape would hide a size that no program can count to.
        most *= dim or 1
        if most > _MAX_BYTES:
            raise FormatError(f"{place}: shape {list(shape)} has more elements than can exist")
    if nbytes != end - begin:
        raise FormatError(
            f"{place}: shape {list(shape)} of {dtype} takes {nbytes:,} bytes, but data_offsets "
            f"{list(offsets)} hold {end - begin:,}"
        )
    return Entry(name, dtype, shape, begin, end)


def _parse_dtype(value: object, place: str) -> DType:
    if isinstance(value, str) and value in DTYPES:
        return DTYPES[value]
    if isinstance(value, str) and value in _NARROW_DTYPES:
        raise UnsupportedError(
            f"{place}: dtype {value}, which is not handled; known are {', '.join(DTYPES)}: "
            "convert a copy of the model that is not quantised"
        )
    raise FormatError(
        f"{place}: dtype: one of {', '.join(DTYPES)} expected, found {describe(value)}"
    )


def _parse_numbers(value: object, place: str) -> tuple[int, ...]:
    if not isinstance(value, list):
        raise FormatError(f"{place}: an array expected, found {describe(value)}")
    for number in value:
        # bool is an int in Python, but no number in JSON.
        if type(number) is not int or not 0 <= number <= _MAX_BYTES:
            raise FormatError(
                f"{place}: whole numbers from 0 to {_MAX_BYTES:,} expected, found "
                f"{describe(number)}"
            )
    return tuple(value)


def _position(entry: Entry) -> tuple[int, int, str]:
    return entry.begin, entry.end, entry.name


def _check_contiguity(entries: list[Entry], where: str) -> None:
    end = 0
    for before, entry in zip([None, *entries], entries, strict=False):
        place = f"{where}: {describe(entry.name)}: begins at byte {entry.begin:,} of the data"
        if before and entry.begin < end:
            raise FormatError(f"{place}, inside {describe(before.name)}, which ends at {end:,}")
        if entry.begin > end:
            raise FormatError(f"{place}, but bytes {end:,} to {entry.begin:,} belong to no tensor")
        end = entry.end


def _check_end(entries: list[Entry], data_size: int, where: str) -> FormatError | None:
    """Return the error of a file that is too short; raise that of one that is too long."""
    end = entries[-1].end if entries else 0
    if end < data_size:
        raise FormatError(
            f"{where}: {data_size - end:,} bytes after the last tensor belong to no tensor; fetch "
            "it again"
        )
    if end == data_size:
        return None
    cut = next(entry for entry in entries if entry.end > data_size)
    return FormatError(
        f"{where}: truncated: {describe(cut.name)} needs bytes {cut.begin:,} to {cut.end:,} of the "
        f"data, but there are {data_size:,}; fetch it again"
    )
