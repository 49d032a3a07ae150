"""What the system allows: with too little of it the program says so, and imports nothing first."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest
from support.console import SCRIPT, is_one_error_line, run
from support.documents import validator

from gpt2_convert.cli.limits import FLOOR, may_have_threads

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

linux = pytest.mark.skipif(
    sys.platform != "linux", reason="other systems do not keep limits of memory"
)
LIMITS = {"ulimit -v": resource.RLIMIT_AS, "ulimit -d": resource.RLIMIT_DATA}


def limiting(which: int, nbytes: int) -> Callable[[], None]:
    """Return what sets a soft limit in a process that is to be started."""
    return lambda: resource.setrlimit(which, (nbytes, resource.RLIM_INFINITY))


@linux
@pytest.mark.parametrize("option", LIMITS)
@pytest.mark.parametrize("mebibytes", [24, 40, 64, 128, 255])
@pytest.mark.parametrize("arguments", [["--help"], ["tf2npz"], []], ids=" ".join)
def test_below_the_floor_every_command_refuses_with_what_is_found_and_needed(
    arguments: list[str], mebibytes: int, option: str, tiny: Path, tmp_path: Path
) -> None:
    if arguments == ["tf2npz"]:
        arguments = ["tf2npz", str(tiny), str(tmp_path / "out.npz")]
    done = run(*arguments, preexec_fn=limiting(LIMITS[option], mebibytes << 20))
    assert (done.code, done.out) == (2, "")
    assert is_one_error_line(done.err)
    assert f"{mebibytes << 20:,} bytes of " in done.err
    assert f"are allowed, and {FLOOR:,} are needed; " in done.err
    assert f"raise the limit ({option} {FLOOR >> 10})" in done.err
    assert os.listdir(tmp_path) == ["models"]


@linux
def test_below_the_floor_nothing_is_imported_that_could_fail() -> None:
    command: list[str | Path] = [sys.executable, "-X", "importtime", SCRIPT, "inspect", "x"]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=limiting(resource.RLIMIT_AS, 64 << 20),
    )
    assert done.returncode == 2
    imported = {line.split("|")[-1].strip() for line in done.stderr.splitlines() if "|" in line}
    assert "gpt2_convert.cli.limits" in imported
    assert not imported & {"numpy", "h5py", "click", "ctypes", "threading", "gpt2_convert.api"}


@linux
def test_below_the_floor_the_document_says_so_too() -> None:
    done = run("inspect", "x", "--json", preexec_fn=limiting(resource.RLIMIT_AS, FLOOR - 1))
    assert done.code == 2
    document = json.loads(done.out)
    validator("report").validate(document)
    assert document["error"]["type"] == "MemoryError"
    assert done.err == f"gpt2-convert: {document['error']['message']}\n"


@linux
@pytest.mark.parametrize("option", LIMITS)
def test_the_floor_is_enough(option: str, tiny: Path, tmp_path: Path) -> None:
    done = run("tf2hdf5", tiny, tmp_path / "out.h5", preexec_fn=limiting(LIMITS[option], FLOOR))
    assert (done.code, done.err) == (0, "")


SHRINKING = """
import resource, sys
import gpt2_convert, gpt2_convert.cli
from gpt2_convert.tensors import side_by_side
convert = gpt2_convert.convert

def shrinking(*arguments, progress, **options):
    def watch(phase, done, total):
        progress(phase, done, total)
        if phase == "writing" and done == total:
            with open("/proc/self/statm") as stream:
                pages = int(stream.read().split()[0])
            limit = pages * resource.getpagesize() + 65536
            resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
            # Not before: a thread that has written would leave its stack to one that proves.
            side_by_side.SHARE = 1
    return convert(*arguments, progress=watch, **options)

gpt2_convert.convert = shrinking
gpt2_convert.cli.main()
"""
"""The program, which gets no more memory once all is written, and proves by threads."""


@linux
@pytest.mark.parametrize("command", ["tf2npz", "tf2safetensors", "tf2hdf5", "tf2hf"])
def test_memory_that_is_used_up_is_one_line_with_the_limit_and_leaves_nothing(
    command: str, tiny: Path, tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SHRINKING, command, "--json", tiny, tmp_path / "out"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert is_one_error_line(done.stderr)
    assert "internal error" not in done.stderr
    # In a process with next to no memory the HDF5 library crashes, and nobody knows of what.
    assert command == "tf2hdf5" or "(ulimit -v" in done.stderr
    validator("report").validate(json.loads(done.stdout))
    assert os.listdir(tmp_path) == ["models"]


def test_threads_are_tried_and_none_is_left() -> None:
    before = threading.enumerate()
    assert may_have_threads()
    assert threading.enumerate() == before


def test_a_thread_that_cannot_be_started_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    before = threading.enumerate()
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if threading.active_count() > len(before):
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert not may_have_threads()
    assert threading.enumerate() == before


@linux
def test_where_memory_is_limited_threads_that_take_much_of_it_are_not_had() -> None:
    program = "from gpt2_convert.cli.limits import may_have_threads; print(may_have_threads())"
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        preexec_fn=limiting(resource.RLIMIT_AS, 1 << 30),
    )
    assert done.stdout == "False\n"
