"""The process that runs :mod:`.worker`: started when needed, shared, ended with its last user.

TensorFlow ends the process it runs in on some damaged files (std::bad_alloc, failed CHECKs), prints
to stderr whatever its settings are, and takes half a gigabyte. None of that may happen to a program
that uses this package, so TensorFlow gets a process of its own, whose end is an error like others.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import weakref
from contextlib import ExitStack, suppress
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from ....errors import UnsupportedError, UsageError
from ....quoting import clip

if TYPE_CHECKING:
    from typing import Any, Final

_WORKER: Final = Path(__file__).with_name("worker.py")
_PATIENCE: Final = 5.0
"""Seconds in which the process has to end once it has nothing more to do."""
_LAST_WORDS: Final = 1 << 16
"""Bytes at the end of what it printed in which its last words are looked for."""
_FATAL: Final = re.compile(r"^.*Check failed.*$|^F[0-9]{4} .*$", re.MULTILINE)
"""What it says before it ends itself; a list of addresses may follow."""
_LOG_LEVEL: Final = "TF_CPP_MIN_LOG_LEVEL"


class EngineError(Exception):
    """What TensorFlow raised: ``kind`` is the exception's type."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class EngineDiedError(Exception):
    """The process ended in the middle of a request; the message says how, in a clause."""


class _Process:
    """A running worker and those who use it."""

    def __init__(self) -> None:
        self.users: set[int] = set()
        self.to_forget: tuple[list[int], list[int]] = ([], [])
        self.ended = False
        self._fate: str | None = None
        self._talking = threading.Lock()
        self._asking: int | None = None
        environment = {_LOG_LEVEL: "2", **os.environ}
        if not sys.executable:
            raise UnsupportedError("TensorFlow cannot be started: where is this Python's program?")
        try:
            with ExitStack() as theirs, ExitStack() as ours:
                self._printed = ours.enter_context(tempfile.TemporaryFile())
                # Not its standard output: what Python runs at its start may print there.
                answers, for_answers = os.pipe()
                self._answers = ours.enter_context(os.fdopen(answers, "rb"))
                theirs.callback(os.close, for_answers)
                # Nothing is written here; it tells the worker how long this process lives.
                for_lifeline, lifeline = os.pipe()
                self._lifeline = ours.enter_context(os.fdopen(lifeline, "wb"))
                theirs.callback(os.close, for_lifeline)
                descriptors = for_answers, for_lifeline
                self._popen = subprocess.Popen(  # noqa: S603 - our own program
                    # -P: the worker's folder is no place to import from.
                    [sys.executable, "-P", "-W", "ignore", str(_WORKER), *map(str, descriptors)],
                    stdin=subprocess.PIPE,
                    stdout=self._printed,
                    stderr=self._printed,
                    pass_fds=descriptors,
                    env=environment,
                )
                ours.pop_all()  # closed in end()
        except OSError as error:
            raise UnsupportedError(f"TensorFlow cannot be started: {error}") from None
        assert self._popen.stdin is not None  # noqa: S101 - Popen was told to make it
        self._requests = self._popen.stdin
        try:
            self.version: str = self._receive()[0]["version"]
        except EngineError as error:
            self.end()
            raise UnsupportedError(
                f"TensorFlow cannot be imported: {clip(_last_line(str(error)))}"
            ) from None
        except EngineDiedError as error:
            self.end()
            raise UnsupportedError(f"TensorFlow cannot be started: it {error}") from None
        except BaseException:
            self.kill()
            raise

    def ask(self, user: int, request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        """Send a request and wait for the answer."""
        with self._talking:
            try:
                self._asking = user
                ids, reads = self.to_forget
                if ids or reads:
                    self.to_forget = ([], [])
                    self._send({"do": "forget", "ids": ids, "reads": reads})
                    self._receive()
                self._send(request)
                return self._receive()
            except (EngineError, EngineDiedError):
                raise
            except BaseException:
                # What would come next is the answer to this request; nobody could tell.
                self.kill()
                raise
            finally:
                self._asking = None

    def _send(self, request: dict[str, Any]) -> None:
        try:
            self._requests.write(json.dumps(request).encode("ascii") + b"\n")
            self._requests.flush()
        except (OSError, ValueError):  # a broken pipe, or a closed one
            raise self._end_in_error() from None

    def _receive(self) -> tuple[dict[str, Any], bytes]:
        try:
            answer = json.loads(self._answers.readline())
            size = answer.get("nbytes", 0)
            data = self._answers.read(size)
        except (OSError, ValueError):
            raise self._end_in_error() from None
        if len(data) < size:
            raise self._end_in_error()
        if "error" in answer:
            raise EngineError(answer["error"], answer["message"])
        return answer, data

    def _end_in_error(self) -> EngineDiedError:
        """End what is left of the process, and return how it ended and the last of what it said."""
        if self._fate is None:
            self.ended = True
            code = self._wait()
            try:
                name = signal.Signals(-code).name if code < 0 else ""
            except ValueError:
                name = f"signal {-code}"
            self._fate = f"was ended by {name}" if name else f"ended with exit code {code}"
            with suppress(OSError, ValueError):
                self._printed.seek(max(0, self._printed.seek(0, os.SEEK_END) - _LAST_WORDS))
                said = self._printed.read().decode("utf-8", "replace")
                words = _last_line("\n".join(_FATAL.findall(said)) or said)
                self._fate += f" ({clip(words)})" if words else ""
            self._close_pipes()
        return EngineDiedError(self._fate)

    def leave(self, user: int) -> None:
        """Let the process do without a user: after the last one there is nothing more to do.

        It is killed if it is at work for that user. Another thread waits for the answer then, which
        may never come, and nothing else would free it.
        """
        self.users.discard(user)
        if self.ended:
            return
        if self._asking == user:
            self.kill()
        elif not self.users:
            self.end()

    def kill(self) -> None:
        """End the process at once."""
        self.ended = True
        self._popen.kill()
        self.end()

    def end(self) -> None:
        """Let the process end, which it does when nothing more can be asked."""
        self.ended = True
        with suppress(OSError):  # it may be broken
            self._requests.close()
        self._wait()
        self._close_pipes()

    def _wait(self) -> int:
        try:
            return self._popen.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            return self._popen.wait()

    def _close_pipes(self) -> None:
        for stream in (self._requests, self._answers, self._lifeline, self._printed):
            with suppress(OSError):
                stream.close()


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1].strip() if lines else ""


_sharing: Final = threading.RLock()
"""Reentrant, because the garbage collector may close a connection while another one is made."""
_numbers: Final = count()
_shared: list[_Process] = []
"""The running process, if there is one."""


class Connection:
    """A user's hold on the process, until :meth:`close` or until nobody refers to it."""

    __slots__ = ("__weakref__", "_close", "_number", "_process")

    def __init__(self) -> None:
        """Join the process that is running, or start one.

        Raises:
            UnsupportedError: TensorFlow cannot be started or imported.
        """
        self._number = number = next(_numbers)
        with _sharing:
            if _shared:
                _shared[0].users.add(number)  # before it is asked whether it is still there
            if not _shared or _shared[0].ended:
                process = _Process()
                process.users.add(number)
                _shared[:] = [process]
            self._process = _shared[0]
        self._close = weakref.finalize(self, _release, self._process, number)

    @property
    def version(self) -> str:
        """TensorFlow's version."""
        return self._process.version

    def ask(self, **request: object) -> tuple[dict[str, Any], bytes]:
        """Send a request of :mod:`.worker`'s, and return the answer and the bytes after it.

        Raises:
            EngineError: TensorFlow raised an exception.
            EngineDiedError: TensorFlow ended the process.
            UsageError: the connection was closed.
        """
        if not self._close.alive:
            raise UsageError("TensorFlow: read after the checkpoint was closed")
        return self._process.ask(self._number, request)

    def forget(self, *, checkpoint: int | None = None, read: int | None = None) -> None:
        """Let the process forget a checkpoint, or a tensor, when it is next asked for something."""
        ids, reads = self._process.to_forget
        if checkpoint is not None:
            ids.append(checkpoint)
        if read is not None:
            reads.append(read)

    def close(self) -> None:
        """Leave the process, which ends with its last user; a second call does nothing.

        A request of another thread's that is in flight ends with EngineDiedError.
        """
        self._close()


def _release(process: _Process, number: int) -> None:
    with _sharing:
        process.leave(number)
