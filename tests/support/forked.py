"""The program without its start: forked from a process that has loaded its modules.

A run takes milliseconds instead of tenths of a second, and is a process of its own like any other:
with its exit code, its signals, its streams and its memory. What a test asserts of the start itself
(imports, locale, closed streams) needs `console.run`.

This file is also the process that forks. It is a small one, so that the peak of a run's memory is
the run's: it starts with the interpreter and the modules, as the program does, but for some 30 MB
of the libraries' code, which it shares with its parent until it calls it.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pkgutil import walk_packages
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from typing import IO, Any, NoReturn

MAIN = "import gpt2_convert.cli; gpt2_convert.cli.main()"
PATIENCE = 60
"""Seconds after which a program that should have ended is taken to hang."""
RSS_UNIT = 1 if sys.platform == "darwin" else 1024


@dataclass(frozen=True)
class Ended:
    """``code`` is minus the signal that ended it; ``peak`` is in bytes."""

    code: int
    out: str
    err: str
    peak: int


@dataclass(frozen=True)
class Running:
    """A program that was started; to be finished, or it stays a zombie."""

    pid: int
    stdin: IO[bytes]
    stdout: IO[bytes]
    stderr: IO[bytes]
    connection: Connection

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def finish(self, typed: bytes = b"\n", patience: float = PATIENCE) -> Ended:
        """Give it ``typed`` to read, and return what came of it.

        Raises:
            TimeoutError: it is still running after ``patience`` seconds; it is no more.
        """
        with self.stdin, self.stdout, self.stderr:
            try:
                self.stdin.write(typed)
                self.stdin.close()
            except BrokenPipeError:
                pass  # it does not read, or has ended
            out = self._read_to_the_end(time.monotonic() + patience)
            code, peak = self.connection.ask({"wait": self.pid})
            self.stderr.seek(0)
            return Ended(code, out.decode(), self.stderr.read().decode(), peak)

    def _read_to_the_end(self, end: float) -> bytes:
        out = b""
        while select.select([self.stdout], [], [], max(0, end - time.monotonic()))[0]:
            piece = os.read(self.stdout.fileno(), 1 << 16)
            if not piece:
                return out
            out += piece
        self.send_signal(signal.SIGKILL)
        self.connection.ask({"wait": self.pid})
        raise TimeoutError(f"it hangs, after {out!r}")


class Connection:
    """The way to the process that forks: a request, a line of JSON, and its answer, another."""

    def __init__(self, ours: socket.socket) -> None:
        ours.settimeout(2 * PATIENCE)
        self.socket = ours
        self.answers = ours.makefile("r")

    def ask(self, request: Mapping[str, object], fds: tuple[int, ...] = ()) -> Any:  # noqa: ANN401
        socket.send_fds(self.socket, [json.dumps(request).encode() + b"\n"], fds)
        return json.loads(self.answers.readline())


class Program:
    """The program, ready to be run any number of times."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def start(
        self,
        *arguments: str | bytes | Path,
        code: str = MAIN,
        cwd: str | Path = ".",
        out: int | None = None,
    ) -> Running:
        """Start it; ``code`` is Python that runs in its place, as with ``python -c``.

        ``out`` is the file descriptor that stdout goes to, if not to the result.
        """
        theirs_in, ours_in = os.pipe()
        ours_out, theirs_out = os.pipe()
        stderr = tempfile.TemporaryFile()  # noqa: SIM115 - Running closes it
        request = {
            "code": code,
            "arguments": [os.fsdecode(argument) for argument in arguments],
            "cwd": os.path.abspath(cwd),
        }
        pid = self.connection.ask(
            request, (theirs_in, theirs_out if out is None else out, stderr.fileno())
        )
        os.close(theirs_in)
        os.close(theirs_out)
        streams = os.fdopen(ours_in, "wb", 0), os.fdopen(ours_out, "rb", 0), stderr
        return Running(pid, *streams, self.connection)

    def run(
        self,
        *arguments: str | bytes | Path,
        code: str = MAIN,
        cwd: str | Path = ".",
        out: int | None = None,
        patience: float = PATIENCE,
    ) -> Ended:
        """Run it to its end."""
        return self.start(*arguments, code=code, cwd=cwd, out=out).finish(b"", patience)

    def start_held(self, code: str, *arguments: str | Path) -> Running:
        """Start it and return once it has said that it waits for a line."""
        running = self.start(*arguments, code=code)
        assert running.stdout.readline() == b"held\n"
        return running


@contextmanager
def forking() -> Iterator[Program]:
    """Start the process that forks, and yield the program."""
    ours, theirs = socket.socketpair()
    command = [sys.executable, "-P", __file__, str(theirs.fileno())]
    # As the program sets it: a process with threads is not one to fork.
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "PYTHONUTF8": "1"}
    with (
        ours,
        theirs,
        subprocess.Popen(
            command, pass_fds=[theirs.fileno()], env=environment, start_new_session=True
        ) as process,
    ):
        theirs.close()
        connection = Connection(ours)
        try:
            yield Program(connection)
        finally:
            connection.answers.close()
            ours.shutdown(socket.SHUT_RDWR)  # which ends it
            process.wait(PATIENCE)


# The process that forks.


def serve(connection: socket.socket) -> None:
    """Do what is asked until nobody can ask any more."""
    load()
    received, streams = b"", list[int]()
    while True:
        data, fds, _, _ = socket.recv_fds(connection, 1 << 20, 3)
        received += data
        streams += fds
        if not data:
            return
        if not received.endswith(b"\n"):
            continue
        request, received = json.loads(received), b""
        if "wait" in request:
            _, status, usage = os.wait4(request["wait"], 0)
            answer: object = [os.waitstatus_to_exitcode(status), usage.ru_maxrss * RSS_UNIT]
        else:
            pid = os.fork()
            if not pid:
                connection.close()
                perform(request, streams)
            while streams:
                os.close(streams.pop())
            answer = pid
        connection.sendall(json.dumps(answer).encode() + b"\n")


def load() -> None:
    """Load whatever the program loads: a moment of a run is then one of its work."""
    import gpt2_convert

    names = [module.name for module in walk_packages(gpt2_convert.__path__, "gpt2_convert.")]
    for name in (*names, "safetensors.numpy", "difflib", "encodings.cp437"):
        if not name.endswith("__main__"):
            import_module(name)
    from gpt2_convert.formats.hdf5.library import load_h5py
    from gpt2_convert.model.schema import load_family

    load_h5py()
    load_family()


def perform(request: dict[str, Any], streams: list[int]) -> NoReturn:
    """Be the program that was asked for."""
    try:
        for number, fd in enumerate(streams):
            os.dup2(fd, number)
            os.close(fd)
        os.chdir(request["cwd"])
        sys.argv = ["-c", *request["arguments"]]
        exec(request["code"], {"__name__": "__main__"})  # noqa: S102 - that is its purpose
    except BaseException:  # noqa: BLE001 - the process that forks must not go on in here
        import traceback

        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(1)


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as given:
        serve(given)
