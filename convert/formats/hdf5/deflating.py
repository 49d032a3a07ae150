"""A chunk shuffled and deflated, as the library's filters do it; :mod:`.filters` undoes it.

Shuffled are the first bytes of all elements, then the second ones, and so on: a plane for each byte
of an element. Of floats the first planes are the lower bits of the fractions, which are noise that
nothing shortens, and only the last ones, with the exponents, are worth the search for what repeats.
So the planes whose samples hardly get shorter, from the first one on, are stored as they are, and
the rest is left to libdeflate. Its output does not depend on the processor, so neither does what a
sample says.

Layout (RFC 1950 and 1951): two bytes of head, stored blocks, the blocks that libdeflate makes of
which the last one says so, and the Adler-32 sum of all that was deflated. A stored block is a byte
0 (not the last one, stored, and filled up to a whole byte), its length as a 16-bit little-endian
number, the complement of that, and the bytes.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Final

LEVEL: Final = 1
"""Of deflate: after shuffling, level 6 gains 1 % on weights and takes three times as long."""
_HEAD: Final = b"\x78\x01"
"""Deflate with a window of 32 KiB, at the fastest level: a multiple of 31, as it has to be."""
_MAX_STORED: Final = 0xFFFF
_STRETCHES: Final = 4
_STRETCH: Final = 1024
"""Bytes of each of the stretches that are a plane's sample."""
_WORTH: Final = 32
"""What part of its sample a plane has to lose: less is not worth the time."""


def load_deflate() -> None:
    """Import the library, before there is a target."""
    import deflate  # noqa: F401


def shuffle(data: bytes, itemsize: int) -> bytes:
    """Return the bytes of elements of ``itemsize`` bytes, plane by plane."""
    import numpy as np

    return np.frombuffer(data, np.uint8).reshape(-1, itemsize).T.tobytes()


def deflate_planes(planes: bytes, size: int) -> bytes:
    """Return planes of ``size`` bytes each as one stream of zlib's format."""
    from deflate import adler32, deflate_compress

    noise = _measure_noise(planes, size)
    return b"".join((
        _HEAD,
        *_store(planes[:noise]),
        deflate_compress(planes[noise:], LEVEL),
        adler32(planes).to_bytes(4, "big"),
    ))  # fmt: skip


def _measure_noise(planes: bytes, size: int) -> int:
    """Return how many bytes there are before the first plane whose sample gets much shorter.

    That is the last plane at the latest.
    """
    from deflate import deflate_compress

    last = len(planes) - size
    for start in range(0, last, size):
        sample = _sample(planes[start : start + size])
        if len(deflate_compress(sample, LEVEL)) < len(sample) - len(sample) // _WORTH:
            return start
    return last


def _sample(plane: bytes) -> bytes:
    """Return stretches from all over a plane, or all of a short one."""
    if len(plane) <= _STRETCHES * _STRETCH:
        return plane
    step = len(plane) // _STRETCHES
    return b"".join(plane[at * step : at * step + _STRETCH] for at in range(_STRETCHES))


def _store(data: bytes) -> Iterator[bytes]:
    """Yield blocks that hold ``data`` as it is; none of them is the last one of a stream."""
    for start in range(0, len(data), _MAX_STORED):
        block = data[start : start + _MAX_STORED]
        yield struct.pack("<BHH", 0, len(block), _MAX_STORED - len(block))
        yield block
