"""Whatever is limited: a command does its job, or says in one line why not and leaves nothing."""

from __future__ import annotations

import os
import re
import resource
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import pytest
from support import bundles
from support.console import PATIENCE, SCRIPT, is_one_error_line
from support.mishaps import (
    allow_processes,
    can_be_stopped_by_permissions,
    can_limit_processes,
    keep_permissions,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from support.forked import Program

    Content = dict[str, bytes]
    Prepare = Callable[[], object]

pytestmark = pytest.mark.slow

COMMANDS = {
    "tf2npz": "tf2npz SOURCE TARGET/out.npz",
    "tf2safetensors": "tf2safetensors SOURCE TARGET/out.safetensors",
    "tf2hdf5": "tf2hdf5 SOURCE TARGET/out.h5",
    "tf2hf": "tf2hf SOURCE TARGET/out",
    "gzip": "convert SOURCE TARGET/out.h5 --compress gzip",
    "from HDF5": "convert STORED/gzip/out.h5 TARGET/out.npz",
    "verify": "verify SOURCE STORED/tf2npz/out.npz",
    "inspect": "inspect SOURCE",
    "inspect --stats": "inspect --stats SOURCE",
    "digest": "digest SOURCE",
}
every_command = pytest.mark.parametrize("command", COMMANDS)


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str


class Job:
    """A command, and what comes of it where nothing is limited."""

    def __init__(self, program: Program, command: str, source: Path, stored: Path) -> None:
        words = COMMANDS[command].split()
        self.words = [
            word.replace("SOURCE", str(source)).replace("STORED", str(stored)) for word in words
        ]
        folder = stored / command
        folder.mkdir()
        done = program.run(*self.arguments(folder))
        assert (done.code, done.err) == (0, "")
        self.expected = content(folder)
        self.out = same_for_all(done.out, folder)

    def arguments(self, place: Path) -> list[str]:
        return [word.replace("TARGET", str(place)) for word in self.words]

    def check(self, done: Outcome, place: Path, allowed: tuple[int, ...]) -> None:
        """See that it did its job, or did not and says so."""
        assert done.code in allowed
        if done.code == 0:
            assert done.err == ""
            assert same_for_all(done.out, place) in (self.out, "")
            assert content(place) == self.expected
            return
        assert is_one_error_line(done.err)
        assert "internal error" not in done.err
        if self.expected and done.err.endswith("is complete and verified\n"):
            assert content(place) == self.expected  # the report alone was lost
        else:
            assert os.listdir(place) == []


def same_for_all(out: str, place: Path) -> str:
    """Return what is printed, without the place and the time that it took."""
    return re.sub(r"written in .*", "written", out.replace(str(place), ""))


def content(folder: Path) -> Content:
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


@pytest.fixture(scope="module")
def jobs(program: Program, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Job]:
    folder = tmp_path_factory.mktemp("jobs")
    source = bundles.write_gpt2(folder / "model")
    return {command: Job(program, command, source, folder) for command in COMMANDS}


@pytest.fixture
def job(command: str, jobs: dict[str, Job]) -> Job:
    return jobs[command]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    folder = tmp_path / "place"
    folder.mkdir()
    return folder


def start(job: Job, place: Path, prepare: Prepare, stdout: int = subprocess.PIPE) -> Outcome:
    """Run the installed program, which ``prepare`` limits before it starts."""
    done = subprocess.run(
        [SCRIPT, *job.arguments(place)],
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=PATIENCE,
        preexec_fn=prepare,
    )
    return Outcome(done.returncode, done.stdout or "", done.stderr)


def limit(which: int, value: int) -> Prepare:
    return partial(resource.setrlimit, which, (value, value))


# From the first import on.


@every_command
@pytest.mark.skipif(sys.platform != "linux", reason="other systems keep no limits of memory")
@pytest.mark.parametrize(("mebibytes", "allowed"), [(255, (2,)), (256, (0,))])
def test_memory(mebibytes: int, allowed: tuple[int, ...], job: Job, place: Path) -> None:
    done = start(job, place, limit(resource.RLIMIT_AS, mebibytes << 20))
    job.check(done, place, allowed)


@every_command
@pytest.mark.parametrize("count", [5, 9])
def test_few_open_files(count: int, job: Job, place: Path) -> None:
    job.check(start(job, place, limit(resource.RLIMIT_NOFILE, count)), place, (0, 2))


@pytest.fixture(scope="module")
def few_processes() -> None:
    if not can_limit_processes():
        pytest.skip("processes of this user cannot be limited here")


@every_command
@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.usefixtures("few_processes")
def test_few_threads_and_processes(count: int, job: Job, place: Path) -> None:
    job.check(start(job, place, allow_processes(count)), place, (0, 2))


@every_command
def test_little_of_the_processor_s_time(job: Job, place: Path) -> None:
    job.check(start(job, place, limit(resource.RLIMIT_CPU, 1)), place, (0, 2))


@every_command
@pytest.mark.parametrize("number", [0, 1, 2])
def test_closed_streams(number: int, job: Job, place: Path) -> None:
    job.check(start(job, place, partial(os.close, number)), place, (2,) if number == 1 else (0,))


@pytest.fixture(scope="module")
def permissions(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("folder")
    folder.chmod(0o555)
    if not can_be_stopped_by_permissions(folder):
        pytest.skip("permissions do not stop this user")


@every_command
@pytest.mark.usefixtures("permissions")
def test_a_folder_that_may_not_be_written(job: Job, place: Path) -> None:
    place.chmod(0o555)
    job.check(start(job, place, keep_permissions), place, (2,) if job.expected else (0,))


@every_command
def test_files_of_no_size(job: Job, place: Path) -> None:
    done = start(job, place, limit(resource.RLIMIT_FSIZE, 0))
    job.check(done, place, (2,) if job.expected else (0,))


# Once it has started.

LIMITED = """
import resource, sys
import gpt2_convert.cli
which, value = getattr(resource, sys.argv.pop(1)), int(sys.argv.pop(1))
resource.setrlimit(which, (value, value))
gpt2_convert.cli.main()
"""


@every_command
@pytest.mark.parametrize("size", [4096, 100_000, 250_000, 1_000_000])
def test_the_size_of_files(size: int, program: Program, job: Job, place: Path) -> None:
    done = program.run("RLIMIT_FSIZE", str(size), *job.arguments(place), code=LIMITED)
    allowed = (0,) if size == 1_000_000 or not job.expected else (0, 2)
    job.check(Outcome(done.code, done.out, done.err), place, allowed)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
@every_command
def test_a_full_disk_behind_stdout(program: Program, job: Job, place: Path) -> None:
    with open("/dev/full", "wb") as full:
        done = program.run(*job.arguments(place), out=full.fileno())
    job.check(Outcome(done.code, done.out, done.err), place, (2,))


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MB, where one can be mounted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=4m", "none", str(folder)]
    if os.geteuid() or not shutil.which("mount") or subprocess.run(command, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@every_command
@pytest.mark.parametrize("room", [0, 8, 150, 300])
def test_a_full_disk(room: int, program: Program, job: Job, disk: Path) -> None:
    place = disk / "place"
    place.mkdir()
    free = os.statvfs(disk)
    (disk / "filler").write_bytes(bytes(free.f_bavail * free.f_frsize - (room << 10)))
    done = program.run(*job.arguments(place))
    allowed = (0, 2) if room == 300 and job.expected else (2,) if job.expected else (0,)
    job.check(Outcome(done.code, done.out, done.err), place, allowed)


@every_command
def test_a_disk_that_may_only_be_read(program: Program, job: Job, disk: Path) -> None:
    place = disk / "place"
    place.mkdir()
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    done = program.run(*job.arguments(place))
    allowed = (2,) if job.expected else (0,)
    job.check(Outcome(done.code, done.out, done.err), place, allowed)
