"""The program that runs TensorFlow: what it answers, and when it ends."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
from support import bundles, stand_in
from support.stand_in import tensorflow
from support.tf_writers import load, save

from gpt2_convert.formats.tensorflow.engine import worker
from gpt2_convert.formats.tensorflow.engine.worker import Server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import ModuleType
    from typing import Any

    Array = np.ndarray[Any, Any]

ARRAYS: dict[str, Array] = {
    "\u00e4": np.array([True, False]),
    "B": np.array([1, 2], np.uint8),
    "b": np.arange(24, dtype=np.int16).reshape(2, 3, 4),
    "a/z": np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3)),
    "a": np.array(1.5),
    "complex": np.array([1 + 2j, -3j], np.complex64),
    "empty": np.zeros((0, 3), np.float32),
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A checkpoint as the stand-in reads it."""
    np.savez(tmp_path / "m.npz", **ARRAYS)  # type: ignore[arg-type]
    return tmp_path / "m"


@pytest.fixture
def server() -> Server:
    return Server(tensorflow)


def open_checkpoint(server: Server, path: Path) -> dict[str, Any]:
    return server.answer({"do": "open", "path": os.fsencode(path).hex(), "limit": 100})[0]


def pieces(server: Server, number: int, name: str, size: int) -> Iterator[bytes]:
    """Ask for a tensor to its end."""
    answer, data = server.answer({"do": "read", "id": number, "name": name})
    assert not data
    for _ in range(0, answer["nbytes_in_all"], size):
        said, piece = server.answer({"do": "next", "read": answer["read"], "size": size})
        assert said == {"nbytes": len(piece)}
        yield bytes(piece)


# Its answers.


def test_tensors_are_listed_in_the_order_of_their_bytes(server: Server, path: Path) -> None:
    assert open_checkpoint(server, path)["tensors"] == [
        ["B", "uint8", [2]],
        ["a", "float64", []],
        ["a/z", "float32", [2, 3]],
        ["b", "int16", [2, 3, 4]],
        ["complex", "complex64", [2]],
        ["empty", "float32", [0, 3]],
        ["\u00e4", "bool", [2]],
    ]


def test_more_tensors_than_were_asked_for_are_counted_and_not_listed(
    server: Server, path: Path
) -> None:
    request = {"do": "open", "path": os.fsencode(path).hex()}
    assert server.answer({**request, "limit": 6}) == ({"count": 7}, b"")
    assert not server.readers
    assert len(server.answer({**request, "limit": 7})[0]["tensors"]) == 7


@pytest.mark.parametrize("name", ARRAYS)
@pytest.mark.parametrize("size", [1, 7, 24, 1_000])
def test_the_bytes_of_a_tensor_come_in_c_order_in_pieces_of_the_size_asked_for(
    server: Server, path: Path, name: str, size: int
) -> None:
    number = open_checkpoint(server, path)["id"]
    data = ARRAYS[name].tobytes(order="C")
    found = list(pieces(server, number, name, size))
    assert found == [data[start : start + size] for start in range(0, len(data), size)]
    assert not server.reads, "a tensor is held after its last piece"


def test_two_tensors_are_read_by_turns(server: Server, path: Path) -> None:
    number = open_checkpoint(server, path)["id"]
    other = open_checkpoint(server, path)["id"]
    assert number != other
    one, two = pieces(server, number, "b", 16), pieces(server, other, "b", 16)
    found = [(next(one), next(two)) for _ in range(3)]
    data = ARRAYS["b"].tobytes()
    assert found == [(data[at : at + 16], data[at : at + 16]) for at in (0, 16, 32)]


def test_what_is_forgotten_is_held_no_more_and_may_be_forgotten_again(
    server: Server, path: Path
) -> None:
    number = open_checkpoint(server, path)["id"]
    read = server.answer({"do": "read", "id": number, "name": "b"})[0]["read"]
    for _ in range(2):
        assert server.answer({"do": "forget", "ids": [number], "reads": [read]}) == ({}, b"")
        assert (server.readers, server.reads) == ({}, {})


def test_an_unknown_request_is_an_error(server: Server) -> None:
    with pytest.raises(ValueError, match="no such request: 'dance'"):
        server.answer({"do": "dance"})


def test_tensorflow_s_values_are_given_as_it_reads_them(tf: ModuleType, tmp_path: Path) -> None:
    arrays = {name: np.arange(6).reshape(2, 3).astype(name) for name in bundles.DTYPE_NUMBERS}
    narrow = tf.constant([[1.0, -2.5], [3e38, float("nan")]], tf.bfloat16)
    prefix = save(tf, tmp_path / "m", {**arrays, "bfloat16": narrow})
    expected = load(tf, prefix)
    assert expected.keys() == {*arrays, "bfloat16"}
    server = Server(tf)
    answer = open_checkpoint(server, prefix)
    assert answer["tensors"] == [
        [name, name, list(expected[name].shape)] for name in sorted(expected)
    ]
    for name, array in expected.items():
        assert b"".join(pieces(server, answer["id"], name, 5)) == array.tobytes()


# Its lines.


def served(*requests: bytes) -> bytes:
    answers = io.BytesIO()
    worker.serve(io.BytesIO(b"".join(request + b"\n" for request in requests)), answers)
    return answers.getvalue()


def test_every_request_is_a_line_and_so_is_its_answer_with_the_bytes_after_it(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow", tensorflow)
    stream = io.BytesIO(
        served(
            json.dumps({"do": "open", "path": os.fsencode(path).hex(), "limit": 100}).encode(),
            b'{"do": "read", "id": 1, "name": "b"}',
            b'{"do": "next", "read": 2, "size": 40}',
            b"no JSON",
            b'{"do": "read", "id": 1, "name": "gone"}',
            b'{"do": "next", "read": 2, "size": 40}',
        )
    )
    data = ARRAYS["b"].tobytes()
    assert json.loads(stream.readline()) == {"version": "0.0"}
    assert json.loads(stream.readline())["id"] == 1
    assert json.loads(stream.readline()) == {"read": 2, "nbytes_in_all": 48}
    assert json.loads(stream.readline()) == {"nbytes": 40}
    assert stream.read(40) == data[:40]
    assert json.loads(stream.readline())["error"] == "JSONDecodeError"
    assert json.loads(stream.readline()) == {"error": "KeyError", "message": "'gone'"}
    assert json.loads(stream.readline()) == {"nbytes": 8}
    assert stream.read() == data[40:]


def test_a_tensorflow_that_cannot_be_imported_is_the_only_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    (line,) = served(b'{"do": "forget", "ids": [], "reads": []}').splitlines()
    answer = json.loads(line)
    assert answer["error"] == "ModuleNotFoundError"
    assert "tensorflow" in answer["message"]


# Its end.


class Running:
    """The program with the stand-in, and the ends of its pipes."""

    def __init__(self) -> None:
        answers, for_answers = os.pipe()
        for_lifeline, self.lifeline = os.pipe()
        self.answers = os.fdopen(answers, "rb")
        folder = next(iter(stand_in.__path__))
        self.popen = subprocess.Popen(
            [sys.executable, "-P", worker.__file__, str(for_answers), str(for_lifeline)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=(for_answers, for_lifeline),
            env={**os.environ, "PYTHONPATH": folder},
        )
        os.close(for_answers)
        os.close(for_lifeline)
        assert self.popen.stdin is not None
        assert self.popen.stdout is not None
        self.requests, self.printed = self.popen.stdin, self.popen.stdout
        assert json.loads(self.answers.readline()) == {"version": "0.0"}

    def ask(self, **request: object) -> None:
        self.requests.write(json.dumps(request).encode() + b"\n")
        self.requests.flush()


@pytest.fixture
def running() -> Iterator[Running]:
    running = Running()
    try:
        yield running
    finally:
        running.popen.kill()
        running.popen.wait()
        for stream in (running.requests, running.printed, running.answers):
            stream.close()


def test_it_ends_with_its_input(running: Running) -> None:
    running.requests.close()
    assert running.popen.wait(30) == 0
    assert running.answers.read() == b""
    os.close(running.lifeline)


@pytest.mark.skipif(sys.platform != "linux", reason="the signal ends a process there alone")
def test_it_ends_in_the_middle_of_a_request_with_its_parent(
    running: Running, tmp_path: Path
) -> None:
    np.savez(tmp_path / "m.npz", wait=np.zeros(3))
    running.ask(do="open", path=os.fsencode(tmp_path / "m").hex(), limit=9)
    assert json.loads(running.answers.readline())["id"] == 1
    running.ask(do="read", id=1, name="wait")
    assert running.printed.readline() == b"waiting\n"
    os.close(running.lifeline)
    assert running.popen.wait(30) == -signal.SIGIO
