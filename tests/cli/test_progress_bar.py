"""The bar: who gets one, and what is in it."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from support import bundles
from support.console import (
    ERROR,
    ESCAPE,
    PATIENCE,
    SCRIPT,
    held_command,
    run_in_terminal,
)

if TYPE_CHECKING:
    from pathlib import Path


STYLE = "(\x1b\\[[0-9;]*m)*"
BAR = re.compile(
    f"35\\.7/35\\.7 MB{STYLE} {STYLE}[0-9.]+ [kMG]B/s{STYLE} {STYLE}[0-9]:[0-9][0-9]:[0-9][0-9]"
)
"""Bytes, rate and time left, at the end of the larger checkpoint."""


@pytest.fixture(scope="module")
def larger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of some 30 MB, which takes long enough for a bar to be drawn."""
    sizes = {"n_vocab": 5000, "n_ctx": 128, "n_embd": 512, "n_head": 8, "n_layer": 2}
    return bundles.write_gpt2(tmp_path_factory.mktemp("models") / "larger", sizes)


def test_terminal_gets_colour_and_a_bar_with_bytes_rate_and_time_left(
    larger: Path, tmp_path: Path
) -> None:
    done = run_in_terminal("tf2npz", larger, tmp_path / "out.npz")
    assert done.code == 0
    assert "writing" in done.err
    assert "verifying" in done.err
    assert BAR.search(done.err)
    assert f"{ESCAPE}[32mverified" in done.err
    assert done.err.count(f"{ESCAPE}[?25l") == done.err.count(f"{ESCAPE}[?25h") == 1  # the cursor


def test_bar_is_on_stderr_while_stdout_goes_elsewhere(larger: Path, tmp_path: Path) -> None:
    with open(tmp_path / "report", "wb") as report:
        done = run_in_terminal("verify", larger, larger, out=report.fileno())
    assert done.code == 0
    assert BAR.search(done.err)
    text = (tmp_path / "report").read_text()
    assert text.startswith("equal ")
    assert ESCAPE not in text


def test_quiet_and_dumb_terminals_get_no_bar(larger: Path, tmp_path: Path) -> None:
    quiet = run_in_terminal("tf2npz", "-q", larger, tmp_path / "out.npz")
    assert (quiet.code, quiet.err) == (0, "")
    dumb = run_in_terminal("verify", larger, tmp_path / "out.npz", env={"TERM": "dumb"})
    assert dumb.code == 0
    assert ESCAPE not in dumb.err


def test_narrow_terminal_still_shows_all_of_the_bar_on_one_line(
    larger: Path, tmp_path: Path
) -> None:
    done = run_in_terminal("tf2npz", larger, tmp_path / "out.npz", columns=50)
    assert done.code == 0
    assert BAR.search(done.err)


FILES = """
import time
from gpt2_convert.cli.progress_bar import progress_bar

with progress_bar(one_by_one=True) as show:
    show("waiting", 0, 0)
    for name in ("hparams.json", "model.ckpt.data-00000-of-00001", "verifying", "verifying"):
        for done in range(0, 497759233, 497759232 // 8):
            show(name, done, 497759232)
            time.sleep(0.03)
"""
"""A program that shows files of 500 MB."""


@pytest.mark.parametrize("columns", [40, 60, 100])
def test_files_are_shown_one_by_one_each_on_a_line_that_fits(columns: int) -> None:
    done = run_in_terminal(command=(sys.executable, "-c", FILES), columns=columns)
    assert done.code == 0
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", done.err)
    lines = [line for line in re.split("[\r\n]+", plain) if line]
    assert max(map(len, lines)) <= columns
    for start in ("waiting", "hparams.json", "model.ckpt", "verifying"):
        assert any(line.startswith(start) for line in lines), start
    done_so_far = r"\d\d%" if columns < 50 else r"\d/497\.8 MB"
    end = re.compile(rf"{done_so_far} [0-9.]+ [MG]B/s \d?:?\d\d:\d\d$")
    assert any(end.search(line) for line in lines if line.startswith("model.ckpt"))
    assert done.err.count(f"{ESCAPE}[1A") == 1  # the cursor goes up at the end, to clear one line


def test_program_in_the_background_draws_nothing_over_the_prompt(
    larger: Path, tmp_path: Path
) -> None:
    job = ["bash", "-c", 'set -m; "$0" "$@" & wait $!', str(SCRIPT)]
    done = run_in_terminal("tf2npz", larger, tmp_path / "out.npz", command=job)
    assert done.code == 0
    assert "verified" in done.err
    assert "writing" not in done.err


def test_ctrl_c_in_a_terminal_takes_the_bar_away(tiny: Path, tmp_path: Path) -> None:
    done = run_in_terminal(
        "tf2npz",
        tiny,
        tmp_path / "out.npz",
        command=held_command("writing", 0.5),
        typed=(b"held", b"\x03"),
    )
    assert done.code == 130
    assert done.err.endswith(f"{ERROR}interrupted; nothing half-written was left behind\r\n")
    assert done.err.count(f"{ESCAPE}[?25l") == done.err.count(f"{ESCAPE}[?25h") == 1  # the cursor
    assert os.listdir(tmp_path) == ["models"]


def test_the_bar_needs_no_thread(larger: Path, tmp_path: Path) -> None:
    program = (
        "import threading, gpt2_convert.cli\n"
        "start = threading.Thread.start\n"
        "def refuse(thread):\n"
        "    assert thread.name.startswith('gpt2-convert'), thread\n"
        "    start(thread)\n"
        "threading.Thread.start = refuse\n"
        "gpt2_convert.cli.main()"
    )
    command = [sys.executable, "-c", program]
    done = run_in_terminal("tf2npz", larger, tmp_path / "out.npz", command=command)
    assert done.code == 0
    assert BAR.search(done.err)


def test_a_terminal_that_goes_away_stops_no_job(tiny: Path, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    # It does not control the program, which would be told by SIGHUP otherwise.
    running = subprocess.Popen(
        [*held_command("writing", 0.5), "tf2npz", tiny, tmp_path / "out.npz"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=theirs,
        start_new_session=True,
        env={**os.environ, "TERM": "xterm-256color"},
    )
    os.close(theirs)
    assert running.stdout is not None
    assert running.stdout.readline() == b"held\n"
    shown = b""
    while b"writing" not in shown:
        shown += os.read(ours, 65536)
    os.close(ours)
    out, _ = running.communicate(b"\n", timeout=PATIENCE)
    assert running.returncode == 0
    assert b"verified  every bit equals the source" in out
