"""Measure tf2npz against cp and against TensorFlow with np.savez, in whole processes.

    make bench                      124M and 774M
    make bench SIZES="124M 1558M"   any of OpenAI's sizes
    make bench-pairs SIZES=1558M    the peak memory of every source and target, with --digest

Files lie in a RAM disk where there is one, so that the figures are of the program and not of a
disk; the figures are medians of ROUNDS runs, the commands taking turns. For the pairs, which need
room for two checkpoints and of which only the memory counts, they lie on the disk.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from support import bundles, torch_files
from support.measure import measure

from gpt2_convert.formats.opening import open_raw
from gpt2_convert.formats.safetensors.writer import write_tensors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROUNDS = 5
PROGRAM = Path(sys.executable).with_name("gpt2-convert")
RAM_DISK = Path("/dev/shm")  # noqa: S108 - read by nobody else, and removed at the end
TENSORFLOW = """
import sys, numpy, tensorflow as tf
reader = tf.train.load_checkpoint(sys.argv[1])
numpy.savez(sys.argv[2], **{n: reader.get_tensor(n) for n in reader.get_variable_to_shape_map()})
"""


def make_checkpoint(folder: Path, size: str) -> Path:
    random = np.random.default_rng(0)

    def weights(
        _: str, shape: tuple[int, ...]
    ) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        return random.standard_normal(shape, np.float32)

    return bundles.stream_gpt2(folder / size, bundles.OPENAI[size], weights)


def bench_size(size: str, folder: Path) -> Iterator[str]:
    source = make_checkpoint(folder, size)
    shard = source / "model.ckpt.data-00000-of-00001"
    target = folder / "out.npz"
    commands: dict[str, list[str | Path]] = {
        "cp": ["cp", shard, target],
        "tf2npz": [PROGRAM, "tf2npz", source, target],
        "tf2npz --no-verify": [PROGRAM, "tf2npz", "--no-verify", source, target],
    }
    if find_spec("tensorflow"):
        prefix = source / "model.ckpt"
        commands["TensorFlow, np.savez"] = [sys.executable, "-c", TENSORFLOW, prefix, target]
    rounds: dict[str, list[float]] = {name: [] for name in commands}
    peaks: dict[str, int] = {}
    for turn in range(ROUNDS + 1):
        for name, command in commands.items():
            done = measure(command, folder)
            target.unlink()
            if done.code:
                raise SystemExit(f"{name}: {done.stderr}")
            peaks[name] = max(peaks.get(name, 0), done.peak)
            if turn:  # the first is the warm-up
                rounds[name].append(done.seconds)
    base = statistics.median(rounds["cp"])
    for name, times in rounds.items():
        middle = statistics.median(times)
        yield (
            f"{size:<6} {name:<21} {middle:7.2f} s  {middle / base:5.1f} x cp"
            f"  {peaks[name] / 1e6:8.0f} MB"
        )
    for name in ("inspect", "--help"):
        command = [PROGRAM, name, *([source] if name == "inspect" else [])]
        times = [measure(command, folder).seconds for _ in range(ROUNDS)]
        yield f"{size:<6} {name:<21} {statistics.median(times):7.2f} s"
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


def remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


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
