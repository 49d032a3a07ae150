"""safetensors files: headers of megabytes, and hundreds of names for one of them."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from support import bundles, raws
from support.safetensors_files import Header, encode, entry

from .bomb import NO_MODEL, TOO_MANY, Bomb

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from .bomb import Write

FILE = "x.safetensors"
INDEX = "model.safetensors.index.json"
MOST = (4 << 20) - 100
"""Bytes of a header, nearly as long as one may be."""
EMPTY = '{"dtype":"F32","shape":[%s0],"data_offsets":[0,0]}'


def headed(text: Callable[[], str]) -> Write:
    return lambda folder: (folder / FILE).write_bytes(encode(text(), b""))


def metadata() -> str:
    """Return a header that is full of metadata: hundreds of thousands of keys."""
    keys = (f'"{number:x}":""' for number in range(MOST // 13))
    return '{"__metadata__":{' + ",".join(keys) + "}}"


def tensors(count: int, shape: str = "", name: str = "{:x}") -> str:
    described = EMPTY % shape
    return "{" + ",".join(f'"{name.format(n)}":{described}' for n in range(count)) + "}"


def shape_of(item: str) -> str:
    return '{"a":' + EMPTY % (f"{item}," * (MOST // (len(item) + 1) - 20)) + "}"


def write_index(folder: Path, shards: Iterable[str], more: str = "") -> None:
    weight_map = {f"t{number}": shard for number, shard in enumerate(shards)}
    text = json.dumps({"weight_map": weight_map}, separators=(",", ":"))
    (folder / INDEX).write_text(f"{text[:-1]}{more}}}")


def links(count: int, header: Callable[[], str], data: bytes = b"", *, soft: bool = False) -> Write:
    """One shard under as many names, and an index that has a tensor in each."""

    def write(folder: Path) -> None:
        names = [f"s{number}.safetensors" for number in range(count)]
        (folder / names[0]).write_bytes(encode(header(), data))
        for name in names[1:]:
            if soft:
                (folder / name).symlink_to(names[0])
            else:
                os.link(folder / names[0], folder / name)
        write_index(folder, names)

    return write


def copies(count: int) -> Write:
    """Shards of their own, each with a header of 2 MB."""

    def write(folder: Path) -> None:
        names = [f"s{number}.safetensors" for number in range(count)]
        for number, name in enumerate(names):
            text = '{"__metadata__":{"a":"' + "b" * (2 << 20) + f'"}},"t{number}":'
            (folder / name).write_bytes(encode(text + EMPTY % "" + "}", b""))
        write_index(folder, names)

    return write


def write_missing(folder: Path) -> None:
    write_index(folder, [f"s{number}.safetensors" for number in range(10_000)])


def write_long_index(folder: Path) -> None:
    """Write an index that is long, beside a shard of as many tensors as there may be."""
    (folder / "s.safetensors").write_bytes(encode(tensors(16_000), b""))
    write_index(folder, ["s.safetensors"], f',"metadata":[{"[]," * 1_390_000}1]')


def model(**more: object) -> Header:
    """Return the header of a sound model, and whatever else."""
    fields: Header = {}
    at = 0
    for name, array in raws.canonical().items():
        fields[name] = entry(at, at + array.nbytes, list(array.shape), "F32")
        at += array.nbytes
    return fields | more


def write_config(folder: Path) -> None:
    """Write a sound model whose metadata state a configuration of 4 MB."""
    stated = {"hparams": bundles.TINY, "source_format": "npz", "config": {"x": []}}
    text = json.dumps(stated, separators=(",", ":"))[:-3] + "[]," * 1_300_000 + "1]}}"
    data = b"".join(array.tobytes() for array in raws.canonical().values())
    fields = {"__metadata__": {"gpt2-convert": text}, **model()}
    (folder / FILE).write_bytes(encode(json.dumps(fields, separators=(",", ":")), data))


def named(name: str) -> Write:
    """A sound model, and a tensor of another name."""

    def write(folder: Path) -> None:
        data = b"".join(array.tobytes() for array in raws.canonical().values())
        text = json.dumps(model(**{name: entry(len(data), len(data) + 4)}), separators=(",", ":"))
        (folder / FILE).write_bytes(encode(text, data + bytes(4)))

    return write


BOMBS = {
    "200 links to 4 MB of metadata": Bomb(
        links(200, metadata), "", "has no 't0', which|the same file as"
    ),
    "200 symbolic links to it": Bomb(
        links(200, metadata, soft=True), "", "has no 't0', which|the same file as"
    ),
    "1,000 links to 8 MB of data": Bomb(
        links(
            1_000,
            lambda: '{"w":{"dtype":"F32","shape":[2097152],"data_offsets":[0,8388608]}}',
            bytes(8 << 20),
        ),
        "",
        "has no 't0', which|the same file as",
    ),
    "ten shards with 2 MB of headers": Bomb(copies(10), "", "more than 5,242,880 bytes of headers"),
    "10,000 missing shards": Bomb(write_missing, "", r"s0\.safetensors: missing"),
    "an index of 4 MB": Bomb(
        write_long_index, "", "which model.safetensors.index.json puts", stats=TOO_MANY
    ),
    "metadata of 4 MB": Bomb(headed(metadata), FILE, NO_MODEL, listed=True),
    "empty arrays": Bomb(headed(lambda: shape_of("[]")), FILE, "'a': .* axes, where at most 32"),
    "empty objects": Bomb(headed(lambda: shape_of("{}")), FILE, "'a': .* axes, where at most 32"),
    "2,000,000 axes": Bomb(headed(lambda: shape_of("0")), FILE, "'a': .* axes, where at most 32"),
    "a float of 4 MB": Bomb(
        headed(lambda: '{"a":' + EMPTY % ("1" * (MOST - 100) + ",") + "}"), FILE, "found inf"
    ),
    "32 axes each": Bomb(headed(lambda: tensors(15_000, "0," * 31)), FILE, "more than 64,000 axes"),
    "16,000 tensors": Bomb(
        headed(lambda: tensors(16_000)), FILE, NO_MODEL, listed=True, stats=TOO_MANY
    ),
    "a name of 4 MB": Bomb(
        headed(lambda: tensors(1, name="\\u0001" * (MOST // 6 - 20))), FILE, NO_MODEL, listed=True
    ),
    "a name of 700,000 folders": Bomb(
        named("opt/" + "Adam/" * 700_000), FILE, "is in no row", listed=True
    ),
    "a name of 300,000 wrappers": Bomb(
        named("transformer." * 300_000 + "wte.weight"), FILE, "is in no row", listed=True
    ),
    "a configuration of 4 MB": Bomb(
        write_config, FILE, "metadata: .* bytes, where at most 1,048,576"
    ),
}
