"""The index of a bundle, written: its header, and an entry for each tensor.

See :mod:`.entries` for the messages. The bundle has one shard, is little-endian and says what
TensorFlow's BundleWriter says of its version: that any reader may read it.

Limits: tensors in one piece.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .entries import DTYPES
from .table_writer import build_table
from .wire import encode_fixed32, encode_integer, encode_message

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Final

    from .entries import Entry

_NUMBERS: Final = {dtype: number for number, dtype in DTYPES.items()}
_PRODUCER: Final = 1
"""kTensorBundleVersion."""
_HEADER: Final = encode_integer(1, 1) + encode_message(3, encode_integer(1, _PRODUCER))


def build_index(entries: Mapping[str, Entry]) -> bytes:
    """Return the index file of the tensors by name."""
    values = {name.encode(): _encode_entry(entry) for name, entry in entries.items()}
    return build_table([(b"", _HEADER), *sorted(values.items())])


def _encode_entry(entry: Entry) -> bytes:
    # An axis is a message, and so is the shape: they stand there even if they are empty.
    axes = (encode_message(2, encode_integer(1, size)) for size in entry.shape)
    return (
        encode_integer(1, _NUMBERS[entry.dtype])
        + encode_message(2, b"".join(axes))
        + encode_integer(3, entry.shard_id)
        + encode_integer(4, entry.offset)
        + encode_integer(5, entry.size)
        + encode_fixed32(6, entry.crc32c)
    )
