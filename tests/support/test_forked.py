"""What a forked run tells of itself is so."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from support.forked import Program


def test_streams_and_exit_code_are_those_of_the_run(program: Program, tmp_path: Path) -> None:
    code = (
        "import os, sys\n"
        "print(sys.argv[1:], os.getcwd(), sys.stdin.read(), flush=True)\n"
        "print('an error', file=sys.stderr, flush=True)\n"
        "os._exit(7)\n"
    )
    done = program.start("a", b"\xff", code=code, cwd=tmp_path).finish(b"typed")
    assert (done.code, done.err) == (7, "an error\n")
    assert done.out == f"['a', '\\udcff'] {tmp_path} typed\n"


def test_the_peak_is_that_of_the_run_and_not_of_another(program: Program) -> None:
    large = program.run(code="import os; bytes(range(256)) * 800_000; os._exit(0)")
    small = program.run(code="import os; os._exit(0)")
    assert 200_000_000 < large.peak < 300_000_000
    assert 5_000_000 < small.peak < 80_000_000


def test_a_run_can_be_killed_and_one_that_hangs_is(program: Program) -> None:
    running = program.start(code="import time; time.sleep(600)")
    running.send_signal(signal.SIGKILL)
    assert running.finish().code == -signal.SIGKILL
    with pytest.raises(TimeoutError, match="hangs"):
        program.run(code="import time; time.sleep(600)", patience=0.1)


def test_an_exception_ends_the_run_and_not_what_forks(program: Program) -> None:
    done = program.run(code="1 / 0")
    assert done.code == 1
    assert done.err.endswith("ZeroDivisionError: division by zero\n")
    assert program.run("--version").code == 0
