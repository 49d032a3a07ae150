"""The program that runs TensorFlow, in a process of its own; it imports nothing of this package.

It reads requests from standard input, a JSON object a line, and answers each, on the descriptor
that its first argument names, with a JSON object on one line and, where that has ``nbytes``, so
many bytes after it. The first answer comes unasked: ``{"version": "2.21.0"}``. An ``error`` in an
answer is the exception's type, and ``message`` what it says. It ends when its input does; on Linux
also in the middle of a request, when the pipe that its second argument names is closed.

    {"do": "open", "path": hex, "limit": n}      {"id": n, "tensors": [[name, dtype, shape], ...]}
    {"do": "read", "id": n, "name": name}        {"read": n, "nbytes_in_all": n}
    {"do": "next", "read": n, "size": bytes}     {"nbytes": n} and the bytes
    {"do": "forget", "ids": [n], "reads": [n]}   {}
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any, BinaryIO

    Answer = tuple[dict[str, Any], bytes | memoryview]


class Server:
    """Open checkpoints, and the tensors that are being read from them."""

    def __init__(self, tf: ModuleType) -> None:
        self.tf = tf
        self.readers: dict[int, Any] = {}
        self.reads: dict[int, tuple[memoryview, int]] = {}
        self.count = 0

    def answer(self, request: dict[str, Any]) -> Answer:
        """Do what ``request`` asks for."""
        match request["do"]:
            case "open":
                return self.open(bytes.fromhex(request["path"]), request["limit"]), b""
            case "read":
                return self.read(request["id"], request["name"]), b""
            case "next":
                return self.next(request["read"], request["size"])
            case "forget":
                for number in request["ids"]:
                    self.readers.pop(number, None)
                for number in request["reads"]:
                    self.reads.pop(number, None)
                return {}, b""
            case other:
                raise ValueError(f"no such request: {other!r}")

    def open(self, path: bytes, limit: int) -> dict[str, Any]:
        """Open a checkpoint and list its tensors, unless they are more than ``limit``."""
        reader = self.tf.train.load_checkpoint(path)
        shapes = reader.get_variable_to_shape_map()
        if len(shapes) > limit:
            return {"count": len(shapes)}
        dtypes = reader.get_variable_to_dtype_map()
        self.count += 1
        self.readers[self.count] = reader
        return {
            "id": self.count,
            "tensors": [
                [name, dtypes[name].base_dtype.name, shapes[name]]
                for name in sorted(shapes, key=str.encode)
            ],
        }

    def read(self, number: int, name: str) -> dict[str, Any]:
        """Load a tensor, as little-endian C-order bytes."""
        import numpy as np

        array = np.ascontiguousarray(self.readers[number].get_tensor(name)).reshape(-1)
        if sys.byteorder == "big":
            # NumPy has no bfloat16 that it could swap.
            array = array.view(np.uint16) if array.dtype.name == "bfloat16" else array
            array = array.astype(array.dtype.newbyteorder("<"))
        self.count += 1
        if array.size:
            self.reads[self.count] = (array.view(np.uint8).data, 0)
        return {"read": self.count, "nbytes_in_all": array.nbytes}

    def next(self, number: int, size: int) -> Answer:
        """Give the next ``size`` bytes of a tensor, and forget it after the last."""
        data, start = self.reads[number]
        piece = data[start : start + size]
        self.reads[number] = (data, start + size)
        if start + size >= len(data):
            del self.reads[number]
        return {"nbytes": len(piece)}, piece


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer requests until there are no more."""

    def send(answer: dict[str, Any], data: bytes | memoryview = b"") -> None:
        answers.write(json.dumps(answer).encode("ascii") + b"\n")
        answers.write(data)
        answers.flush()

    try:
        import tensorflow as tf

        version = str(tf.__version__)
    except Exception as error:  # noqa: BLE001 - whatever it is, the parent reports it
        send({"error": type(error).__name__, "message": str(error)})
        return
    send({"version": version})
    server = Server(tf)
    for line in requests:
        try:
            answer, data = server.answer(json.loads(line))
        except Exception as error:  # noqa: BLE001
            answer, data = {"error": type(error).__name__, "message": str(error)}, b""
        send(answer, data)


def die_with_parent(lifeline: int) -> None:
    """Let the kernel end this process when the other end of a pipe, never written to, is closed.

    TensorFlow holds Python's lock while it opens and reads files, so that no thread could look
    whether the parent is still there; and a read may never end. The kernel sends SIGIO instead,
    which elsewhere than on Linux does nothing by default.
    """
    signal.signal(signal.SIGIO, signal.SIG_DFL)  # it may be inherited as ignored
    fcntl.fcntl(lifeline, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(lifeline, fcntl.F_SETFL, os.O_ASYNC)


def main() -> None:
    """Serve the process that started this one."""
    # These reach both when a terminal or a group is told; the parent decides, and this one ends
    # when its input does.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    answers, lifeline = map(int, sys.argv[1:])
    die_with_parent(lifeline)
    with suppress(BrokenPipeError):  # the parent is gone
        serve(sys.stdin.buffer, os.fdopen(answers, "wb"))
    # TensorFlow's own threads have nothing to say at the end.
    os._exit(0)


if __name__ == "__main__":
    main()
