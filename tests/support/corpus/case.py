"""One malformed checkpoint, and what every family of them is made of."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Write = Callable[[Path], object]
    """Fills an empty folder with the files of a case."""
    Change = Callable[[bytes], bytes]
    """Does to the bytes of a file what is wrong with it."""

SIZES = {"n_vocab": 11, "n_ctx": 5, "n_embd": 4, "n_head": 2, "n_layer": 1}
"""A GPT-2 of 1,400 bytes. Every case is one that converts, but for a single defect."""
HPARAMS = json.dumps(SIZES).encode()
CUTS = (0.05, 0.2, 0.4, 0.6, 0.8, 0.95)
"""Where files are truncated, as parts of their length."""


@dataclass(frozen=True)
class Case:
    """``write`` makes the files, ``source`` is the one of them to pass (or the folder, if empty).

    The message has to name ``file``, and ``says`` is a regular expression for the place in it, or
    for what is wrong there. ``legal`` are the cases that a format allows and this tool refuses.
    """

    family: str
    write: Write
    source: str
    file: str
    says: str
    legal: bool = False


def flip(data: bytes, place: int, mask: int = 1) -> bytes:
    place %= len(data)
    return data[:place] + bytes([data[place] ^ mask]) + data[place + 1 :]


def flip_at(place: int, mask: int = 1, after: bytes = b"") -> Change:
    """Flip bits of the byte at a place, or so far behind where ``after`` stands."""
    return lambda data: flip(data, data.index(after) + place if after else place, mask)


def cut_at(part: float) -> Change:
    return lambda data: data[: int(part * len(data))]


def first(size: int) -> Change:
    return lambda data: data[:size]


def patch(data: bytes, place: int, new: bytes) -> bytes:
    place %= len(data)
    return data[:place] + new + data[place + len(new) :]


def nested(depth: int) -> bytes:
    """JSON that is as deep as that."""
    return b'{"a":' * depth + b"1" + b"}" * depth
