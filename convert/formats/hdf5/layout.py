"""What is known of a dataset once the library has looked at it, and as a message between processes.

The library looks in a child process (:mod:`.listing`), and the elements are read in this one, from
the places that it found. A message is a line of JSON and, after it, what is no text.
"""

from __future__ import annotations

import json
from array import array
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from ...checkpoint.raw import Skipped
from ...tensors.dtype import DType

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any, Final

NOWHERE: Final = (1 << 64) - 1
"""The address of what was never written, as the format spells it."""


@dataclass(frozen=True, slots=True)
class Contiguous:
    """One run of bytes in the file, from ``offset`` on."""

    offset: int


@dataclass(frozen=True, slots=True)
class Compact:
    """Elements in the object's header, which is read already."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Chunked:
    """Boxes of the shape ``box``, each stored alone, in C order.

    ``offsets`` are their places in the file, NOWHERE for one that was never written; ``sizes`` are
    in bytes. ``filters`` are the numbers of the filters in the order in which a writer applies
    them. Bit n of a chunk's mask says that the nth was left out. ``width`` is the bytes that the
    shuffle filter takes for an element. ``band`` is the size in bytes of the chunks that reading
    in order needs at once.
    """

    box: tuple[int, ...]
    filters: tuple[int, ...]
    width: int
    band: int
    offsets: array[int]
    sizes: array[int]
    masks: array[int]


Storage: TypeAlias = Contiguous | Compact | Chunked


@dataclass(frozen=True, slots=True)
class Dataset:
    """Name, shape and dtype of a dataset, and where its elements are.

    ``name`` is the path without the leading slash; what is not UTF-8 in it is escaped as Python
    does with file names. The bytes of a number are to ``swap`` where they are stored in big-endian
    order.
    """

    name: str
    shape: tuple[int, ...]
    dtype: DType
    nbytes: int
    storage: Storage
    swap: bool = False


_COLUMNS: Final = ("Q", "Q", "I")
"""Of a table of chunks: the type codes of their offsets, sizes and masks."""


def columns(count: int) -> tuple[array[int], array[int], array[int]]:
    """Return the offsets, sizes and masks of ``count`` chunks that were never written."""
    initial = (NOWHERE, 0, 0)
    offsets, sizes, masks = (
        array(code, [value]) * count for code, value in zip(_COLUMNS, initial, strict=True)
    )
    return offsets, sizes, masks


def split_axis(box: tuple[int, ...]) -> int:
    """Return the first axis along which chunks of this shape have more than one step."""
    return next((axis for axis, size in enumerate(box) if size > 1), 0)


def encode(dataset: Dataset) -> bytes:
    """Return a dataset as a message."""
    fields: dict[str, Any] = {
        "name": dataset.name,
        "shape": dataset.shape,
        "dtype": dataset.dtype,
        "nbytes": dataset.nbytes,
        "swap": dataset.swap,
    }
    match dataset.storage:
        case Contiguous(offset):
            return _join({**fields, "offset": offset})
        case Compact(data):
            return _join({**fields, "compact": True}, data)
        case Chunked() as chunks:
            fields |= {"box": chunks.box, "filters": chunks.filters}
            fields |= {"width": chunks.width, "band": chunks.band}
            table = chunks.offsets, chunks.sizes, chunks.masks
            return _join(fields, b"".join(column.tobytes() for column in table))


def encode_again(name: str, number: int) -> bytes:
    """Return another name of the ``number``-th dataset of the messages as a message."""
    return _join({"name": name, "again": number})


def encode_skipped(skipped: Skipped) -> bytes:
    """Return what is not read as a message; it has no number."""
    fields = {"name": skipped.name, "reason": skipped.reason, "folder": skipped.is_folder}
    return _join(fields)


def encode_attributes(attributes: dict[str, str | None]) -> bytes:
    """Return the root's attributes as a message, the last one."""
    return _join({"attributes": attributes})


def decode(
    messages: Iterable[bytes],
) -> tuple[list[Dataset], list[Skipped], dict[str, str | None]]:
    """Return the datasets, what is not read, and the attributes that the messages are of."""
    datasets: list[Dataset] = []
    skipped: list[Skipped] = []
    attributes: dict[str, str | None] = {}
    for message in messages:
        line, _, data = message.partition(b"\n")
        fields: dict[str, Any] = json.loads(line)
        if "attributes" in fields:
            attributes = fields["attributes"]
        elif "reason" in fields:
            skipped.append(Skipped(fields["name"], fields["reason"], fields["folder"]))
        elif "again" in fields:
            datasets.append(replace(datasets[fields["again"]], name=fields["name"]))
        else:
            datasets.append(
                Dataset(
                    fields["name"],
                    tuple(fields["shape"]),
                    DType(fields["dtype"]),
                    fields["nbytes"],
                    _decode_storage(fields, data),
                    fields["swap"],
                )
            )
    return datasets, skipped, attributes


def _decode_storage(fields: dict[str, Any], data: bytes) -> Storage:
    if "offset" in fields:
        return Contiguous(fields["offset"])
    if "compact" in fields:
        return Compact(data)
    box, filters = tuple(fields["box"]), tuple(fields["filters"])
    return Chunked(box, filters, fields["width"], fields["band"], *_split(data))


def _split(data: bytes) -> Iterator[array[int]]:
    """Yield the columns of a table of chunks."""
    count = len(data) // sum(array(code).itemsize for code in _COLUMNS)
    start = 0
    for code in _COLUMNS:
        column = array(code)
        stop = start + count * column.itemsize
        column.frombytes(data[start:stop])
        yield column
        start = stop


def _join(fields: dict[str, Any], data: bytes = b"") -> bytes:
    return json.dumps(fields).encode("ascii") + b"\n" + data
