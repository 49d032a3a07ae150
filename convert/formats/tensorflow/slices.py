"""Partitioned tensors: the parts that their slices are, and whether these make up the whole.

The index keeps the entry of each slice under a key in LevelDB's ordered code, and the keys start
with a zero byte, so that they stand before all names (TensorFlow's saved_tensor_slice_util.cc and
ordered_code.cc)::

    00          the number 0
    name        with 00 written 00 ff, and ff written ff 00
    00 01       the end of the name
    01 rank     the number of axes (00 alone, if it is 0)
    then, an axis, two signed numbers: start and length, or 0 and -1 for the whole axis

A signed number of up to 6 bits takes one byte, and one byte more for each 7 bits more: in n bytes,
big-endian, the first n bits inverted, so that they tell n and the sign. [0, 3) x [0, 4) of "w" is
00 77 00 01 01 02 80 83 80 84.

Limits: slices have the tensor's dtype, and tile it: they neither overlap nor leave a hole. No
more than 8 axes. TensorFlow's own reader returns uninitialised memory where a slice's entry is
smaller than its extents say; here it is refused.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...errors import FormatError
from ...quoting import clip, quote
from .entries import parse_entry

if TYPE_CHECKING:
    from typing import Final

    from .entries import Entry, Extent

_PRIME: Final = (1 << 61) - 1


@dataclass(frozen=True, slots=True)
class Part:
    """A box of the tensor ``name``, stored in one piece: a slice, or all of it.

    It starts at the element ``starts`` and has the shape of ``entry``, which says where it lies.
    """

    name: str
    starts: tuple[int, ...]
    entry: Entry
    whole: bool

    @property
    def label(self) -> str:
        """What a message calls it: ``'wte'``, or ``'wte' [0:3, 0:768]``."""
        if self.whole:
            return quote(self.name)
        ends = zip(self.starts, self.entry.shape, strict=True)
        spans = ", ".join(f"{start}:{start + length}" for start, length in ends)
        return f"{quote(self.name)} [{clip(spans)}]"


def find_parts(
    name: str, entry: Entry, values: dict[bytes, bytes], num_shards: int, where: str
) -> tuple[Part, ...]:
    """Return the parts of a tensor; each slice's entry is taken out of ``values``.

    ``values`` are those of the index by key, ``where`` is its path.

    Raises:
        FormatError: a slice has no entry, or one that contradicts it; or they do not tile the
            tensor.
        UnsupportedError: a slice's dtype is not known.
    """
    if not entry.slices:
        return (Part(name, (0,) * len(entry.shape), entry, whole=True),)
    place = f"{where}: {quote(name)}"
    prefix = _key_prefix(name, len(entry.shape))
    parts: list[Part] = []
    for extents in entry.slices:
        message = values.pop(prefix + b"".join(map(_encode_extent, extents)), None)
        starts = tuple(extent.start for extent in extents)
        shape = tuple(
            dim if extent.length is None else extent.length
            for extent, dim in zip(extents, entry.shape, strict=True)
        )
        here = f"{place}: slice at {starts} of {shape}"
        if message is None:
            raise FormatError(f"{here}: it has no entry of its own, or stands twice")
        found = parse_entry(message, num_shards, here)
        if found.slices:
            raise FormatError(f"{here}: it is itself cut into slices")
        if (found.dtype, found.shape) != (entry.dtype, shape):
            raise FormatError(
                f"{here}: {entry.dtype} expected, found {found.dtype} of the shape "
                f"{clip(str(found.shape))}"
            )
        parts.append(Part(name, starts, found, whole=False))
    _check_tiling(entry.shape, parts, place)
    return tuple(parts)


def _key_prefix(name: str, rank: int) -> bytes:
    escaped = re.sub(
        rb"[\0\xff]",
        lambda found: found[0] + (b"\0" if found[0] == b"\xff" else b"\xff"),
        name.encode("utf-8", "surrogateescape"),
    )
    return b"\0" + escaped + b"\0\1" + (bytes([1, rank]) if rank else b"\0")


def _encode_extent(extent: Extent) -> bytes:
    return _encode_signed(extent.start) + (
        b"\x7f" if extent.length is None else _encode_signed(extent.length)
    )


def _encode_signed(value: int) -> bytes:
    """Encode a number that is not negative."""
    size = value.bit_length() // 7 + 1
    return (value ^ ((1 << size) - 1) << 7 * size).to_bytes(size, "big")


def _check_tiling(shape: tuple[int, ...], parts: list[Part], place: str) -> None:
    """Refuse parts that overlap or leave a hole, in time that grows with their number alone.

    Parts tile a shape if each of its corners cancels out: count a box's corners as +1 or -1, by
    whether the number of axes on which they are its ends is even or odd, add up those of all
    parts, and what remains are those of the shape. Give each coordinate of each axis a random
    value, and the product of its coordinates' values to each corner, and a box's sum is the
    product over the axes of value(end) - value(start). Where a corner is left over the sums still
    agree with a chance of rank / 2^61 (Schwartz and Zippel).
    """
    elements, expected = sum(math.prod(part.entry.shape) for part in parts), math.prod(shape)
    if elements != expected:
        raise FormatError(
            f"{place}: its slices have {elements:,} elements together, where the shape "
            f"{clip(str(shape))} has {expected:,}"
        )
    import secrets  # slow to import, and few checkpoints are partitioned

    values: list[dict[int, int]] = [{} for _ in shape]

    def measure(starts: tuple[int, ...], lengths: tuple[int, ...]) -> int:
        product = 1
        for value, start, length in zip(values, starts, lengths, strict=True):
            for at in (start, start + length):
                if at not in value:
                    value[at] = secrets.randbelow(_PRIME)
            product = product * (value[start + length] - value[start]) % _PRIME
        return product

    total = sum(measure(part.starts, part.entry.shape) for part in parts)
    if (total - measure((0,) * len(shape), shape)) % _PRIME:
        raise FormatError(f"{place}: its slices overlap and leave holes")
