"""The program and hostile HDF5 files, under limits that it finds: one line, or the right result."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np
import pytest
from support.console import PATIENCE, SCRIPT, is_one_error_line
from support.corpus import CASES, SOUND
from support.hdf5_files import make, write_canonical
from support.measure import measure

import gpt2_convert
from gpt2_convert.formats.hdf5.reader import open_hdf5

if TYPE_CHECKING:
    from pathlib import Path

    import h5py
    from support.forked import Program

MOST_BYTES = 300_000_000
"""Of memory, of the program and of its child."""
ITS_OWN_CHILD = "HDF5: tree that is its own child"
BOMBS = [
    "HDF5: heap of gigabytes",
    "HDF5: texts of gigabytes",
    "HDF5: header of gigabytes",
]
LIMITS = {
    "time": "CPU: 8",
    "little time": "CPU: 2",
    "memory": "AS: 1 << 30",
    "little memory": "AS: 400 << 20",
    "stack": "STACK: resource.RLIM_INFINITY",
    "little stack": "STACK: 256 << 10",
    "files": "NOFILE: 16",
    "core": "CORE: resource.RLIM_INFINITY",
    "written": "FSIZE: 1 << 20",
}
COMMANDS = {
    "inspect": ("{source}",),
    "convert": ("{source}", "{target}"),
    "digest": ("{source}",),
    "verify": ("{source}", "{source}"),
}


def limited(limit: str) -> str:
    """Return the program under a limit, as a shell's ``ulimit`` sets it."""
    name, _, value = limit.partition(": ")
    return (
        "import resource, gpt2_convert.cli\n"
        f"limit = {value}\n"
        f"_, hard = resource.getrlimit(resource.RLIMIT_{name})\n"
        "if hard != resource.RLIM_INFINITY: limit = min(limit % (1 << 63), hard)\n"
        f"resource.setrlimit(resource.RLIMIT_{name}, (limit, limit))\n"
        "gpt2_convert.cli.main()\n"
    )


@pytest.mark.parametrize("name", BOMBS)
def test_a_small_file_that_wants_much_memory_gets_little(name: str, tmp_path: Path) -> None:
    (tmp_path / "made").mkdir()
    CASES[name].write(tmp_path / "made")
    path = tmp_path / "made" / CASES[name].source
    assert path.stat().st_blocks * 512 < 1 << 20
    done = measure([SCRIPT, "inspect", path], tmp_path, PATIENCE)
    assert done.code == 2
    assert done.stdout == ""
    assert is_one_error_line(done.stderr)
    assert str(path) in done.stderr
    assert done.peak < MOST_BYTES


@pytest.mark.parametrize("limit", LIMITS.values(), ids=LIMITS)
@pytest.mark.parametrize("name", [ITS_OWN_CHILD, "HDF5: heap of gigabytes"])
def test_so_it_ends_under_any_limit(
    name: str, limit: str, program: Program, tmp_path: Path
) -> None:
    (tmp_path / "made").mkdir()
    CASES[name].write(tmp_path / "made")
    source = tmp_path / "made" / CASES[name].source
    for command, arguments in COMMANDS.items():
        filled = [each.format(source=source, target=tmp_path / "out.npz") for each in arguments]
        done = program.run(command, *filled, code=limited(limit))
        assert (done.code, done.out) == (2, ""), (command, done)
        assert is_one_error_line(done.err), (command, done)
        assert str(source) in done.err
        assert os.listdir(tmp_path) == ["made"]


def test_so_does_the_installed_program(tmp_path: Path) -> None:
    # 8 seconds are fewer than the child would allow itself, and nobody may raise the limit again.
    CASES[ITS_OWN_CHILD].write(tmp_path)
    command = (
        f"ulimit -t 8 && exec {shlex.quote(str(SCRIPT))} inspect {CASES[ITS_OWN_CHILD].source}"
    )
    done = subprocess.run(
        ["sh", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert is_one_error_line(done.stderr)


@pytest.mark.parametrize("limit", LIMITS.values(), ids=LIMITS)
def test_a_sound_file_is_read_or_the_limit_is_said(
    limit: str, program: Program, tmp_path: Path
) -> None:
    write, name = SOUND["HDF5 in chunks"]
    (tmp_path / "made").mkdir()
    write(tmp_path / "made")
    source, target = tmp_path / "made" / name, tmp_path / "out.npz"
    done = program.run("convert", source, target, code=limited(limit))
    if done.code == 0:
        assert gpt2_convert.verify(source, target).ok
    else:
        assert done.code == 2, done
        assert is_one_error_line(done.err), done
        assert "damaged" not in done.err
        assert os.listdir(tmp_path) == ["made"]


def test_no_more_processes_than_a_limit_allows_is_an_error(tmp_path: Path) -> None:
    path = make(tmp_path / "m.h5", lambda file: write_canonical(file))
    path.chmod(0o644)
    program = (
        "import os, resource, sys, gpt2_convert\n"
        "from gpt2_convert.formats.hdf5.reader import open_hdf5\n"
        "from gpt2_convert.formats.hdf5.library import load_h5py\n"
        "from pathlib import Path\n"
        "load_h5py()\n"
        "os.chdir(os.path.dirname(sys.argv[1]))\n"
        "if os.geteuid() == 0: os.setresuid(54321, 54321, 54321)  # root may have any number\n"
        "resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))\n"
        "try:\n"
        "    open_hdf5(Path('m.h5'))\n"
        "except gpt2_convert.UnreadableError as error:\n"
        "    print(error)\n"
    )
    for folder in [tmp_path, *tmp_path.parents][:4]:
        if folder.stat().st_uid == os.geteuid() and folder != folder.parent:
            folder.chmod(folder.stat().st_mode | 0o055)
    done = subprocess.run(
        [sys.executable, "-c", program, path], capture_output=True, text=True, check=False
    )
    assert re.fullmatch(
        r"m\.h5: no process can be started for the HDF5 library: .*unavailable\n", done.stdout
    ), done


def test_signals_that_reach_the_group_end_no_child(tmp_path: Path) -> None:
    # A file of many objects, so that the child is there when they come.
    def fill(file: h5py.File) -> None:
        for number in range(3000):
            file[f"{number}"] = np.float32(number)

    path = make(tmp_path / "m.h5", fill)
    program = (
        "import signal, sys, gpt2_convert\n"
        "from gpt2_convert.formats.hdf5.reader import open_hdf5\n"
        "from pathlib import Path\n"
        "seen = []\n"
        "for number in (signal.SIGUSR1, signal.SIGQUIT, signal.SIGALRM, signal.SIGTERM):\n"
        "    signal.signal(number, lambda number, frame: seen.append(number))\n"
        "print('ready', flush=True)\n"
        "while len(seen) < 4:\n"
        "    assert len(open_hdf5(Path(sys.argv[1])).tensors) == 3000\n"
        "print('done')\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, path],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        for number in (signal.SIGUSR1, signal.SIGQUIT, signal.SIGALRM, signal.SIGTERM):
            time.sleep(0.3)
            os.killpg(process.pid, number)
        assert process.stdout.read() == "done\n"
    assert process.returncode == 0


def test_a_child_that_the_system_kills_is_one_line(tmp_path: Path) -> None:
    path = make(tmp_path / "m.h5", lambda file: write_canonical(file))
    program = (
        "import os, signal, sys\n"
        "import gpt2_convert.cli\n"
        "from gpt2_convert.formats.hdf5 import child\n"
        "child._limit = lambda: os.kill(os.getpid(), signal.SIGKILL)\n"
        "sys.argv[1:1] = ['convert']\n"
        "gpt2_convert.cli.main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, path, tmp_path / "out.npz"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert is_one_error_line(done.stderr)
    assert "was ended (killed)" in done.stderr
    assert os.listdir(tmp_path) == ["m.h5"]


def test_a_file_that_changes_while_it_is_read_crashes_nothing(tmp_path: Path) -> None:
    # What the child found is what is read; nobody looks at the tree a second time.
    (tmp_path / "made").mkdir()
    CASES[ITS_OWN_CHILD].write(tmp_path / "made")
    path = make(tmp_path / "m.h5", lambda file: write_canonical(file), libver="earliest")
    with gpt2_convert.open(path) as checkpoint:
        path.write_bytes((tmp_path / "made" / CASES[ITS_OWN_CHILD].source).read_bytes())
        for tensor in checkpoint.values():
            with suppress(gpt2_convert.FormatError):
                tensor.array()


@pytest.mark.slow
def test_the_limits_leave_room_for_the_largest_models(tmp_path: Path) -> None:
    # With the moments of its optimizer, chunked as h5py does by itself.
    def fill(file: h5py.File) -> None:
        for number in range(1740):
            file.create_dataset(f"{number % 3}/{number}/x/w", (64, 64), "f4", chunks=(4, 8))

    path = make(tmp_path / "m.h5", fill)
    with path.open("r+b") as sparse:
        sparse.truncate(1740 << 14)
    with open_hdf5(path) as raw:
        assert len(raw.tensors) == 1740
