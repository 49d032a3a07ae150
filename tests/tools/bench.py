"""Measure each job in whole processes, beside the peer that sets its limit: cp and cmp, NumPy, ...

    make bench                      124M and 774M
    make bench SIZES="124M 1558M"   any of OpenAI's sizes
    make bench-pairs SIZES=1558M    the peak memory of every source and target, with --digest

Files lie in a RAM disk where there is one, so that the figures are of the program and not of a
disk; the figures are medians of ROUNDS runs, the commands taking turns. The disk has to hold three
times the largest model, and the memory a fourth. For the pairs, which need room for two checkpoints
and of which only the memory counts, files lie on the disk.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from support import bundles, torch_files
from support.measure import measure

from gpt2_convert.formats.opening import open_raw
from gpt2_convert.formats.safetensors.writer import write_tensors

from .bench_rows import PROGRAM, list_stages
from .timing import ROUNDS, list_rows, remove, time_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

RAM_DISK = Path("/dev/shm")  # noqa: S108 - read by nobody else, and removed at the end


def make_checkpoint(folder: Path, size: str) -> Path:
    random = np.random.default_rng(0)

    def weights(
        _: str, shape: tuple[int, ...]
    ) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        return random.standard_normal(shape, np.float32)

    return bundles.stream_gpt2(folder / size, bundles.OPENAI[size], weights)


def bench_size(size: str, folder: Path) -> Iterator[str]:
    """Yield a line for each job, with its seconds over those of its peer."""
    source = make_checkpoint(folder, size)
    for rows in list_stages(source, convert_with):
        yield from list_rows(size, rows, time_rows(rows, folder))
    shutil.rmtree(source)


def shard_model(model: Path, folder: Path) -> Path:
    """Write a Hugging Face model anew in three shards."""
    folder.mkdir()
    with open_raw(model) as raw:
        parts = [raw.tensors[number::3] for number in range(3)]
        names = [f"model-{number + 1:05d}-of-00003.safetensors" for number in range(3)]
        for name, part in zip(names, parts, strict=True):
            tensors = {tensor.name: tensor for tensor in part}
            write_tensors(tensors, {"format": "pt"}, folder / name, lambda _: None, "bench")
    weight_map = {
        tensor.name: name for name, part in zip(names, parts, strict=True) for tensor in part
    }
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    shutil.copy(model / "config.json", folder)
    return folder


def pickle_model(model: Path, folder: Path) -> Path:
    """Write the shapes of a Hugging Face model, its weights zeros, as a PyTorch file."""
    folder.mkdir()
    with open_raw(model) as raw, (folder / "pytorch_model.bin").open("wb") as file:
        zeros = np.zeros(1, np.float32)
        state = {
            tensor.name: torch_files.view(np.broadcast_to(zeros, tensor.size), tensor.shape)
            for tensor in raw.tensors
        }
        torch_files.write_zip(file, torch_files.each_member(state))
    shutil.copy(model / "config.json", folder)
    return folder


def bench_pairs(size: str, folder: Path) -> Iterator[str]:
    """Convert every source to every target; the weights are zeros, which changes no memory."""
    makers: dict[str, Callable[[Path], Path]] = {
        "tensorflow": lambda original: original,
        "hf": lambda original: convert_with(original, folder / "source-hf", "hf"),
        "hf sharded": lambda original: shard_model(folder / "source-hf", folder / "source-shards"),
        "pytorch": lambda original: pickle_model(folder / "source-hf", folder / "source-pytorch"),
        "npz": lambda original: convert_with(original, folder / "source.npz", "npz"),
        "safetensors": lambda original: convert_with(original, folder / "source.st", "safetensors"),
        "hdf5": lambda original: convert_with(original, folder / "source.h5", "hdf5"),
    }
    zeros = np.zeros(1, np.float32)
    original = bundles.stream_gpt2(
        folder / size, bundles.OPENAI[size], lambda _, shape: np.broadcast_to(zeros, shape)
    )
    for name, make in makers.items():
        source = make(original)
        for to in ("npz", "safetensors", "hdf5", "hf", "tensorflow"):
            target = folder / "target"
            done = measure([PROGRAM, "convert", source, target, "--to", to, "--digest"], folder)
            if done.code:
                raise SystemExit(f"{name} to {to}: {done.stderr}")
            remove(target)
            pair = f"{name} to {to}"
            yield f"{size:<6} {pair:<25} {done.seconds:7.2f} s  {done.peak / 1e6:6.0f} MB"
        if name != "hf":  # the next two are made of it
            remove(source if source != original else folder / "nothing")
        if name == "pytorch":
            remove(folder / "source-hf")


def convert_with(source: Path, target: Path, to: str) -> Path:
    done = subprocess.run([PROGRAM, "convert", source, target, "--to", to, "-q"], check=True)
    assert done.returncode == 0
    return target


def main() -> None:
    pairs = "--pairs" in sys.argv
    sizes = [word for word in sys.argv[1:] if word != "--pairs"] or ["124M", "774M"]
    home = RAM_DISK if os.access(RAM_DISK, os.W_OK) and not pairs else None
    with tempfile.TemporaryDirectory(prefix="gpt2-convert-bench-", dir=home) as folder:
        print(f"in {folder}" + ("" if pairs else f"; medians of {ROUNDS} rounds, largest peak"))
        for size in sizes:
            for line in (bench_pairs if pairs else bench_size)(size, Path(folder)):
                print(line, flush=True)


if __name__ == "__main__":
    main()
