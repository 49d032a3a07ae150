"""The installed program as a process: its output, its exit code, and how it looks in a terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import subprocess
import sys
import sysconfig
import termios
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

SCRIPT = Path(sysconfig.get_path("scripts")) / "gpt2-convert"
PATIENCE = 60
"""Seconds after which a program that should have ended is taken to hang."""

ESCAPE = "\x1b"
ERROR = "gpt2-convert: "

HELD = """
import os, sys
import gpt2_convert, gpt2_convert.cli
phase, fraction = sys.argv.pop(1), float(sys.argv.pop(1))
convert = gpt2_convert.convert

def hold(*arguments, progress, **options):
    held = False
    def watch(now, done, total):
        nonlocal held
        progress(now, done, total)
        if now == phase and done >= fraction * total and not held:
            held = True
            os.write(1, b"held\\n")
            sys.stdin.readline()
    return convert(*arguments, progress=watch, **options)

gpt2_convert.convert = hold
gpt2_convert.cli.main()
"""
"""The program, which stops in the phase named by its first argument, says so on stdout, and goes
on when a line arrives on stdin."""


@dataclass
class Outcome:
    code: int
    out: str
    err: str


def is_one_error_line(text: str) -> bool:
    return text.startswith(ERROR) and text.count("\n") == 1 and text.endswith("\n")


def run(*arguments: str | bytes | Path, **options: Any) -> Outcome:  # noqa: ANN401
    """Run the program to its end with its output in pipes; ``options`` are subprocess.run's."""
    options.setdefault("stdout", subprocess.PIPE)
    options.setdefault("stderr", subprocess.PIPE)
    options.setdefault("stdin", subprocess.DEVNULL)
    done = subprocess.run([SCRIPT, *arguments], check=False, timeout=PATIENCE, **options)
    out, err = (stream.decode() if stream else "" for stream in (done.stdout, done.stderr))
    return Outcome(done.returncode, out, err)


def held_command(phase: str, fraction: float) -> list[str]:
    """Return the command that runs the program and stops it once it has come so far in a phase."""
    return [sys.executable, "-c", HELD, phase, str(fraction)]


def start_held(
    phase: str,
    fraction: float,
    *arguments: str | Path,
    **options: Any,  # noqa: ANN401
) -> subprocess.Popen[bytes]:
    """Start the program and return once it has come so far in ``phase``, and waits there."""
    process = subprocess.Popen(
        [*held_command(phase, fraction), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **options,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    return process


def finish(process: subprocess.Popen[bytes]) -> Outcome:
    """Let a program that waits go on, and return what came of it."""
    out, err = process.communicate(b"\n", timeout=PATIENCE)
    return Outcome(process.returncode, out.decode(), err.decode())


def run_in_terminal(
    *arguments: str | Path,
    command: Sequence[str | Path] = (SCRIPT,),
    columns: int = 100,
    out: int | None = None,
    typed: tuple[bytes, bytes] | None = None,
    env: Mapping[str, str] | None = None,
) -> Outcome:
    """Run the program in a terminal of its own; ``err`` is what the terminal got.

    ``out`` is the file descriptor that stdout goes to instead. When the first of ``typed`` is
    seen, the second is typed on the keyboard.
    """
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, columns))
    process = subprocess.Popen(
        [*command, *arguments],
        stdin=theirs,
        stdout=theirs if out is None else out,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=take_terminal,
        # pytest-xdist tells its workers a width, which would go before the terminal's.
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "", **(env or {})},
    )
    os.close(theirs)
    shown = b""
    while select.select([ours], [], [], PATIENCE)[0]:
        try:
            piece = os.read(ours, 65536)
        except OSError:  # Linux's way to say that no program has the terminal open any more
            break
        if not piece:
            break
        shown += piece
        if typed and typed[0] in shown:
            os.write(ours, typed[1])
            typed = None
    os.close(ours)
    return Outcome(process.wait(PATIENCE), "", shown.decode())


def take_terminal() -> None:
    """Make stdin the terminal that controls this session, so that Ctrl-C reaches it."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def tell_interruption(number: int) -> str:
    """Return the line on stderr of a program that a signal has ended in time."""
    end = "; nothing half-written was left behind\n"
    if number == signal.SIGINT:
        return f"gpt2-convert: interrupted{end}"
    said = (signal.strsignal(number) or "").lower()
    return f"gpt2-convert: stopped by {signal.Signals(number).name} ({said}){end}"
