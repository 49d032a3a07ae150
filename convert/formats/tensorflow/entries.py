"""The values of a bundle's index: one header, then one entry a tensor.

Messages (TensorFlow's tensor_bundle.proto, tensor_shape.proto, versions.proto); zero fields are
left out when written::

    BundleHeaderProto  num_shards = 1: int32; endianness = 2: enum LITTLE 0, BIG 1;
                       version = 3: VersionDef
    VersionDef         producer = 1, min_consumer = 2: int32; bad_consumers = 3: repeated int32
    BundleEntryProto   dtype = 1: enum; shape = 2: TensorShapeProto; shard_id = 3: int32;
                       offset = 4, size = 5: int64; crc32c = 6: fixed32, masked;
                       slices = 7: repeated TensorSliceProto
    TensorShapeProto   dim = 2: repeated { size = 1: int64, name = 2 }; unknown_rank = 3: bool
    TensorSliceProto   extent = 1: repeated { start = 1: int64, length = 2: int64 }, one an axis;
                       without a length it is the whole axis

The header stands under the empty key. The entry of a partitioned tensor has the full shape and
``slices``, and no data: those have entries of their own (:mod:`.slices`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...errors import FormatError, UnsupportedError
from ...quoting import clip
from ...tensors.dtype import DType
from ..limits import MAX_RANK, MAX_TENSORS
from .wire import BYTES, Field, read_fields, read_varint, signed

if TYPE_CHECKING:
    from typing import Final

READER_VERSION: Final = 1
MAX_SHARDS: Final = 99_999
"""File names have five digits for the shard."""
MAX_BAD_CONSUMERS: Final = 1_000
"""Versions of readers that a bundle refuses; TensorFlow has never refused any."""
MAX_ELEMENTS: Final = (1 << 63) - 1
"""TensorFlow counts elements in an int64."""
MAX_SLICED_RANK: Final = 8
"""kTensorSliceMaxRank (tensor_slice_util.h): TensorFlow aborts where a slice has more axes."""
_REFERENCE: Final = 100
"""Added to the dtype of a reference variable."""

DTYPES: Final = {
    1: DType.FLOAT32,
    2: DType.FLOAT64,
    3: DType.INT32,
    4: DType.UINT8,
    5: DType.INT16,
    6: DType.INT8,
    7: DType.STRING,
    8: DType.COMPLEX64,
    9: DType.INT64,
    10: DType.BOOL,
    11: DType.QINT8,
    12: DType.QUINT8,
    13: DType.QINT32,
    14: DType.BFLOAT16,
    15: DType.QINT16,
    16: DType.QUINT16,
    17: DType.UINT16,
    18: DType.COMPLEX128,
    19: DType.FLOAT16,
    20: DType.RESOURCE,
    21: DType.VARIANT,
    22: DType.UINT32,
    23: DType.UINT64,
    24: DType.FLOAT8_E5M2,
    25: DType.FLOAT8_E4M3FN,
}
"""TensorFlow's DataType numbers (types.proto)."""


@dataclass(frozen=True, slots=True)
class Header:
    """The bundle as a whole."""

    num_shards: int
    big_endian: bool = False


@dataclass(frozen=True, slots=True)
class Extent:
    """What a slice has of one axis. ``length`` is None where it has all of it, from 0."""

    start: int
    length: int | None


WHOLE_AXIS: Final = Extent(0, None)


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a tensor lies: ``size`` bytes from ``offset`` of shard ``shard_id``.

    ``crc32c`` is masked and covers those bytes. A partitioned tensor has ``slices``, each an extent
    per axis, and no bytes of its own.
    """

    dtype: DType
    shape: tuple[int, ...]
    shard_id: int
    offset: int
    size: int
    crc32c: int
    slices: tuple[tuple[Extent, ...], ...] = ()


def parse_header(message: bytes, where: str) -> Header:
    """Parse the value of the empty key.

    Raises:
        FormatError: it is malformed.
        UnsupportedError: a version this reader must not read.
    """
    place = f"{where}: header"
    num_shards = endianness = min_consumer = 0
    bad_consumers: list[int] = []
    for field in read_fields(message, place):
        match field.number:
            case 1:
                num_shards = field.integer()
            case 2:
                endianness = field.integer()
            case 3:
                for part in read_fields(field.message(), place):
                    if part.number == 2:
                        min_consumer = part.integer()
                    elif part.number == 3:
                        _extend_integers(bad_consumers, part, place)
    if not 1 <= num_shards <= MAX_SHARDS:
        raise FormatError(f"{place}: 1 to {MAX_SHARDS:,} shards expected, found {num_shards:,}")
    if endianness not in (0, 1):
        raise FormatError(f"{place}: endianness 0 or 1 expected, found {endianness}")
    if min_consumer > READER_VERSION or READER_VERSION in bad_consumers:
        raise UnsupportedError(
            f"{where}: written for readers of version {min_consumer} and up, except "
            f"{clip(str(bad_consumers))}; this one is {READER_VERSION}"
        )
    return Header(num_shards, big_endian=endianness == 1)


def _extend_integers(values: list[int], field: Field, place: str) -> None:
    """Add a repeated integer's values: a packed run of them, or the one in this field.

    Raises:
        FormatError: it is malformed, or there are too many.
    """
    if field.wire_type != BYTES:
        values.append(field.integer())
    else:
        data, position = field.message(), 0
        while position < len(data) and len(values) <= MAX_BAD_CONSUMERS:
            value, position = read_varint(data, position, place)
            values.append(signed(value))
    if len(values) > MAX_BAD_CONSUMERS:
        raise FormatError(f"{place}: refuses more than {MAX_BAD_CONSUMERS:,} versions of readers")


def parse_entry(message: bytes, num_shards: int, place: str) -> Entry:
    """Parse the value of a tensor's key, and check it against itself and the header.

    Raises:
        FormatError: it is malformed, or its size does not follow from its shape and dtype.
        UnsupportedError: a dtype, or a number of slices or of their axes, that this reader does not
            know.
    """
    number = shard_id = offset = size = crc32c = 0
    shape: list[int] = []
    slices: list[bytes] = []
    for field in read_fields(message, place):
        match field.number:
            case 1:
                number = field.integer()
            case 2:
                _extend_shape(shape, field.message(), place)
            case 3:
                shard_id = field.integer()
            case 4:
                offset = field.integer()
            case 5:
                size = field.integer()
            case 6:
                crc32c = field.fixed32()
            case 7:
                slices.append(field.message())
                if len(slices) > MAX_TENSORS:
                    raise UnsupportedError(f"{place}: more than {MAX_TENSORS:,} slices")
    dtype = DTYPES.get(number - _REFERENCE if number > _REFERENCE else number)
    if dtype is None:
        raise UnsupportedError(f"{place}: TensorFlow's dtype number {number} is not known here")
    if not 0 <= shard_id < num_shards:
        raise FormatError(f"{place}: shard {shard_id} of a bundle with {num_shards}")
    if offset < 0 or size < 0:
        raise FormatError(f"{place}: {size:,} bytes at byte {offset:,}")
    if math.prod(shape) > MAX_ELEMENTS:
        raise FormatError(
            f"{place}: shape {clip(str(shape))} has more elements than TensorFlow counts"
        )
    if not slices and dtype.itemsize is not None:
        expected = math.prod(shape) * dtype.itemsize
        if size != expected:
            raise FormatError(
                f"{place}: shape {clip(str(shape))} of {dtype} takes {expected:,} bytes, "
                f"but {size:,} are stored"
            )
    if slices and len(shape) > MAX_SLICED_RANK:
        raise UnsupportedError(
            f"{place}: a partitioned variable of {len(shape)} axes, where TensorFlow has at most "
            f"{MAX_SLICED_RANK}"
        )
    known: dict[tuple[bytes, int], Extent] = {}
    extents = tuple(_parse_slice(each, shape, known, place) for each in slices)
    return Entry(dtype, tuple(shape), shard_id, offset, size, crc32c, extents)


def _extend_shape(dims: list[int], message: bytes, place: str) -> None:
    """Add the axes of a shape message: protobuf joins those of a field that stands repeatedly."""
    for field in read_fields(message, place):
        if field.number == 2:
            size = 0
            for part in read_fields(field.message(), place):
                if part.number == 1:
                    size = part.integer()
            if size < 0:
                raise FormatError(f"{place}: axis {len(dims)} has the size {size:,}")
            if len(dims) == MAX_RANK:
                raise UnsupportedError(f"{place}: more than {MAX_RANK} axes")
            dims.append(size)
        elif field.number == 3 and field.integer():
            raise FormatError(f"{place}: a shape of unknown rank; a stored tensor has one")


def _parse_slice(
    message: bytes, shape: list[int], known: dict[tuple[bytes, int], Extent], place: str
) -> tuple[Extent, ...]:
    """Parse a TensorSliceProto; ``known`` are extents of a size of axis that were parsed before.

    A grid has many slices and few extents.
    """
    extents: list[Extent] = []
    for field in read_fields(message, place):
        if field.number == 1:
            if len(extents) == len(shape):
                raise FormatError(f"{place}: a slice of more axes than {shape}")
            key = field.message(), shape[len(extents)]
            if key not in known:
                known[key] = _parse_extent(*key, place)
            extents.append(known[key])
    if len(extents) != len(shape):
        raise FormatError(f"{place}: a slice of {len(extents)} axes, where the shape is {shape}")
    return tuple(extents)


def _parse_extent(message: bytes, dim: int, place: str) -> Extent:
    start, length = 0, None
    for field in read_fields(message, place):
        if field.number == 1:
            start = field.integer()
        elif field.number == 2:
            length = field.integer()
    if length is None and start == 0:
        return WHOLE_AXIS
    if length is None or start < 0 or length < 1 or start + length > dim:
        found = "the rest" if length is None else f"{length:,}"
        raise FormatError(f"{place}: a slice of {found} from {start:,} of an axis of {dim:,}")
    return Extent(start, length)
