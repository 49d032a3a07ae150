"""The promises of every reader and of every writer, as classes of tests."""

from .checksum import ChecksumContract
from .contents import (
    Array,
    Contents,
    contents,
    contents_of,
    find_bytes,
    find_tensor,
    flip_bit,
    no_hang,
    open_descriptors,
    split_strings,
)
from .reader import ReaderContract
from .writer import WriterContract

__all__ = [
    "Array",
    "ChecksumContract",
    "Contents",
    "ReaderContract",
    "WriterContract",
    "contents",
    "contents_of",
    "find_bytes",
    "find_tensor",
    "flip_bit",
    "no_hang",
    "open_descriptors",
    "split_strings",
]
