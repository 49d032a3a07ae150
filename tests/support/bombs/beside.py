"""Folders of a sound model and more beside it than any has, and pairs that take long to compare."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import numpy as np
from safetensors.numpy import save_file
from support import bundles, raws

from .bomb import Bomb

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path
    from typing import Any

    Array = np.ndarray[Any, Any]

    from .bomb import Write


def beside(name: str, *pieces: str, times: int = 1) -> Write:
    """A file beside a model: its start, so many times its middle, and its end."""
    first, *rest = pieces
    middle, end = rest or ("", "")

    def write(folder: Path) -> None:
        bundles.write_gpt2(folder)
        (folder / name).write_text(first + middle * times + end)

    return write


def write_names(folder: Path, names: Iterable[str], *, model: bool = True) -> None:
    if model:
        bundles.write_gpt2(folder)
    for name in names:
        (folder / name).touch()


def write_links(folder: Path) -> None:
    """Write a JSON file of 4 MB under 900 names, which are all that may be looked at."""
    bundles.write_gpt2(folder)
    (folder / "0.json").write_text("[" + "1," * 2_000_000 + "1]")
    for number in range(1, 900):
        os.link(folder / "0.json", folder / f"{number}.json")


def write_files(folder: Path) -> None:
    """Write 900 JSON files of 50 KB."""
    bundles.write_gpt2(folder)
    text = json.dumps(dict.fromkeys(map(str, range(5_000)), 1))
    for number in range(900):
        (folder / f"{number}.json").write_text(text)


def write_vocabulary(folder: Path) -> None:
    bundles.write_gpt2(folder)
    text = ",".join(f'"{number:x}":{number}' for number in range(1_000_000))
    (folder / "vocab.json").write_text("{" + text + "}")


def save(path: Path, arrays: Mapping[str, Array], sizes: Mapping[str, int]) -> None:
    stated = {"gpt2-convert": json.dumps({"hparams": sizes, "source_format": "npz"})}
    save_file({name: np.ascontiguousarray(each) for name, each in arrays.items()}, path, stated)


def write_pair(folder: Path) -> None:
    """Write two models of 53 MB whose tensors all begin with the same 4 KB, and differ after it."""
    sizes = {"n_vocab": 4, "n_ctx": 4, "n_embd": 68, "n_head": 1, "n_layer": 128}
    for seed, name in enumerate(("a.safetensors", "b.safetensors")):
        arrays = raws.canonical(sizes, seed)
        for array in arrays.values():
            array.reshape(-1).view(np.uint8)[:4096] = 0
        save(folder / name, arrays, sizes)


def write_extras(folder: Path) -> None:
    """Write two sound models, of which one has 15,000 tensors more."""
    arrays = raws.canonical()
    save(folder / "a.safetensors", arrays, bundles.TINY)
    more = {f"more{number}": np.zeros(1, np.float32) for number in range(15_000)}
    save(folder / "b.safetensors", {**arrays, **more}, bundles.TINY)


LOOKING = ("inspect", "json", "stats", "hf", "tf")
"""The commands that look at the files beside a model."""
STATED = json.dumps(raws.CONFIG)[:-1]
BOMBS = {
    "20,000 files and no model": Bomb(
        lambda folder: write_names(folder, map(str, range(20_000)), model=False),
        "",
        "no checkpoint among the first 1,000 of 20,000 names",
    ),
    "20,000 files beside a model": Bomb(
        lambda folder: write_names(folder, (f"{number}.md" for number in range(20_000))),
        "",
        "more than 1,000 files beside the weights",
        only=("hf", "tf", "verify"),
    ),
    "30,000 checkpoints": Bomb(
        lambda folder: write_names(folder, (f"m-{number}.index" for number in range(30_000))),
        "model.ckpt",
    ),
    "900 names of 4 MB of JSON": Bomb(
        write_links, "", "has more than 16 names", only=("hf", "tf", "verify")
    ),
    "900 JSON files": Bomb(write_files),
    "a tokenizer of numbers": Bomb(
        beside("tokenizer.json", '{"model":[', "1,", "1]}", times=2_000_000)
    ),
    "a tokenizer of arrays": Bomb(
        beside("tokenizer.json", '{"model":[', "[],", "1]}", times=1_300_000)
    ),
    "a vocabulary of a million": Bomb(
        write_vocabulary, "", "more than 500,000 tokens", only=LOOKING
    ),
    "a line of 100 MB of merges": Bomb(
        beside("merges.txt", "", "a", "", times=100 << 20),
        "",
        "a line of more than 65,536 bytes",
        only=LOOKING,
    ),
    "ten million merges": Bomb(beside("merges.txt", "", "a b\n", "", times=10_000_000)),
    "a configuration of arrays": Bomb(
        beside("config.json", f'{STATED},"x":[', "[],", "1]}", times=300_000),
        "",
        "takes .* bytes as",
        only=("npz", "hdf5", "hf", "tf"),
    ),
    "a configuration of keys": Bomb(
        beside("config.json", STATED + "".join(f',"{n:x}":1' for n in range(90_000)) + "}"),
        "",
        "takes .* bytes as",
        only=("npz", "hdf5", "hf", "tf"),
    ),
    "a billion layers": Bomb(
        beside("hparams.json", json.dumps({**bundles.TINY, "n_layer": 10**9})),
        "",
        "says n_layer 1000000000",
    ),
    "a pair that begins alike": Bomb(write_pair, "a.safetensors", target="b.safetensors"),
    "a pair of which one has more": Bomb(write_extras, "a.safetensors", target="b.safetensors"),
}
