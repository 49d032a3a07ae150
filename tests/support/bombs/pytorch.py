"""PyTorch files: pickles that do much, views that are read over and over, names by the thousand."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import numpy as np
from support import torch_files
from support.torch_files import Storage, View, view

from .bomb import NO_MODEL, TOO_MANY, Bomb

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from .bomb import Write

FILE = "pytorch_model.bin"
INDEX = f"{FILE}.index.json"
NUMBER = np.ones(1, np.float32)


def pickled(data: bytes, count: int = 1) -> bytes:
    """Return a file around any pickle, with as many storages of four bytes."""
    storages = {f"data/{number}": NUMBER.tobytes() for number in range(count)}
    return torch_files.zipped({"data.pkl": data, **storages})


def program(data: bytes) -> Write:
    return lambda folder: (folder / FILE).write_bytes(pickled(data))


def saved(value: object, format: str = "zip") -> Write:
    return lambda folder: torch_files.write(folder / FILE, value, format)


def tensors(count: int, name: str = "{:x}", shape: tuple[int, ...] = ()) -> dict[str, View]:
    storage = Storage(NUMBER)
    return {name.format(number): view(storage, shape) for number in range(count)}


def write_index(folder: Path, shards: Iterable[str]) -> None:
    weight_map = {f"t{number}": shard for number, shard in enumerate(shards)}
    (folder / INDEX).write_text(json.dumps({"weight_map": weight_map}))


def shards(count: int, content: bytes) -> Write:
    """Shards of their own, each of them the same bytes."""

    def write(folder: Path) -> None:
        names = [f"s{number}.bin" for number in range(count)]
        for name in names:
            (folder / name).write_bytes(content)
        write_index(folder, names)

    return write


def links(count: int, content: bytes) -> Write:
    """One shard under as many names."""

    def write(folder: Path) -> None:
        names = [f"s{number}.bin" for number in range(count)]
        (folder / names[0]).write_bytes(content)
        for name in names[1:]:
            os.link(folder / names[0], folder / name)
        write_index(folder, names)

    return write


def within(data: bytes) -> bytes:
    """Return the pickle of a dict with a value that is made by these opcodes."""
    return b"\x80\x02}X\1\0\0\0x" + data + b"s."


WORDS = within(b"]" + b"Na" * 140_000 + b"0")
"""As many opcodes as there may be, nearly, and then one that is not known."""
BOMBS = {
    "300,000 values": Bomb(
        program(within(b"](" + b"N" * 299_000 + b"e")), FILE, NO_MODEL, listed=True
    ),
    "300,000 lists": Bomb(
        program(within(b"](" + b"]" * 299_000 + b"e")), FILE, NO_MODEL, listed=True
    ),
    "4 MB of lists": Bomb(program(within(b"](" + b"]" * 4_000_000 + b"e")), FILE, "opcodes"),
    "150,000 values in the memo": Bomb(
        program(within(b"](" + b"N\x94" * 149_000 + b"e")), FILE, NO_MODEL, listed=True
    ),
    "a list that doubles": Bomb(
        program(within(b"(]q\0" + b"".join(
            b"(" + b"h%c" % turn * 4_500 + b"tq%c" % (turn + 1) for turn in range(60)
        ) + b"t")), FILE, NO_MODEL, listed=True,
    ),
    "8,000 tensors": Bomb(saved(tensors(8_000)), FILE, NO_MODEL, listed=True, stats=TOO_MANY),
    "8,000 tensors of before 1.6": Bomb(
        saved(tensors(8_000), "legacy"), FILE, NO_MODEL, listed=True, stats=TOO_MANY
    ),
    "15,000 tensors": Bomb(saved(tensors(15_000)), FILE, "more than 300,000 opcodes"),
    "8,000 tensors of 32 axes": Bomb(
        saved(tensors(8_000, shape=(1,) * 32)), FILE, "opcodes|more than 64,000 axes"
    ),
    "16,000 members": Bomb(
        lambda folder: (folder / FILE).write_bytes(pickled(within(b"N"), 16_000)), FILE,
        NO_MODEL, listed=True,
    ),
    "a name of 4 MB": Bomb(saved(tensors(1, "a" * 4_000_000)), FILE, NO_MODEL, listed=True),
    "a name of 1,000,000 control characters": Bomb(
        saved(tensors(1, "\1" * 1_000_000)), FILE, NO_MODEL, listed=True
    ),
    "64 MB of one number": Bomb(
        saved({"x": view(NUMBER, (4_000, 4_000), (0, 0))}), FILE, NO_MODEL, listed=True
    ),
    "64 MB of an overlapping window": Bomb(
        saved({"x": view(np.ones(8_000, np.float32), (4_000, 4_000), (1, 1))}), FILE, NO_MODEL,
        listed=True,
    ),
    "64 MB in columns": Bomb(
        saved({"x": view(np.ones(1_048_576, np.float32), (4_000, 4_000), (1, 260))}), FILE,
        NO_MODEL, listed=True,
    ),
    "8,000 tensors of one storage of 8,000 bytes": Bomb(
        saved({f"{number:x}": view(Storage(np.ones(2_000, np.float32), key="0"), (1,), (1,), 7)
               for number in range(8_000)}), FILE, NO_MODEL, listed=True, stats=TOO_MANY,
    ),
    "300 MB of views of 2 MB": Bomb(
        saved({"x": view(np.ones(1 << 19, np.float32), (149, 1 << 19), (0, 1))}), FILE,
        "more than 100 times",
    ),
    "200 shards of 280,000 opcodes": Bomb(
        shards(200, pickled(WORDS)), INDEX, "more than 300,000 opcodes"
    ),
    "200 shards with names of 200,000 bytes": Bomb(
        shards(200, torch_files.zip_file(tensors(1, "a" * 200_000))), INDEX,
        "more than 5,242,880 bytes of headers|of names",
    ),
    "1,000 links to 4 MB": Bomb(
        links(1_000, pickled(within(b"](" + b"X\0\0\x01\0" + bytes(65_536) * 60 + b"e"))), INDEX,
        "the same file as|s0.bin",
    ),
    "10,000 missing shards": Bomb(
        lambda folder: write_index(folder, [f"s{number}.bin" for number in range(10_000)]), INDEX,
        r"s0\.bin: missing",
    ),
}  # fmt: skip
