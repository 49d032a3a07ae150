"""What a child process may do: little, by limits of its own or by lower ones that it inherits."""

from __future__ import annotations

import json
import mmap
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest
from support.children import learn, needs_proc, told

import gpt2_convert
from gpt2_convert.formats.hdf5 import child
from gpt2_convert.formats.hdf5.confined import confine

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def test_the_time_allowed_grows_with_what_there_is_to_show(monkeypatch: pytest.MonkeyPatch) -> None:
    def burn() -> None:
        end = time.process_time() + 0.02
        while time.process_time() < end:
            pass

    def work() -> Iterator[bytes]:
        for _ in range(30):
            burn()
            yield b""

    monkeypatch.setattr(child, "FIRST_SECONDS", 0.2)
    monkeypatch.setattr(child, "STEP_SECONDS", 0.1)
    assert list(confine(work, "x.h5")) == []
    monkeypatch.setattr(child, "STEP_SECONDS", 0.0)
    with pytest.raises(gpt2_convert.FormatError, match="comes to no end"):
        list(confine(work, "x.h5"))


def test_what_eats_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "MAX_GROWTH", 64 << 20)
    assert told(lambda: bytes(10 << 20)) == [b"before", b"after"]
    with pytest.raises(gpt2_convert.FormatError, match="wants more than 67,108,864 bytes"):
        told(lambda: bytes(1 << 30))  # more than an allocator has left


def test_where_memory_cannot_be_limited_it_is_seen_what_was_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lower = child._lower
    monkeypatch.setattr(child, "MAX_GROWTH", 64 << 20)
    monkeypatch.setattr(
        child,
        "_lower",
        lambda limit, wanted: limit == resource.RLIMIT_AS or lower(limit, wanted),
    )
    with pytest.raises(gpt2_convert.FormatError, match="wants more than 67,108,864 bytes"):
        told(lambda: touch(128 << 20))


def touch(size: int) -> None:
    """Take memory that this process does not have yet; an allocator may have some left."""
    with mmap.mmap(-1, size) as memory:
        for start in range(0, size, mmap.PAGESIZE):
            memory[start] = 1


@needs_proc
def test_limits_that_were_inherited_stay_and_others_are_set() -> None:
    program = (
        "import json, resource, sys\n"
        "from gpt2_convert.formats.hdf5 import confined\n"
        "names = ['RLIMIT_CPU', 'RLIMIT_AS', 'RLIMIT_CORE']\n"
        "limits = [getattr(resource, name) for name in names]\n"
        "for limit, low in zip(limits, json.loads(sys.argv[1])):\n"
        "    if low: resource.setrlimit(limit, low)\n"
        "def work(): yield json.dumps([resource.getrlimit(limit) for limit in limits]).encode()\n"
        "print(*(each.decode() for each in confined.confine(work, 'x.h5')))\n"
    )

    def limits(*low: tuple[int, int] | None) -> list[list[int]]:
        done = subprocess.run(
            [sys.executable, "-c", program, json.dumps(low)],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        found: list[list[int]] = json.loads(done.stdout)
        return found

    cpu, memory, core = limits()
    assert cpu[0] == child.MAX_SECONDS
    assert child.MAX_GROWTH < memory[0] < child.MAX_GROWTH + (4 << 30)
    assert core[0] == 0
    cpu, memory, core = limits((8, 8), (4 << 40, 4 << 40))
    assert cpu == [8, 8]
    assert memory[0] < 4 << 30
    assert memory[1] == 4 << 40
    cpu, memory, core = limits((60, 60), (1 << 30, 2 << 30))
    assert cpu == [child.MAX_SECONDS, 60]
    assert memory[0] <= 1 << 30


@needs_proc
def test_memory_that_is_short_already_is_not_the_file_s_fault() -> None:
    program = (
        "import resource\n"
        "from gpt2_convert.formats.hdf5 import confined\n"
        "pages = int(open('/proc/self/statm').read().split()[0])\n"
        "limit = pages * resource.getpagesize() + (20 << 20)\n"
        "resource.setrlimit(resource.RLIMIT_AS, (limit, limit))\n"
        "list(confined.confine(lambda: [bytes(100 << 20)], 'x.h5'))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    last = done.stderr.splitlines()[-1]
    assert "UnreadableError: x.h5: " in last
    assert last.endswith("not enough memory is left for it")


def test_signals_that_are_sent_to_both_are_for_the_parent() -> None:
    group = {
        signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1,
        signal.SIGUSR2, signal.SIGALRM, signal.SIGVTALRM, signal.SIGPIPE, signal.SIGWINCH,
    }  # fmt: skip

    def send() -> None:
        for number in group:
            os.kill(os.getpid(), number)

    assert told(send) == [b"before", b"after"]


def test_no_handler_of_the_parent_runs_in_the_child() -> None:
    def handle(number: int, frame: object) -> None:
        raise AssertionError

    handlers = {
        number: signal.signal(number, handle) for number in (signal.SIGUSR1, signal.SIGTERM)
    }
    try:
        assert told(lambda: os.kill(os.getpid(), signal.SIGUSR1)) == [b"before", b"after"]
        # Also where another thread than the main one starts it, which is the child's main one.
        found: list[list[bytes]] = []
        thread = threading.Thread(
            target=lambda: found.append(told(lambda: os.kill(os.getpid(), signal.SIGTERM)))
        )
        thread.start()
        thread.join()
        assert found == [[b"before", b"after"]]
        assert signal.getsignal(signal.SIGUSR1) is handle
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


@needs_proc
def test_the_child_has_no_file_but_those_that_it_needs(tmp_path: Path) -> None:
    with open(tmp_path / "kept", "wb") as kept, open(tmp_path / "other", "wb"):

        def find() -> list[str]:
            links = [os.readlink(f"/proc/self/fd/{name}") for name in range(4096) if is_open(name)]
            return sorted({os.path.basename(link.partition(":")[0]) for link in links})

        [found] = confine(lambda: [json.dumps(find()).encode()], "x.h5", (kept.fileno(),))
    assert json.loads(found) == ["kept", "null", "pipe"]


def is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def test_the_parent_s_signal_mask_is_as_it_was() -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})
    try:
        assert (
            learn(lambda: [int(each) for each in signal.pthread_sigmask(signal.SIG_BLOCK, ())])
            == []
        )
        assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before | {signal.SIGUSR2}
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
