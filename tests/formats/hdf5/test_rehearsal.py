"""Whatever brings the HDF5 library down does so in a child, and is an error of ours."""

from __future__ import annotations

import mmap
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from support.console import PATIENCE
from support.corpus import CASES

import gpt2_convert
from gpt2_convert.formats.hdf5 import rehearsal
from gpt2_convert.formats.hdf5.rehearsal import rehearse


def children() -> set[str]:
    """Return the processes that this one has started and not waited for."""
    pid = os.getpid()
    return set(Path(f"/proc/self/task/{pid}/children").read_text().split())


def test_what_comes_to_an_end_is_no_error() -> None:
    def fail() -> None:
        raise LookupError("of no importance here")

    before = children()
    rehearse(lambda: None, "x.h5")
    rehearse(fail, "x.h5")
    assert children() == before


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGKILL])
def test_a_crash_is_an_error_that_names_file_and_signal(
    number: signal.Signals, capfd: pytest.CaptureFixture[str]
) -> None:
    before = children()

    def crash() -> None:
        os.write(2, b"free(): invalid pointer\n")
        os.kill(os.getpid(), number)

    with pytest.raises(gpt2_convert.FormatError, match=rf"^x\.h5: .*\({number.name}\)"):
        rehearse(crash, "x.h5")
    assert children() == before
    assert capfd.readouterr() == ("", "")


def test_what_never_ends_is_ended() -> None:
    def spin() -> None:
        while True:
            pass

    with pytest.raises(gpt2_convert.FormatError, match="no end with it within 1 seconds"):
        rehearse(spin, "x.h5", seconds=1)


def test_what_eats_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rehearsal, "MAX_GROWTH", 20 << 20)
    rehearse(lambda: touch(10 << 20), "x.h5")
    with pytest.raises(gpt2_convert.FormatError, match="more than 20,971,520 bytes"):
        rehearse(lambda: touch(40 << 20), "x.h5")


def touch(size: int) -> None:
    """Take memory that this process does not have yet; an allocator may have some left."""
    with mmap.mmap(-1, size) as memory:
        for start in range(0, size, mmap.PAGESIZE):
            memory[start] = 1


def test_an_interruption_ends_the_child_too() -> None:
    class Interrupted(BaseException):
        pass

    def interrupt(number: int, frame: object) -> None:
        raise Interrupted

    before = children()
    handler = signal.signal(signal.SIGUSR1, interrupt)
    timer = threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGUSR1))
    timer.start()
    try:
        with pytest.raises(Interrupted):
            rehearse(lambda: time.sleep(PATIENCE), "x.h5")
    finally:
        timer.join()
        signal.signal(signal.SIGUSR1, handler)
    assert children() == before


def test_a_tree_that_crashes_the_library_does_not_crash_this_process(tmp_path: Path) -> None:
    CASES["HDF5: tree that is its own child"].write(tmp_path)
    path = tmp_path / "x.h5"
    program = f"import h5py\nh5py.File({str(path)!r}).visit(print)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    if done.returncode == 0:
        pytest.fail("the library has learnt to refuse it: is the rehearsal still of use?")
    with pytest.raises(gpt2_convert.FormatError, match="damaged"):
        gpt2_convert.open(path)
