"""The process that TensorFlow runs in: shared, ended with its last user, and never in the way."""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest
from support.console import PATIENCE
from support.contracts import open_descriptors
from support.stand_in.tensorflow import LAST_WORDS

from gpt2_convert import UnsupportedError, UsageError
from gpt2_convert.formats.tensorflow.engine.process import Connection, EngineDiedError, EngineError

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    Array = np.ndarray[Any, Any]

ORDERS = ("wait", "abort", "exit")
"""Tensors at whose reading the stand-in does that."""


@pytest.fixture
def array() -> Array:
    return np.random.default_rng(0).standard_normal((300, 200))


@pytest.fixture
def path(tmp_path: Path, array: Array) -> Path:
    """A checkpoint as the stand-in reads it."""
    np.savez(tmp_path / "m.npz", x=array, **dict.fromkeys(ORDERS, np.zeros(3)))  # type: ignore[arg-type]
    return tmp_path / "m"


@pytest.fixture
def connection(stand_in_tensorflow: None) -> Connection:
    return Connection()


def open_checkpoint(connection: Connection, path: Path) -> int:
    answer, data = connection.ask(do="open", path=os.fsencode(path).hex(), limit=10)
    assert not data
    number: int = answer["id"]
    return number


def read(connection: Connection, number: int, name: str = "x") -> bytes:
    answer, _ = connection.ask(do="read", id=number, name=name)
    size = answer["nbytes_in_all"]
    return connection.ask(do="next", read=answer["read"], size=size)[1]


# Its life.


def test_those_who_use_it_share_it_and_the_last_one_ends_it(
    connection: Connection, path: Path, array: Array
) -> None:
    other = Connection()
    running = connection._process._popen
    assert other._process._popen is running
    connection.close()
    assert read(other, open_checkpoint(other, path)) == array.tobytes()
    other.close()
    assert running.poll() == 0
    following = Connection()
    assert following._process._popen.pid != running.pid
    following.close()


def test_a_connection_that_nobody_refers_to_is_closed(stand_in_tensorflow: None) -> None:
    connection = Connection()
    running = connection._process._popen
    assert running.poll() is None
    del connection
    gc.collect()
    assert running.poll() == 0


def test_its_end_gives_all_descriptors_back(stand_in_tensorflow: None) -> None:
    before = open_descriptors()
    connection = Connection()
    assert open_descriptors() > before
    connection.close()
    assert open_descriptors() == before


def test_a_closed_connection_refuses_to_ask(connection: Connection, path: Path) -> None:
    other = Connection()
    connection.close()
    connection.close()
    with pytest.raises(UsageError, match="closed"):
        open_checkpoint(connection, path)
    assert open_checkpoint(other, path)
    other.close()


def test_a_signal_to_all_processes_of_a_job_is_the_program_s_alone(
    connection: Connection, path: Path, array: Array
) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        connection._process._popen.send_signal(number)
    assert read(connection, open_checkpoint(connection, path)) == array.tobytes()
    connection.close()


# Requests.


def test_bytes_of_any_number_come_whole(connection: Connection, path: Path, array: Array) -> None:
    number = open_checkpoint(connection, path)
    answer, _ = connection.ask(do="read", id=number, name="x")
    assert answer["nbytes_in_all"] == array.nbytes
    pieces: list[bytes] = []
    for size in (1, 100_000, 7, array.nbytes):
        answer_of_piece, piece = connection.ask(do="next", read=answer["read"], size=size)
        assert answer_of_piece == {"nbytes": len(piece)}
        pieces.append(piece)
    assert [len(piece) for piece in pieces] == [1, 100_000, 7, array.nbytes - 100_008]
    assert b"".join(pieces) == array.tobytes()
    connection.close()


def test_what_is_raised_there_is_an_error_with_its_type_and_the_process_goes_on(
    connection: Connection, path: Path, array: Array
) -> None:
    with pytest.raises(EngineError, match=r"nothing\.npz") as caught:
        open_checkpoint(connection, path.with_name("nothing"))
    assert caught.value.kind == "FileNotFoundError"
    assert read(connection, open_checkpoint(connection, path)) == array.tobytes()
    connection.close()


def test_what_is_to_be_forgotten_is_gone_at_the_next_request(
    connection: Connection, path: Path
) -> None:
    first, second = (open_checkpoint(connection, path) for _ in range(2))
    answer, _ = connection.ask(do="read", id=second, name="x")
    connection.forget(checkpoint=first)
    connection.forget(read=answer["read"])
    with pytest.raises(EngineError) as caught:
        connection.ask(do="read", id=first, name="x")
    assert caught.value.kind == "KeyError"
    with pytest.raises(EngineError) as caught:
        connection.ask(do="next", read=answer["read"], size=1)
    assert caught.value.kind == "KeyError"
    assert read(connection, second)
    connection.close()


# Its early end.


@pytest.mark.parametrize(
    ("order", "fate"),
    [
        (
            "abort",
            "was ended by SIGABRT (F0000 00:00:1 2 tensor.cc:3] Check failed: a == b (1 vs. 2))",
        ),
        ("exit", "ended with exit code 3 (needs AVX)"),
    ],
)
def test_its_end_is_an_error_that_says_how_and_its_last_words(
    connection: Connection, path: Path, array: Array, order: str, fate: str
) -> None:
    number = open_checkpoint(connection, path)
    # Whoever asks is told, also those who did not ask when it ended.
    other = Connection()
    for user, name in ((connection, order), (connection, "x"), (other, "x")):
        with pytest.raises(EngineDiedError) as caught:
            read(user, number, name)
        assert str(caught.value) == fate
    following = Connection()
    assert read(following, open_checkpoint(following, path)) == array.tobytes()
    for user in (connection, other, following):
        user.close()


def test_a_kill_is_named(connection: Connection, path: Path) -> None:
    connection._process._popen.kill()
    with pytest.raises(EngineDiedError, match=r"^was ended by SIGKILL$"):
        open_checkpoint(connection, path)
    connection.close()


def test_an_interruption_ends_it(
    connection: Connection, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = connection._process
    number = open_checkpoint(connection, path)

    def interrupt() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(running, "_receive", interrupt)
    with pytest.raises(KeyboardInterrupt):
        read(connection, number)
    assert running._popen.poll() == -signal.SIGKILL


def wait_for_ever(connection: Connection, path: Path) -> tuple[threading.Thread, list[Exception]]:
    """Ask in a thread for what is never answered, and return once the process is at it."""
    number = open_checkpoint(connection, path)
    errors: list[Exception] = []

    def ask() -> None:
        try:
            read(connection, number, "wait")
        except EngineDiedError as error:
            errors.append(error)

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    printed = connection._process._printed
    # What the process prints goes to this file; its place is shared with the process, so that
    # nothing may be moved there.
    while b"waiting" not in os.pread(printed.fileno(), 100, 0):
        assert asking.is_alive()
        time.sleep(0.01)
    return asking, errors


def test_closing_a_connection_ends_its_request_though_others_are_open(
    connection: Connection, path: Path
) -> None:
    other = Connection()
    asking, errors = wait_for_ever(connection, path)
    connection.close()
    asking.join(PATIENCE)
    assert not asking.is_alive()
    assert [type(error) for error in errors] == [EngineDiedError]
    other.close()


def test_closing_a_connection_leaves_the_request_of_another(
    connection: Connection, path: Path
) -> None:
    other = Connection()
    asking, errors = wait_for_ever(connection, path)
    other.close()
    assert asking.is_alive()
    assert connection._process._popen.poll() is None
    assert not errors
    connection.close()
    asking.join(PATIENCE)
    assert not asking.is_alive()


# Its start.


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("raise ImportError('no such\\nlibrary')", "cannot be imported: library"),
        ("import os; os.abort()", "cannot be started: it was ended by SIGABRT"),
        ("import os; os.write(2, b'needs AVX'); os._exit(3)", r"with exit code 3 \(needs AVX\)"),
        ("", "cannot be imported: .*__version__"),
        (
            f"import os; os.write(2, {LAST_WORDS!r}); os.abort()",
            r"SIGABRT \(F0000 00:00:1 2 tensor\.cc:3\] Check failed: a == b \(1 vs\. 2\)\)",
        ),
    ],
)
def test_a_tensorflow_that_does_not_start_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str, message: str
) -> None:
    (tmp_path / "tensorflow.py").write_text(program)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    before = open_descriptors()
    with pytest.raises(UnsupportedError, match=f"TensorFlow .*{message}") as caught:
        Connection()
    assert "\n" not in str(caught.value)
    assert open_descriptors() == before


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize("program", ["", "/nowhere/python"])
def test_a_python_that_cannot_be_run_again_is_an_error(
    monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    monkeypatch.setattr(sys, "executable", program)
    before = open_descriptors()
    with pytest.raises(UnsupportedError, match=r"^TensorFlow cannot be started: "):
        Connection()
    assert open_descriptors() == before


def test_what_python_prints_at_its_start_is_no_answer(
    stand_in_tensorflow: None, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.with_name("sitecustomize.py").write_text("print('welcome', end='', flush=True)")
    monkeypatch.setenv("PYTHONPATH", str(path.parent), prepend=os.pathsep)
    connection = Connection()
    assert connection.version == "0.0"
    assert open_checkpoint(connection, path)
    connection.close()
