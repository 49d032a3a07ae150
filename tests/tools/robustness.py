"""What malformed files do to this tool and to the libraries that others read such files with.

    make bench-robustness

Each file of the corpus is read to its end by each reader in a process of its own: this tool as the
whole program, a library in a child of a process that has imported it. Files that are legal in
their format, and that this tool refuses all the same, are left out.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from support.console import SCRIPT
from support.corpus import CASES
from support.measure import measure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MANY_SECONDS = 2.0
MANY_BYTES = 300_000_000
"""More than that than the process had before; of this tool, more than that altogether."""
PATIENCE = 20
ROOM = 8 << 30
"""Bytes of addresses that a library may ask for."""


@dataclass(frozen=True)
class Outcome:
    """``code`` is 0 where the file was accepted, negative after a crash, else an error's."""

    code: int
    seconds: float
    grown: int

    def verdicts(self) -> Iterator[str]:
        if self.code == -signal.SIGALRM:
            yield "hung"
        elif self.code < 0:
            yield "crashed"
        else:
            yield "error" if self.code else "accepted"
        if self.grown > MANY_BYTES:
            yield "> 300 MB"
        if self.seconds > MANY_SECONDS:
            yield "> 2 s"


TORCH = "torch.load"
VERDICTS = ("error", "accepted", "crashed", "hung", "> 300 MB", "> 2 s")


# The libraries: what to import, and how to read everything from a path.


def load_tensorflow() -> Callable[[str], object]:
    import tensorflow

    def read(path: str) -> None:
        reader = tensorflow.train.load_checkpoint(path)
        for name in reader.get_variable_to_shape_map():
            reader.get_tensor(name)

    return read


def load_numpy() -> Callable[[str], object]:
    import numpy as np

    def read(path: str) -> None:
        with np.load(path) as archive:
            for name in archive.files:
                archive[name]

    return read


def load_safetensors() -> Callable[[str], object]:
    from safetensors import safe_open

    def read(path: str) -> None:
        with safe_open(path, "numpy") as file:
            for name in file.keys():  # noqa: SIM118 - it is no mapping
                file.get_tensor(name)

    return read


def load_h5py() -> Callable[[str], object]:
    import h5py

    def visit(name: str, node: Any) -> None:  # noqa: ANN401
        if isinstance(node, h5py.Dataset):
            node[()]

    def read(path: str) -> None:
        with h5py.File(path) as file:
            file.visititems(visit)

    return read


def load_torch() -> Callable[[str], object]:
    import torch

    def read(path: str) -> None:
        torch.load(path, map_location="cpu", weights_only=True)

    return read


LIBRARIES: dict[str, tuple[Callable[[], Callable[[str], object]], tuple[str, ...]]] = {
    "TensorFlow": (load_tensorflow, ("TensorFlow", "checkpoint file")),
    "numpy.load": (load_numpy, ("npz",)),
    "safetensors.safe_open": (load_safetensors, ("safetensors",)),
    "h5py": (load_h5py, ("HDF5",)),
    TORCH: (load_torch, ("PyTorch",)),
}
"""The families that each reads."""


def serve(library: str) -> None:
    """Read the files whose paths come line by line, each in a child, and say how each ended."""
    load, _ = LIBRARIES[library]
    read = load()
    for line in sys.stdin:
        started = time.perf_counter()
        before = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
        pid = os.fork()
        if not pid:
            read_in_child(read, json.loads(line))
        _, status, usage = os.wait4(pid, 0)
        seconds = time.perf_counter() - started
        grown = usage.ru_maxrss * 1024 - before
        outcome = Outcome(os.waitstatus_to_exitcode(status), seconds, grown)
        print(json.dumps(asdict(outcome)), flush=True)


def read_in_child(read: Callable[[str], object], path: str) -> None:
    """Read the file and end the process."""
    code = 1
    try:
        nowhere = os.open(os.devnull, os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(nowhere, fd)
        for number in (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGALRM):
            signal.signal(number, signal.SIG_DFL)
        signal.alarm(PATIENCE)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + ROOM, used + ROOM))
        read(path)
        code = 0
    finally:
        os._exit(code)


# The comparison.


def write_cases(folder: Path) -> dict[str, str]:
    """Write the cases and return the path of each to pass."""
    paths = {}
    for number, (name, case) in enumerate(CASES.items()):
        if not case.legal:
            place = folder / str(number)
            place.mkdir()
            case.write(place)
            paths[name] = str(place / case.source)
    return paths


def run_ours(paths: dict[str, str], folder: Path) -> Iterator[tuple[str, Outcome]]:
    for name, path in paths.items():
        target = folder / "out.npz"
        # Its time and memory are those of its errors as well: none is caught on the way.
        try:
            found = measure([SCRIPT, "convert", path, target], folder, PATIENCE)
        except subprocess.CalledProcessError:
            yield name, Outcome(-signal.SIGALRM, PATIENCE, 0)
            continue
        target.unlink(missing_ok=True)
        yield name, Outcome(found.code, found.seconds, found.peak)


def run_library(library: str, paths: dict[str, str]) -> Iterator[tuple[str, Outcome]]:
    families = LIBRARIES[library][1]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
    with subprocess.Popen(
        [sys.executable, "-m", "tools.robustness", library],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        bufsize=1,
        env=environment,
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        for name, path in paths.items():
            if CASES[name].family in families:
                server.stdin.write(json.dumps(path) + "\n")
                yield name, Outcome(**json.loads(server.stdout.readline()))
        server.stdin.close()


def main() -> None:
    table: dict[tuple[str, str], Counter[str]] = {}
    longest, largest = 0.0, 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = write_cases(folder)
        runs = {
            library: run_library(library, paths)
            for library in LIBRARIES
            if library != TORCH or find_spec("torch")  # which `make interop` installs
        }
        runs["gpt2-convert"] = run_ours(paths, folder)
        for reader, outcomes in runs.items():
            for case, outcome in outcomes:
                row = table.setdefault((CASES[case].family, reader), Counter())
                row["files"] += 1
                row.update(outcome.verdicts())
                if reader == "gpt2-convert":
                    longest = max(longest, outcome.seconds)
                    largest = max(largest, outcome.grown)
                if "-v" in sys.argv:
                    print(reader, *outcome.verdicts(), f"{outcome.seconds:.2f} s", case, sep="\t")
    columns = ("files", *VERDICTS)
    print(f"{'family':<20} {'reader':<22}" + "".join(f"{column:>10}" for column in columns))
    for (family, reader), row in sorted(table.items(), key=lambda item: item[0][0].lower()):
        print(f"{family:<20} {reader:<22}" + "".join(f"{row[column]:>10}" for column in columns))
    print(f"gpt2-convert took at most {longest:.2f} s and {largest / 1e6:.0f} MB, start included")


if __name__ == "__main__":
    if sys.argv[1:] and sys.argv[1] in LIBRARIES:
        serve(sys.argv[1])
    else:
        main()
