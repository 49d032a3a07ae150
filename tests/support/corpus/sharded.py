"""safetensors in several files: indexes that lead astray, shards that do not fit them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from support import raws

from .case import SIZES, Case, nested
from .safetensors import WTE, encode

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any

    from .case import Write

FAMILY = "sharded safetensors"
INDEX = "model.safetensors.index.json"
FIRST, SECOND = (f"model-0000{number}-of-00002.safetensors" for number in (1, 2))


def shards() -> dict[str, bytes]:
    arrays = raws.huggingface(SIZES)
    names = list(arrays)
    halves = {FIRST: names[:8], SECOND: names[8:]}
    files = {shard: encode({name: arrays[name] for name in part}) for shard, part in halves.items()}
    weight_map = {name: shard for shard, part in halves.items() for name in part}
    index = {"metadata": {"total_size": 1408}, "weight_map": weight_map}
    return {INDEX: json.dumps(index).encode(), **files}


def change_files(change: Callable[[dict[str, bytes]], object]) -> Write:
    def write(folder: Path) -> None:
        files = shards()
        change(files)
        for name, content in files.items():
            (folder / name).write_bytes(content)

    return write


def index_text(change: Callable[[bytes], bytes]) -> Write:
    return change_files(lambda files: files.update({INDEX: change(files[INDEX])}))


def index(change: Callable[[dict[str, Any]], object]) -> Write:
    def change_text(text: bytes) -> bytes:
        fields = json.loads(text)
        change(fields)
        return json.dumps(fields).encode()

    return index_text(change_text)


def leads_to(shard: object) -> Write:
    return index(lambda fields: fields["weight_map"].update({WTE: shard}))


def shard(change: Callable[[bytes], bytes]) -> Write:
    return change_files(lambda files: files.update({SECOND: change(files[SECOND])}))


def shard_is_link(folder: Path) -> None:
    change_files(lambda files: files.pop(SECOND))(folder)
    (folder / SECOND).symlink_to(SECOND)


def sharded(write: Write, says: str, file: str = INDEX) -> Case:
    return Case(FAMILY, write, INDEX, file, says)


PLAIN = f"'{WTE}': the name of a file beside the index"

CASES: dict[str, Case] = {
    **{
        f"shard {what}": sharded(leads_to(path), PLAIN)
        for what, path in {
            "in the parent": "../model.safetensors", "of the system": "/etc/passwd",
            "in a folder": "a/b.safetensors", "that is the parent": "..",
            "that is the folder": ".", "without a name": "", "with a zero byte": "a\0b",
            "with a newline": "a\nb",
            "with a backslash": "..\\b", "on a drive": "C:b", "that is a number": 1,
            "that is null": None, "that is a list": ["a"], "with a long name": "a" * 300,
            "far away": "https://example.org/b.safetensors",
        }.items()
    },
    "shard that is not listed": sharded(leads_to("model-3.safetensors"), f"has '{WTE}'", FIRST),
    "shard that is the index": sharded(leads_to(INDEX), f"has '{WTE}'", FIRST),
    "shard that is a link to itself": sharded(shard_is_link, "symbolic links", SECOND),
    "shard that is gone": sharded(
        change_files(lambda files: files.pop(SECOND)), "missing: the index has", SECOND
    ),
    "shard that is empty": sharded(shard(lambda _: b""), "an empty file", SECOND),
    "shard cut short": sharded(shard(lambda data: data[:-1]), "truncated", SECOND),
    "shard cut in its header": sharded(shard(lambda data: data[:99]), "truncated", SECOND),
    "shard that is the other one": sharded(
        change_files(lambda files: files.update({SECOND: files[FIRST]})), "has no '", SECOND
    ),
    "tensor in another shard": sharded(leads_to(SECOND), "put there|puts there", "model-0000"),
    "tensor in no shard": sharded(
        index(lambda fields: fields["weight_map"].update(x=FIRST)), "has no 'x'", FIRST
    ),
    "tensor that is not in the index": sharded(
        index(lambda fields: fields["weight_map"].pop(WTE)), f"has '{WTE}'", "model-0000"
    ),
    "ten thousand shards": sharded(
        index(
            lambda fields: fields["weight_map"].update(
                {f"t{number}": f"s{number}" for number in range(10_001)}
            )
        ),
        "more than 10,000 shards",
    ),
    "index that is empty": sharded(index_text(lambda _: b""), "an empty file"),
    "index cut short": sharded(index_text(lambda text: text[:-9]), "not valid JSON"),
    "index that is a list": sharded(index_text(lambda _: b"[]"), "a JSON object expected"),
    "index without a map": sharded(index_text(lambda _: b"{}"), "weight_map: an object"),
    "index whose map is a list": sharded(
        index_text(lambda _: b'{"weight_map": [1]}'), "weight_map: an object"
    ),
    "index with a tensor twice": sharded(
        index_text(lambda text: text.replace(b"wpe.weight", b"wte.weight")), "stands twice"
    ),
    "index 100,000 levels deep": sharded(index_text(lambda _: nested(100_000)), "too deeply"),
    "index of five megabytes": sharded(index_text(lambda text: text + b" " * (5 << 20)), "5,24"),
    "index that is not UTF-8": sharded(
        index_text(lambda text: text.replace(b"wte", b"\xff\xfe\xfd")), "not valid JSON"
    ),
}  # fmt: skip
