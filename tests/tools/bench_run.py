"""Measure what running a model costs: against the memory's speed, and against torch.

    make bench-run                      speed and memory at 124M
    make bench-run SIZES="124M 1558M"   and the memory at other sizes

Every figure is of processes that take turns, ROUNDS each, on THREADS threads; a time is the median
of the fastest that each process saw. Weights are random, and lie in a RAM disk where there is one;
where only memory is measured, they are zeros, which take no room on any disk.

The yardstick of a token is one matrix-vector product over as many numbers as the model has: no
token can be computed without reading every weight.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from support import bundles
from support.measure import measure
from tools.bench import RAM_DISK, convert_with, make_checkpoint
from tools.bench_rows import PROGRAM

if TYPE_CHECKING:
    from collections.abc import Iterator

ROUNDS = 5
THREADS = 2
PROMPT = 512
TOKENS = 40
SPEED_AT = "124M"

TIME = """
import json, sys, time

def fastest(work, times):
    found = []
    for _ in range(times):
        started = time.perf_counter()
        work()
        found.append(time.perf_counter() - started)
    return min(found)
"""
OURS = f"""{TIME}
import numpy as np
import gpt2_convert

model = gpt2_convert.load(sys.argv[1])
ids = np.random.default_rng(0).integers(0, model.config.n_vocab, {PROMPT})
steps = []
stepped = time.perf_counter()
for _ in model.generate(ids[:16], {TOKENS} + 1):
    steps.append(time.perf_counter() - stepped)
    stepped = time.perf_counter()
prompt = fastest(lambda: next(model.generate(ids, 1)), 3)
width = model.config.n_embd
matrix = np.ones((int(sys.argv[2]) // width, width), np.float32)
vector = np.ones(width, np.float32)
product = fastest(lambda: matrix @ vector, 20)
print(json.dumps({{"product": product, "token": min(steps[1:]), "prompt": prompt}}))
"""
TORCH = f"""{TIME}
import numpy as np
import torch
from transformers import GPT2LMHeadModel

torch.set_num_threads({THREADS})
model = GPT2LMHeadModel.from_pretrained(sys.argv[1]).eval()
ids = np.random.default_rng(0).integers(0, model.config.vocab_size, (1, {PROMPT}))
ids = torch.from_numpy(ids)

def generate(prompt, count):
    model.generate(
        prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=count, min_new_tokens=count,
        do_sample=False, pad_token_id=0,
    )

with torch.no_grad():
    first = fastest(lambda: generate(ids[:, :16], 1), 3)
    token = (fastest(lambda: generate(ids[:, :16], {TOKENS} + 1), 3) - first) / {TOKENS}
    prompt = fastest(lambda: generate(ids, 1), 3)
print(json.dumps({{"token": token, "prompt": prompt}}))
"""


def ask(program: str, *arguments: str | Path) -> dict[str, float]:
    """Run a program that prints its times as JSON."""
    environment = {
        **os.environ, "OPENBLAS_NUM_THREADS": str(THREADS), "OMP_NUM_THREADS": str(THREADS),
    }  # fmt: skip
    command = [sys.executable, "-W", "ignore", "-c", program, *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    times: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return times


def bench_speed(source: Path, folder: Path) -> Iterator[str]:
    """Compare a token with the matrix-vector product and torch, and a start with an import."""
    torch_model = convert_with(source, folder / "hf", "hf")
    count = sum(
        int(np.prod(shape)) for shape in bundles.gpt2_shapes(bundles.OPENAI[SPEED_AT]).values()
    )
    first: list[str | Path] = [PROGRAM, "generate", source, "15496 995", "--ids", "-n", "1"]
    imports = [sys.executable, "-c", "import torch, transformers"]
    rounds: dict[str, list[float]] = {}
    for turn in range(ROUNDS + 1):
        times = {f"our {name}": value for name, value in ask(OURS, source, str(count)).items()}
        times |= {f"torch {name}": value for name, value in ask(TORCH, torch_model).items()}
        times["our first token"] = measure(first, folder).seconds
        times["torch imported"] = measure(imports, folder).seconds
        if turn:  # the first is the warm-up
            for name, value in times.items():
                rounds.setdefault(name, []).append(value)
    middle = {name: statistics.median(values) for name, values in rounds.items()}
    for name, other, limit in (
        ("our token", "our product", 1.3),
        ("our token", "torch token", 0.5),
        ("our prompt", "torch prompt", 1.0),
        ("our first token", "torch imported", 1.0),
    ):
        yield (
            f"{name:<16} {middle[name] * 1e3:8.1f} ms  {other:<15} {middle[other] * 1e3:8.1f} ms"
            f"  {middle[name] / middle[other]:5.2f} x, wanted {limit} at most"
        )


def bench_memory(size: str, folder: Path) -> Iterator[str]:
    """Tell the peak of a generation and of a comparison of logits."""
    zeros = np.zeros(1, np.float32)
    source = bundles.stream_gpt2(
        folder / "zeros", bundles.OPENAI[size], lambda _, shape: np.broadcast_to(zeros, shape)
    )
    weights = (source / "model.ckpt.data-00000-of-00001").stat().st_size
    generated = measure([PROGRAM, "generate", source, "15496 995", "--ids", "-n", "40"], folder)
    compared = measure([PROGRAM, "verify", source, source, "--logits"], folder)
    for done in (generated, compared):
        if done.code:
            raise SystemExit(done.stderr)
    over = (generated.peak - weights) / 1e6
    yield f"{size:<6} generate         {over:5.0f} MB over the weights, wanted 150 at most"
    yield f"{size:<6} verify --logits  {compared.peak / 1e6:5.0f} MB, wanted 400 at most"


def main() -> None:
    sizes = sys.argv[1:] or [SPEED_AT]
    home = RAM_DISK if os.access(RAM_DISK, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="gpt2-convert-bench-", dir=home) as name:
        folder = Path(name)
        print(f"in {folder}; {THREADS} threads, medians of {ROUNDS} rounds", flush=True)
        if SPEED_AT in sizes:
            for line in bench_speed(make_checkpoint(folder, SPEED_AT), folder):
                print(line, flush=True)
        for size in sizes:
            with tempfile.TemporaryDirectory(dir=folder) as place:
                for line in bench_memory(size, Path(place)):
                    print(line, flush=True)


if __name__ == "__main__":
    main()
