"""The filters of chunks, undone: deflate, shuffle and Fletcher-32.

Those that the library and h5py have besides (lzf, scale-offset, n-bit, szip) are left to them, in a
child process (:mod:`.reader`).

The library trusts what it finds in a chunk: it inflates without limit, and takes as many bytes as a
chunk should have from whatever came out. Here each step has a size that it must give.

Format: The HDF Group, HDF5 File Format Specification 3.0, IV.A.2.l, Filter Pipeline Message, and
the library's H5checksum.c.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from ...errors import ChecksumError, FormatError

if TYPE_CHECKING:
    from typing import Final

DEFLATE: Final = 1
SHUFFLE: Final = 2
FLETCHER32: Final = 3
_UNDONE_HERE: Final = frozenset({DEFLATE, SHUFFLE, FLETCHER32})
_BY_LIBRARY: Final = frozenset({4, 5, 6, 32000})
"""szip, n-bit, scale-offset, and lzf, which h5py brings; others are plugins, and never loaded."""
MAX_RATIO: Final = 1032
"""What deflate can gain at most: 258 bytes from two bits."""
_SUM_BYTES: Final = 4
"""What Fletcher-32 adds to a chunk."""
_BLOCK: Final = 1 << 15
"""Words that are summed at once; the sums of more would not fit into 64 bits for ever."""


def is_read(number: int) -> bool:
    """Whether a filter can be undone, here or by the library, which may lack szip."""
    if number in _UNDONE_HERE:
        return True
    if number not in _BY_LIBRARY:
        return False
    from h5py import h5z

    return bool(
        h5z.filter_avail(number) and h5z.get_filter_info(number) & h5z.FILTER_CONFIG_DECODE_ENABLED
    )


def is_undone_here(filters: tuple[int, ...]) -> bool:
    """Whether no filter is left to the library."""
    return _UNDONE_HERE.issuperset(filters)


def check_size(found: int, nominal: int, filters: tuple[int, ...], place: str) -> None:
    """Check how many bytes are stored of a chunk of ``nominal`` ones, before they are read.

    ``filters`` are those that were applied to it, in the order in which a writer applies them.

    Raises:
        FormatError: there are more or fewer than can be.
    """
    expected = nominal + _SUM_BYTES * (FLETCHER32 in filters)
    if DEFLATE not in filters:
        if found != expected:
            raise FormatError(f"{place}: {expected:,} bytes expected, found {found:,}")
    # Deflate lengthens what it cannot shorten, by a few bytes in 16 KiB.
    elif found > expected + expected // 100 + 64:
        raise FormatError(f"{place}: {found:,} bytes stored for {expected:,}")


def undo(stored: bytes, nominal: int, filters: tuple[int, ...], width: int, place: str) -> bytes:
    """Return the ``nominal`` bytes of a chunk that `check_size` let pass.

    Raises:
        ChecksumError: it cannot be inflated, or does not match its sum.
        FormatError: it gives more or fewer bytes.
    """
    data = stored
    for position in reversed(range(len(filters))):
        if filters[position] == FLETCHER32:
            data = _strip_sum(data, place)
        elif filters[position] == DEFLATE:
            summed = FLETCHER32 in filters[:position]
            data = _inflate(data, nominal + _SUM_BYTES * summed, place)
        else:
            data = _unshuffle(data, width)
    return data


def _inflate(stored: bytes, expected: int, place: str) -> bytes:
    inflater = zlib.decompressobj()
    try:
        data = inflater.decompress(stored, expected + 1)
    except zlib.error as error:
        raise ChecksumError(f"{place}: cannot be inflated: {error}") from None
    if len(data) <= expected and not inflater.eof:
        raise ChecksumError(f"{place}: the compressed bytes end too early")
    if len(data) != expected:
        count = "more" if len(data) > expected else f"{len(data):,}"
        raise FormatError(f"{place}: {expected:,} bytes expected, found {count}")
    return data


def _unshuffle(data: bytes, width: int) -> bytes:
    """Put together elements of ``width`` bytes whose first ones come first, then the second ones.

    What is too short for an element stands at the end as it is.
    """
    import numpy as np

    count = len(data) // width
    if width == 1 or count <= 1:
        return data
    whole = np.frombuffer(data, np.uint8, count * width)
    return whole.reshape(width, count).T.tobytes() + data[count * width :]


def _strip_sum(data: bytes, place: str) -> bytes:
    kept, stored = data[:-_SUM_BYTES], int.from_bytes(data[-_SUM_BYTES:], "little")
    found = fletcher32(kept)
    # Before its release 1.6.3 the library swapped the bytes of both halves.
    swapped = (found & 0x00FF00FF) << 8 | (found & 0xFF00FF00) >> 8
    if stored not in (found, swapped):
        raise ChecksumError(f"{place}: does not match its Fletcher-32 sum")
    return kept


def fletcher32(data: bytes) -> int:
    """Return the Fletcher-32 sum of ``data``, in words of two bytes, the higher one first.

    The library sums as here and folds, so that a sum which 65,535 divides is 65,535 and not 0,
    except where all bytes are 0.
    """
    import numpy as np

    words = np.frombuffer(data + b"\0" * (len(data) % 2), ">u2")
    steps = np.arange(_BLOCK, dtype=np.uint64)
    first = second = 0
    for start in range(0, len(words), _BLOCK):
        block = words[start : start + _BLOCK].astype(np.uint64)
        total = int(block.sum())
        first += total
        # A word is in the first sum, and so in the second, as often as there are words from it on.
        second += total * (len(words) - start) - int(block @ steps[: len(block)])
    return _fold(second) << 16 | _fold(first)


def _fold(total: int) -> int:
    return (total - 1) % 0xFFFF + 1 if total else 0
