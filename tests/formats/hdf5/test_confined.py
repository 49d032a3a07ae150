"""A child process that does what may crash, hang or eat memory: it fails closed."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from support.children import list_children, needs_proc, told
from support.console import PATIENCE
from support.corpus import CASES
from support.descriptors import list_descriptors

import gpt2_convert
from gpt2_convert.formats.hdf5.confined import confine

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CRASHES = [
    signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGFPE, signal.SIGILL, signal.SIGTRAP,
]  # fmt: skip


# What comes to its end.


def test_what_the_work_yields_arrives_and_nothing_is_left() -> None:
    before = list_children(), list_descriptors()
    messages = [b"", b"a", bytes(1 << 20), b"", b"\0\n", b"x" * 4095, b"y" * 4097]
    assert list(confine(lambda: messages, "x.h5")) == [each for each in messages if each]
    assert list(confine(list, "x.h5")) == []
    assert (list_children(), list_descriptors()) == before


def test_what_changes_in_the_child_stays_there() -> None:
    changed = [1]
    assert told(changed.clear) == [b"before", b"after"]
    assert changed == [1]


@pytest.mark.parametrize(
    "kind",
    [
        gpt2_convert.FormatError,
        gpt2_convert.ChecksumError,
        gpt2_convert.UnsupportedError,
        gpt2_convert.UnreadableError,
        gpt2_convert.SourceNotFoundError,
        gpt2_convert.UsageError,
    ],
)
def test_an_error_of_ours_is_raised_as_it_was(kind: type[gpt2_convert.Gpt2ConvertError]) -> None:
    def fail() -> None:
        raise kind("y.h5: 'a\udcff': wrong")

    with pytest.raises(kind) as caught:
        told(fail)
    assert type(caught.value) is kind
    assert str(caught.value) == "y.h5: 'a\udcff': wrong"


# What does not.


@pytest.mark.parametrize("number", CRASHES)
def test_a_crash_is_an_error_that_names_file_and_signal(
    number: signal.Signals, capfd: pytest.CaptureFixture[str]
) -> None:
    before = list_children()

    def crash() -> None:
        os.write(2, b"free(): invalid pointer\n")
        os.kill(os.getpid(), number)

    with pytest.raises(gpt2_convert.FormatError, match=rf"^x\.h5: .* crashes .*\({number.name}\)"):
        told(crash)
    assert list_children() == before
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("code", [0, 1, 3])
@pytest.mark.parametrize("end", [os._exit, ctypes.CDLL(None).exit], ids=["_exit", "exit of libc"])
def test_a_child_that_ends_itself_has_not_come_to_its_end(
    end: Callable[[int], object], code: int
) -> None:
    with pytest.raises(
        gpt2_convert.UnreadableError, match=rf"^x\.h5: .* ended itself, with exit code {code},"
    ):
        told(lambda: end(code))


def test_a_child_that_is_killed_is_an_error() -> None:
    # As a system does that runs out of memory.
    with pytest.raises(gpt2_convert.UnreadableError, match=r"^x\.h5: .* was ended \(killed\)"):
        told(lambda: os.kill(os.getpid(), signal.SIGKILL))


def test_an_exception_that_nobody_expects_is_an_error() -> None:
    def fail() -> None:
        raise LookupError("one line\nand another")

    with pytest.raises(
        gpt2_convert.UnreadableError, match=r"^x\.h5: .* failed: LookupError: one line and another$"
    ):
        told(fail)


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, GeneratorExit])
def test_so_is_what_is_no_exception(kind: type[BaseException]) -> None:
    def fail() -> None:
        raise kind

    with pytest.raises(gpt2_convert.UnreadableError, match=f"failed: {kind.__name__}"):
        told(fail)


def test_what_never_ends_is_ended() -> None:
    def spin() -> None:
        while True:
            pass

    started = time.process_time()
    with pytest.raises(gpt2_convert.FormatError, match="comes to no end"):
        told(spin)
    assert time.process_time() - started < 1


# A child that there cannot be, or not as it has to be.


@pytest.mark.parametrize("call", ["setrlimit", "getrlimit"])
def test_limits_that_cannot_be_set_are_an_error(call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    parent = os.getpid()

    def refuse(*arguments: object) -> None:
        assert os.getpid() != parent
        raise ValueError("current limit exceeds maximum limit")

    monkeypatch.setattr(resource, call, refuse)
    with pytest.raises(
        gpt2_convert.UnreadableError, match=r"^x\.h5: .* failed: ValueError: current limit exceeds"
    ):
        told(lambda: None)


def test_a_child_that_cannot_open_what_it_needs_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "devnull", "/nonexistent")
    with pytest.raises(gpt2_convert.UnreadableError, match=r"failed: no such file or directory$"):
        told(lambda: None)


@pytest.mark.parametrize("call", ["fork", "pipe"])
def test_a_process_that_cannot_be_started_is_an_error(
    call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> int:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    before = list_descriptors()
    monkeypatch.setattr(os, call, refuse)
    with pytest.raises(
        gpt2_convert.UnreadableError,
        match=r"^x\.h5: no process can be started .*: resource temporarily unavailable$",
    ):
        told(lambda: None)
    monkeypatch.undo()
    assert list_descriptors() == before


def test_the_child_s_end_may_be_told_to_somebody_else() -> None:
    handler = signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody can wait for a child now
    try:
        assert told(lambda: None) == [b"before", b"after"]
        with pytest.raises(gpt2_convert.UnreadableError, match="something else was told how"):
            told(lambda: os._exit(0))
    finally:
        signal.signal(signal.SIGCHLD, handler)


@needs_proc
def test_no_message_is_believed_that_was_cut() -> None:
    def cut() -> None:
        # The descriptor that is left besides the standard ones.
        [pipe] = [int(name) for name in os.listdir("/proc/self/fd") if is_pipe(int(name))]
        os.write(pipe, b"m" + (100).to_bytes(8, "little") + b"short")
        os._exit(0)

    with pytest.raises(gpt2_convert.UnreadableError, match="exit code 0"):
        told(cut)


def is_pipe(descriptor: int) -> bool:
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}").startswith("pipe:")
    except OSError:
        return False


# Its end.


def test_an_interruption_ends_the_child_too() -> None:
    class Interrupted(BaseException):
        pass

    def interrupt(number: int, frame: object) -> None:
        raise Interrupted

    before = list_children()
    handler = signal.signal(signal.SIGUSR1, interrupt)
    timer = threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGUSR1))
    timer.start()
    try:
        with pytest.raises(Interrupted):
            told(lambda: time.sleep(PATIENCE))
    finally:
        timer.join()
        signal.signal(signal.SIGUSR1, handler)
    assert list_children() == before


def test_a_child_that_nobody_listens_to_any_more_is_ended() -> None:
    before = list_children()
    with closing(confine(lambda: iter(lambda: b"x" * 8192, b""), "x.h5")) as messages:
        next(messages)
        assert len(list_children()) == len(before) + 1
    assert list_children() == before


# The library.


def test_a_tree_that_crashes_the_library_does_not_crash_this_process(tmp_path: Path) -> None:
    CASES["HDF5: tree that is its own child"].write(tmp_path)
    path = tmp_path / "x.h5"
    program = f"import h5py\nh5py.File({str(path)!r}).visit(print)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    if done.returncode == 0:
        pytest.fail("the library has learnt to refuse it: is the child still of use?")
    with pytest.raises(gpt2_convert.FormatError, match="damaged"):
        gpt2_convert.open(path)
