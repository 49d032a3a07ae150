"""Archives: headers, directories and members that cost more than they weigh."""

from __future__ import annotations

import io
import json
import struct
import zipfile
import zlib
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from support import bundles
from support.npz_files import header, raw_header

from .bomb import NO_MODEL, TOO_MANY, Bomb

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from .bomb import Write

FILE = "x.npz"
NUMBER = header(shape=()) + bytes(4)
"""A member that is one number."""


@cache
def deflate(data: bytes) -> bytes:
    deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
    return deflater.compress(data) + deflater.flush()


def write_zip(
    path: Path,
    members: Iterable[tuple[str, bytes]],
    *,
    comment: bytes = b"",
    extra: bytes = b"",
    stored: bool = False,
) -> None:
    """Write an archive of any number of members; zipfile takes minutes for the largest here."""
    data, directory, count = bytearray(), bytearray(), 0
    for name, content in members:
        body = content if stored else deflate(content)
        numbers = (zlib.crc32(content), len(body), len(content), len(name))
        method, encoded = (0 if stored else 8), name.encode()
        at = len(data)
        data += struct.pack("<4s5H3L2H", b"PK\3\4", 20, 0, method, 0, 33, *numbers, 0)
        data += encoded + body
        directory += struct.pack("<4s6H3LH", b"PK\1\2", 20, 20, 0, method, 0, 33, *numbers)
        directory += struct.pack("<4H2L", len(extra), 0, 0, 0, 0, at) + encoded + extra
        count += 1
    sizes = (count, count, len(directory), len(data), len(comment))
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, *sizes)
    path.write_bytes(data + directory + end + comment)


def many(count: int, content: bytes, *, extra: bytes = b"", stored: bool = False) -> Write:
    return lambda folder: write_zip(
        folder / FILE,
        ((f"w{number}.npy", content) for number in range(count)),
        extra=extra,
        stored=stored,
    )


def axes(count: int) -> bytes:
    shape = b"(" + b"1," * count + b")"
    text = b"{'descr': '<f4', 'fortran_order': False, 'shape': " + shape + b", }"
    return raw_header(text) + bytes(4)


def padded() -> bytes:
    """Return a member with as long a header as NumPy reads."""
    text = b"{'descr': '<f4', 'fortran_order': False, 'shape': (), }"
    return raw_header(text.ljust(9_990)) + bytes(4)


def odd() -> bytes:
    """Return a member whose header NumPy alone can parse."""
    return raw_header(b"{'shape': (1,), 'fortran_order': False, 'descr': '<f4'}") + bytes(4)


def write_shared(folder: Path) -> None:
    """Write an archive whose directory has one member 500 times: 4 MB that inflate to nothing."""
    body = b"\0\0\0\xff\xff" * 800_000 + deflate(NUMBER)
    numbers = (zlib.crc32(NUMBER), len(body), len(NUMBER), 5)
    local = struct.pack("<4s5H3L2H", b"PK\3\4", 20, 0, 8, 0, 33, *numbers, 0) + b"w.npy" + body
    record = struct.pack("<4s6H3LH", b"PK\1\2", 20, 20, 0, 8, 0, 33, *numbers)
    directory = 500 * (record + struct.pack("<4H2L", 0, 0, 0, 0, 0, 0) + b"w.npy")
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 500, 500, len(directory), len(local), 0)
    (folder / FILE).write_bytes(local + directory + end)


def write_long_names(folder: Path) -> None:
    write_zip(folder / FILE, [(f"{n:03}" + "\1" * 65_000 + ".npy", NUMBER) for n in range(125)])


def write_long_name(folder: Path) -> None:
    """Write an archive of one name of 65 KB and many short ones."""
    names = ["a" * 65_000, *(f"w{number}" for number in range(15_999))]
    write_zip(folder / FILE, [(f"{name}.npy", NUMBER) for name in names])


def write_zeros(folder: Path) -> None:
    """Write an archive of 200 MB in 200 KB."""
    with (
        zipfile.ZipFile(folder / FILE, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("wte.npy", "w") as file,
    ):
        file.write(header(shape=(50 << 20,)))
        for _ in range(200):
            file.write(bytes(1 << 20))


def write_slots(folder: Path) -> None:
    """Write a sound model of 88 layers of one number, and 14 numbers of optimizers for each."""
    slots = "Adam Adam_1 adam adam_1 adam_m adam_v m v AdamW AdamW_1 lamb_m lamb_v Adam_2 Adam_3"
    sizes = {"n_vocab": 2, "n_ctx": 2, "n_embd": 1, "n_head": 1, "n_layer": 88}
    stated = {"hparams": sizes, "source_format": "npz"}
    members = []
    for name, array in bundles.gpt2_arrays(sizes).items():
        stream = io.BytesIO()
        np.lib.format.write_array(stream, array)
        members.append((f"{name}.npy", stream.getvalue()))
        members += [(f"{name}/{slot}.npy", NUMBER) for slot in slots.split()]
    write_zip(folder / FILE, members, comment=json.dumps(stated).encode())


BOMBS = {
    "4,900 axes": Bomb(many(2_000, axes(4_900)), FILE, "'w0.npy': 4,900 axes, where at most 32"),
    "32 axes each": Bomb(many(16_000, axes(32)), FILE, "more than 64,000 axes"),
    "16,000 members": Bomb(many(16_000, NUMBER), FILE, NO_MODEL, listed=True, stats=TOO_MANY),
    "16,000 stored members": Bomb(
        many(16_000, NUMBER, stored=True), FILE, NO_MODEL, listed=True, stats=TOO_MANY
    ),
    "5,000 members": Bomb(many(5_000, NUMBER), FILE, NO_MODEL, listed=True),
    "headers of 10 KB": Bomb(many(4_000, padded()), FILE, "more than 5,242,880 bytes of headers"),
    "headers for a parser": Bomb(many(16_000, odd()), FILE, "more than 1,000 headers"),
    "extra fields": Bomb(
        many(125, NUMBER, extra=b"\xaa\xaa\0\0" * 16_383), FILE, "bytes of extra fields"
    ),
    "one member 500 times": Bomb(write_shared, FILE, "'w.npy': starts at byte 0, inside 'w.npy'"),
    "names of 65 KB": Bomb(write_long_names, FILE, "more than 4,194,304 bytes of names"),
    "one name of 65 KB": Bomb(write_long_name, FILE, NO_MODEL, listed=True, stats=TOO_MANY),
    "zeros": Bomb(write_zeros, FILE, "bytes of elements in"),
    "a model with slots": Bomb(write_slots, FILE),
}
