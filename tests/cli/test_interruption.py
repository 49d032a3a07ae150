"""Whenever it is stopped, the target is absent, the old one or complete."""

from __future__ import annotations

import os
import random
import resource
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from support import bundles
from support.console import HELD, finish, start_held, tell_interruption

import gpt2_convert

if TYPE_CHECKING:
    from support.forked import Program

OLD = b"an older file"
SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
NAMES = [
    "SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGXCPU", "SIGUSR1", "SIGUSR2", "SIGALRM", "SIGABRT",
    "SIGVTALRM", "SIGPROF", "SIGIO", "SIGPWR", "SIGSTKFLT", "SIGSYS", "SIGTRAP", "SIGRTMIN",
    "SIGRTMAX",
]  # fmt: skip
EVERY = [getattr(signal, name) for name in NAMES if hasattr(signal, name)]
"""What ends a program unless it is caught, as signal(7) lists them."""
INTERRUPTED = "gpt2-convert: interrupted; nothing half-written was left behind\n"

STOP_AT_CALL = """
import os, signal, sys
import gpt2_convert.cli

names, when, number = sys.argv.pop(1).split(), sys.argv.pop(1), int(sys.argv.pop(1))

def stopping(name, call):
    def stop(*arguments, **options):
        at_partial = name != "open" or ".partial" in str(arguments[0])
        if at_partial and when == "before":
            os.kill(os.getpid(), number)
        result = call(*arguments, **options)
        if at_partial and when == "after":
            os.kill(os.getpid(), number)
        return result
    return stop

for name in names:
    setattr(os, name, stopping(name, getattr(os, name)))
gpt2_convert.cli.main()
"""
"""The program, which sends itself a signal just before or after the system calls named, of those
that make, sync, name and remove a file."""

ACT_ONCE = """
import os, sys, time
import gpt2_convert, gpt2_convert.cli

action = sys.argv.pop(1)
convert = gpt2_convert.convert

def acting(*arguments, progress, **options):
    def watch(phase, done, total):
        if (phase, done) == ("writing", 0):
            exec(action, globals())
        progress(phase, done, total)
    return convert(*arguments, progress=watch, **options)

gpt2_convert.convert = acting
gpt2_convert.cli.main()
"""
"""The program, which runs a piece of Python when it begins to write."""

STOP_AT_IMPORT = """
import os, signal, sys
import gpt2_convert.cli

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == module:
            os.kill(os.getpid(), signal.SIGINT)

module = sys.argv.pop(1)
sys.meta_path.insert(0, Finder())
gpt2_convert.cli.main()
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """An empty folder for targets, so that a listing shows whatever was left behind."""
    folder = tmp_path / "place"
    folder.mkdir()
    return folder


@pytest.fixture(scope="module")
def larger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of some 30 MB, whose conversion takes long enough to be hit anywhere."""
    sizes = {"n_vocab": 4000, "n_ctx": 128, "n_embd": 480, "n_head": 8, "n_layer": 2}
    return bundles.write_gpt2(tmp_path_factory.mktemp("models") / "larger", sizes)


def is_complete(target: Path, source: Path) -> bool:
    """Whether NumPy reads every tensor of ``source``'s data file from ``target``."""
    data = (source / "model.ckpt.data-00000-of-00001").read_bytes()
    offset = 0
    with gpt2_convert.open(source) as checkpoint, np.load(target) as archive:
        canonical = {tensor.source_name: name for name, tensor in checkpoint.items()}
        for name in sorted(canonical):  # the order of the tensors in the data file
            content = archive[canonical[name]].tobytes()
            if content != data[offset : offset + len(content)]:
                return False
            offset += len(content)
    return offset == len(data)


@pytest.mark.parametrize("number", EVERY)
@pytest.mark.parametrize("phase", ["writing", "verifying"])
def test_signal_ends_the_job_and_leaves_everything_as_it_was(
    program: Program, number: int, phase: str, tiny: Path, place: Path
) -> None:
    for existing in (False, True):
        target = place / "out.npz"
        if existing:
            target.write_bytes(OLD)
        process = program.start_held(HELD, phase, "0.5", "tf2npz", "--force", tiny, target)
        assert any(name.endswith(".partial") for name in os.listdir(place))
        process.send_signal(number)
        done = process.finish()
        assert (done.code, done.out, done.err) == (128 + number, "", tell_interruption(number))
        assert os.listdir(place) == (["out.npz"] if existing else [])
        assert not existing or target.read_bytes() == OLD


def test_a_real_time_signal_without_a_name_is_told_by_its_number(
    program: Program, tiny: Path, place: Path
) -> None:
    number = signal.SIGRTMIN + 3
    process = program.start_held(HELD, "writing", "0.5", "tf2npz", tiny, place / "out.npz")
    process.send_signal(number)
    done = process.finish()
    assert (done.code, done.out) == (128 + number, "")
    assert done.err == INTERRUPTED.replace("interrupted", f"stopped by signal {number}")


@pytest.mark.skipif(sys.platform != "linux", reason="the child is found by /proc")
@pytest.mark.parametrize(("number", "seen"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_shell_sees_which_signal_it_was(number: int, seen: int, tiny: Path, place: Path) -> None:
    held = [
        sys.executable,
        "-c",
        HELD,
        "writing",
        "0.5",
        "tf2npz",
        str(tiny),
        str(place / "out.npz"),
    ]
    # A job in the background of a shell ignores SIGINT, so this one is started by a child.
    shell = ["sh", "-c", '"$@"; echo "it was $?"', "sh", *held]
    with subprocess.Popen(
        shell, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        (child,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        os.kill(int(child), number)
        out, _ = process.communicate("\n")
    assert out == f"it was {seen}\n"
    assert os.listdir(place) == []


BUSY = """
while True:
    pass
"""


@pytest.mark.parametrize("limits", [(1, 1), (2, 2), (1, 9)])
def test_the_last_moment_of_the_processor_is_for_the_clean_up(
    limits: tuple[int, int], tiny: Path, place: Path
) -> None:
    # As after ulimit -t 2, which sets both limits: alone, the system would only kill.
    done = subprocess.run(
        [sys.executable, "-c", ACT_ONCE, BUSY, "tf2npz", tiny, place / "out.npz"],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, limits),
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "gpt2-convert: no processor time is left; allow more (ulimit -t); "
        "nothing half-written was left behind\n"
    )
    assert os.listdir(place) == []


def test_what_stays_behind_is_said_and_nothing_else(tiny: Path, place: Path) -> None:
    refuse = "os.rmdir = os.unlink; os.kill(os.getpid(), 15)"
    done = subprocess.run(
        [sys.executable, "-c", ACT_ONCE, refuse, "tf2npz", tiny, place / "out.npz"],
        capture_output=True,
        text=True,
        check=False,
    )
    (left,) = os.listdir(place)
    assert done.returncode == 128 + signal.SIGTERM
    assert done.stderr == (
        f"gpt2-convert: stopped by SIGTERM (terminated); {place / left}: could not be removed: "
        "is a directory\n"
    )


def test_second_signal_does_not_disturb_the_clean_up(
    program: Program, tiny: Path, place: Path
) -> None:
    out = place / "out.npz"
    process = program.start_held(HELD, "writing", "0.5", "tf2npz", tiny, out)
    for number in (*EVERY, *EVERY):
        process.send_signal(number)
    done = process.finish()
    assert done.code in [128 + number for number in EVERY]  # the order is the system's
    assert done.err.endswith("; nothing half-written was left behind\n")
    assert done.err.count("\n") == 1
    assert os.listdir(place) == []


def test_signal_amid_the_clean_up_does_not_disturb_it(
    program: Program, tiny: Path, place: Path
) -> None:
    mishap = ["fsync unlink", "before", str(int(signal.SIGINT))]
    done = program.run(*mishap, "tf2npz", tiny, place / "out.npz", code=STOP_AT_CALL)
    assert (done.code, done.out, done.err) == (130, "", INTERRUPTED)
    assert os.listdir(place) == []


SWALLOWED = """
class Interrupted:
    def __del__(self):
        os.kill(os.getpid(), 2)
        time.sleep(60)
Interrupted()
"""
MISTAKEN = """
try:
    os.kill(os.getpid(), 2)
    time.sleep(60)
except KeyboardInterrupt:
    raise ValueError("from the middle of unwinding")
"""


@pytest.mark.parametrize("mishap", [SWALLOWED, MISTAKEN], ids=["swallowed", "mistaken"])
def test_interruption_is_neither_lost_nor_mistaken(
    program: Program, mishap: str, tiny: Path, place: Path
) -> None:
    done = program.run(mishap, "tf2npz", tiny, place / "out.npz", code=ACT_ONCE)
    assert (done.code, done.out, done.err) == (130, "", INTERRUPTED)
    assert os.listdir(place) == []


def test_interrupted_job_prints_no_document(program: Program, tiny: Path, place: Path) -> None:
    out = place / "out.npz"
    process = program.start_held(HELD, "writing", "0.5", "tf2npz", "--json", tiny, out)
    process.send_signal(signal.SIGINT)
    done = process.finish()
    assert (done.code, done.out, done.err) == (130, "", INTERRUPTED)


@pytest.mark.parametrize("number", [*SIGNALS, signal.SIGQUIT])
def test_ignored_signal_stays_ignored(number: int, tiny: Path, place: Path) -> None:
    # As under nohup, and in the background of a shell without job control.
    process = start_held(
        "writing",
        0.5,
        "tf2npz",
        "-q",
        tiny,
        place / "out.npz",
        preexec_fn=lambda: signal.signal(number, signal.SIG_IGN),
    )
    process.send_signal(number)
    done = finish(process)
    assert (done.code, done.out, done.err) == (0, "", "")
    assert is_complete(place / "out.npz", tiny)


@pytest.mark.parametrize(
    "module", ["gpt2_convert.cli.program", "click", "numpy", "gpt2_convert.reports.text"]
)
def test_ctrl_c_while_modules_are_imported_is_one_line(
    module: str, tiny: Path, place: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", STOP_AT_IMPORT, module, "tf2npz", tiny, place / "out.npz"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (130, INTERRUPTED)


CALLS = ["open", "fsync", "replace", "link", "unlink"]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_stopped_at_any_step_the_target_is_absent_old_or_complete(
    program: Program, number: int, call: str, when: str, tiny: Path, place: Path
) -> None:
    target = place / "out.npz"
    force = call not in ("link", "unlink")
    if force:
        target.write_bytes(OLD)
    options = ["-q", "--force"] if force else ["-q"]
    mishap = [call, when, str(int(number))]
    stopped = program.run(*mishap, "tf2npz", *options, tiny, target, code=STOP_AT_CALL)
    assert stopped.code == (-signal.SIGKILL if number == signal.SIGKILL else 130)
    assert "Traceback" not in stopped.err
    named = call == "unlink" or (call in ("replace", "link") and when == "after")
    if named:
        assert is_complete(target, tiny)
    elif force:
        assert target.read_bytes() == OLD
    else:
        assert not target.exists()
    left = set(os.listdir(place)) - {"out.npz"}
    if number == signal.SIGINT:
        assert left == set()
    assert all(name.startswith("out.npz.") and name.endswith(".partial") for name in left)
    assert gpt2_convert.convert(tiny, target, force=True).ok
    assert is_complete(target, tiny)
    assert set(os.listdir(place)) - {"out.npz"} == left


@pytest.mark.slow
def test_interrupted_at_random_moments_of_its_work_nothing_is_left(
    program: Program, larger: Path, place: Path
) -> None:
    target = place / "out.npz"
    moments = random.Random()  # noqa: S311 - not for secrets
    for number in SIGNALS * 3:
        process = program.start("tf2npz", "-q", larger, target)
        while not os.listdir(place):
            time.sleep(0.001)
        moment = moments.uniform(0, 0.1)
        time.sleep(moment)
        process.send_signal(number)
        done = process.finish()
        assert (done.code, done.err) in ((128 + number, tell_interruption(number)), (0, "")), moment
        assert set(os.listdir(place)) <= {"out.npz"}, moment
        assert not target.exists() or is_complete(target, larger), moment
        target.unlink(missing_ok=True)


def test_failed_conversion_leaves_no_thread(tiny: Path, place: Path) -> None:
    data = tiny / "model.ckpt.data-00000-of-00001"
    content = bytearray(data.read_bytes())
    content[1000] ^= 1
    data.write_bytes(content)
    with pytest.raises(gpt2_convert.ChecksumError):
        gpt2_convert.convert(tiny, place / "out.npz")
    assert not [thread for thread in threading.enumerate() if "read-ahead" in thread.name]
    assert os.listdir(place) == []
