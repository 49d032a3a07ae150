"""A server on this machine that gives files, correctly (RFC 9110) or in any wrong way.

Of a path, the next answers can be made wrong ones: `Server.spoil`. What was asked is kept in
`Server.requests`. A server answers at 127.0.0.1 and, as another origin, at localhost.
"""

from __future__ import annotations

import hashlib
import re
import ssl
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    Answer = Callable[["Handler", "File"], None]
    """What a server does in the place of giving a file."""

PATIENCE = 20


@dataclass
class File:
    """What lies at a path, and the headers that go with it."""

    body: bytes
    headers: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.headers.setdefault(
            "ETag", f'"{hashlib.blake2b(self.body, digest_size=8).hexdigest()}"'
        )
        self.headers.setdefault("Content-Type", "application/octet-stream")


@dataclass(frozen=True)
class Request:
    """What was asked; the names of headers are in small letters."""

    method: str
    path: str
    host: str
    headers: Mapping[str, str]


class Server:
    """The files of a server by their paths, and what was asked of it."""

    def __init__(self, port: int, scheme: str = "http") -> None:
        self.port = port
        self.scheme = scheme
        self.files: dict[str, File] = {}
        self.requests: list[Request] = []
        self.wrong: dict[str, list[Answer]] = {}
        self.always: dict[str, Answer] = {}
        self.over = threading.Event()
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    @property
    def other_url(self) -> str:
        """The same server, under a name that makes it another origin."""
        return f"{self.scheme}://localhost:{self.port}"

    def give(self, path: str, body: bytes, **headers: str) -> File:
        """Put a file at a path; an underscore in the name of a header is a dash."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.files[path] = File(body, named)
        return self.files[path]

    def spoil(self, path: str, *answers: Answer) -> None:
        """Let the next answers to a GET of a path be these."""
        self.wrong.setdefault(path, []).extend(answers)

    def asked(self, path: str, method: str = "GET") -> list[Request]:
        return [each for each in self.requests if (each.path, each.method) == (path, method)]


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server: Any

    def do_GET(self) -> None:
        self.answer()

    def do_HEAD(self) -> None:
        self.answer()

    def answer(self) -> None:
        web: Server = self.server.web
        path = self.path.partition("?")[0]
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.command, self.path, headers.get("host", ""), headers)
        with web.lock:
            web.requests.append(request)
            waiting = web.wrong.get(path) if self.command == "GET" else None
            wrong = waiting.pop(0) if waiting else web.always.get(path)
        file = web.files.get(path)
        try:
            if wrong is not None:
                wrong(self, file or File(b""))
            elif file is None:
                self.send(404, b"no such file", {"Content-Type": "text/plain"})
            else:
                self.give(file)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # the client has heard enough

    def give(self, file: File) -> None:
        """Give a file, or the part that is asked for if it is still the same."""
        start = self.asked_from(file)
        if start is None:
            self.send(200, file.body, file.headers)
        elif start >= len(file.body):
            self.send(416, b"", {"Content-Range": f"bytes */{len(file.body)}"})
        else:
            self.give_part(file, start)

    def asked_from(self, file: File) -> int | None:
        """The first byte that is asked for; None where it is the whole."""
        found = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        known = (None, file.headers.get("ETag"), file.headers.get("Last-Modified"))
        if found is None or self.headers.get("If-Range") not in known:
            return None
        return int(found[1])

    def give_part(self, file: File, start: int, *, whole: int | None = None) -> None:
        size = len(file.body)
        place = f"bytes {start}-{size - 1}/{size if whole is None else whole}"
        self.send(206, file.body[start:], {**file.headers, "Content-Range": place})

    def send(
        self,
        status: int,
        body: bytes,
        headers: Mapping[str, str],
        *,
        length: int | None = None,
    ) -> None:
        """Send an answer; ``length`` is what it says of itself."""
        self.send_response(status)
        for name, value in headers.items():
            if value:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        if length not in (None, len(body)):
            self.hang_up()

    def hang_up(self) -> None:
        self.wfile.flush()
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


# Wrong answers.


def break_after(count: int) -> Answer:
    """Say how long the file is, and hang up after so many bytes of what is asked for."""

    def answer(handler: Handler, file: File) -> None:
        start = handler.asked_from(file)
        headers = dict(file.headers)
        if start is not None:
            headers["Content-Range"] = f"bytes {start}-{len(file.body) - 1}/{len(file.body)}"
        rest = file.body[start or 0 :]
        status = 200 if start is None else 206
        handler.send(status, rest[:count], headers, length=len(rest))

    return answer


def stall_after(count: int) -> Answer:
    """Give so many bytes of the whole file, and then nothing until the test is over."""

    def answer(handler: Handler, file: File) -> None:
        handler.send_response(200)
        for name, value in file.headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(file.body)))
        handler.end_headers()
        handler.wfile.write(file.body[:count])
        handler.wfile.flush()
        handler.server.web.over.wait(PATIENCE)
        handler.hang_up()

    return answer


@dataclass
class Held:
    """An answer that stops after some bytes and goes on when it is told to."""

    count: int
    told: threading.Event = field(default_factory=threading.Event)

    def answer(self, handler: Handler, file: File) -> None:
        handler.send_response(200)
        for name, value in file.headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(file.body)))
        handler.end_headers()
        handler.wfile.write(file.body[: self.count])
        handler.wfile.flush()
        self.told.wait(PATIENCE)
        handler.wfile.write(file.body[self.count :])

    def go_on(self) -> None:
        self.told.set()


def slowly(seconds: float) -> Answer:
    """Give a tenth of the file each so many seconds."""

    def answer(handler: Handler, file: File) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(file.body)))
        handler.end_headers()
        step = len(file.body) // 10 + 1
        for begin in range(0, len(file.body), step):
            handler.wfile.write(file.body[begin : begin + step])
            handler.server.web.over.wait(seconds)

    return answer


def trickle(seconds: float) -> Answer:
    """Give a byte each so many seconds, until the test is over."""

    def answer(handler: Handler, file: File) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(file.body)))
        handler.end_headers()
        for byte in file.body:
            handler.wfile.write(bytes([byte]))
            if handler.server.web.over.wait(seconds):
                break
        handler.hang_up()

    return answer


def say_nothing(handler: Handler, file: File) -> None:
    """Take the request and do not answer until the test is over."""
    handler.server.web.over.wait(PATIENCE)
    handler.hang_up()


def answer_with(
    status: int, body: bytes = b"", *, length: int | None = None, **headers: str
) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda handler, _: handler.send(status, body, named, length=length)


def proxy(handler: Handler, file: File) -> None:
    """Answer for another server, as a proxy does; its addresses are whole ones."""
    handler.send(200, b"by proxy", {})


def redirect_to(location: str, status: int = 302, **headers: str) -> Answer:
    return answer_with(status, b"moved", length=None, Location=location, **headers)


def ignore_range(handler: Handler, file: File) -> None:
    handler.send(200, file.body, file.headers)


def ignore_if_range(handler: Handler, file: File) -> None:
    """Give the part that is asked for, of whatever the file is now."""
    del handler.headers["If-Range"]
    handler.give(file)


def compress(handler: Handler, file: File) -> None:
    import gzip

    handler.send(200, gzip.compress(file.body), {**file.headers, "Content-Encoding": "gzip"})


def send_in_chunks(handler: Handler, file: File) -> None:
    """State no length, as servers do that make up an answer as they go."""
    handler.send_response(200)
    for name, value in file.headers.items():
        handler.send_header(name, value)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    if handler.command == "HEAD":
        return
    for start in range(0, len(file.body), 1000):
        piece = file.body[start : start + 1000]
        handler.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
    handler.wfile.write(b"0\r\n\r\n")


class _HTTPServer(ThreadingHTTPServer):
    daemon_threads = True
    web: Server

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: a client that hangs up is what many tests are about."""


@contextmanager
def serving(certificate: Path | None = None) -> Iterator[Server]:
    """Start a server that has no files yet; with a certificate, and its key, it speaks https."""
    with _HTTPServer(("127.0.0.1", 0), Handler) as server:
        server.web = Server(server.server_address[1], "https" if certificate else "http")
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield server.web
        finally:
            server.web.over.set()
            server.shutdown()
            thread.join()
