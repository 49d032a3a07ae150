"""Requests over HTTP, with urllib3: its proxies, certificates, retries and pools of connections.

This module is imported when something has to be asked for (:func:`.connect.open_client`), since
urllib3 is an extra. What it adds is what a fetch is careful about: a secret goes to the server that
it is meant for and to no other, redirects are followed one by one, nothing is compressed on the
way, no wait is unbounded, and what goes wrong is one line without anything secret.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

import urllib3
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    InvalidHeader,
    LocationValueError,
    MaxRetryError,
    NameResolutionError,
    NewConnectionError,
    ProxyError,
    ReadTimeoutError,
    SSLError,
)

from ..errors import FetchError, SourceNotFoundError
from ..quoting import clip, os_reason
from .pools import find_proxy, open_pool

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Final

    from urllib3.response import BaseHTTPResponse

    from .address import Address, Site

CONNECT_SECONDS: float = 10
STALL_SECONDS: float = 15
"""A server that says nothing for so long has stalled."""
BACKOFF_SECONDS: float = 0.5
"""Before the second repetition of a request, and twice as long before each further one."""
LONGEST_WAIT: float = 60
"""Of what a server asks for with Retry-After."""
MAX_REDIRECTS: Final = 10
_TRIES: Final = 2
_STATUS_TRIES: Final = 4
"""How often a request is repeated that got no answer, or one that asks for patience."""
_AGAIN: Final = frozenset({429, 500, 502, 503, 504})
"""What a server may say to a request that it would answer a little later."""
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_NO_HEAD: Final = frozenset({400, 403, 405, 501})
"""How servers refuse to describe a file that they may well give."""
_HEADERS: Final = {"Accept-Encoding": "identity", "User-Agent": "gpt2-convert"}


class BrokenError(Exception):
    """The connection broke or stalled while a body was being read; what has come is sound."""


@dataclass(frozen=True, slots=True)
class Step:
    """One answer on the way: who gave it, its status and its headers."""

    address: Address
    status: int
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Answer:
    """The last of the answers to a request, and all of them in ``steps``; its body is not read."""

    steps: tuple[Step, ...]
    body: BaseHTTPResponse

    @property
    def status(self) -> int:
        """The status of the last answer."""
        return self.steps[-1].status

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers of the last answer, whatever their case."""
        return self.steps[-1].headers

    @property
    def length(self) -> int | None:
        """The bytes that the body has, by what is stated; None if nothing is."""
        if "Transfer-Encoding" in self.headers:
            return None
        text = self.headers.get("Content-Length", "")
        return int(text) if text.isascii() and text.isdigit() else None

    def read(self, most: int) -> bytes:
        """Return what has arrived of the body, at most so many bytes; none at its end.

        Raises:
            BrokenError: the connection broke or stalled.
        """
        try:
            # The type does not say that it may be None, after the end.
            return self.body.read1(most, decode_content=False) or b""
        except (HTTPError, OSError) as error:
            raise BrokenError(_explain(error)[0]) from None


class _Retry(urllib3.Retry):
    """urllib3's retries, for which no server can make a program wait for hours."""

    def get_retry_after(self, response: BaseHTTPResponse) -> float | None:
        """Return the seconds that the server asks for, as far as they make sense."""
        try:
            seconds = super().get_retry_after(response)
        except (InvalidHeader, ValueError, OverflowError):
            return None
        return None if seconds is None else min(seconds, LONGEST_WAIT)


class Client:
    """Asks a site for its files."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self._pools: dict[str, urllib3.PoolManager] = {}

    @contextmanager
    def get(self, address: Address, headers: Mapping[str, str] | None = None) -> Iterator[Answer]:
        """Ask for a file, follow where that leads, and yield the answer with its body unread.

        Raises:
            FetchError: the server cannot be reached, or leads nowhere.
        """
        answer = self._follow("GET", address, headers or {}, across=True)
        try:
            yield answer
        finally:
            answer.body.close()

    def describe(self, address: Address, *, across: bool = True) -> Answer:
        """Ask for the headers alone; ``across`` follows redirects to another server, too.

        Raises:
            FetchError: the server cannot be reached, or leads nowhere.
        """
        answer = self._follow("HEAD", address, {}, across=across)
        if answer.status in _NO_HEAD:
            answer = self._follow("GET", address, {}, across=across)
        _leave(answer.body)
        return answer

    def refuse(self, answer: Answer) -> FetchError | SourceNotFoundError:
        """Return the error for an answer that is neither the file nor a part of it."""
        address, status = answer.steps[0].address, answer.status
        said = f"{address}: {_name_status(status)}"
        if status in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE):
            return SourceNotFoundError(f"{said}; {self.site.missing}")
        if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            return FetchError(f"{said}; {self.site.denied}")
        if status in _AGAIN:
            return FetchError(f"{said}, {_STATUS_TRIES + 1} times; try again later")
        return FetchError(f"{said}, which is no answer to a request for a file; check the address")

    def _follow(
        self, method: str, address: Address, headers: Mapping[str, str], *, across: bool
    ) -> Answer:
        steps: list[Step] = []
        target = address
        while len(steps) <= MAX_REDIRECTS:
            body = self._request(method, target, headers, address)
            steps.append(Step(target, body.status, body.headers))
            location = body.headers.get("Location")
            if body.status not in _REDIRECTS or location is None:
                return Answer(tuple(steps), body)
            _leave(body)
            following = target.redirected(location)
            if not across and following.origin != self.site.address.origin:
                return Answer(tuple(steps), body)
            target = following
        raise FetchError(
            f"{address}: redirected {len(steps)} times, in a loop perhaps; check the address"
        )

    def _request(
        self, method: str, target: Address, headers: Mapping[str, str], asked: Address
    ) -> BaseHTTPResponse:
        """Send one request; ``asked`` is the address that an error names."""
        sent = {**_HEADERS, **headers}
        if self.site.authorization and target.origin == self.site.address.origin:
            sent["Authorization"] = self.site.authorization
        pool = self._pool(target)
        # The total is none, so that urllib3 repeats nothing by its status: it would read the body
        # of such an answer first, however long that is.
        retries = _Retry(
            total=None,
            connect=_TRIES,
            read=_TRIES,
            other=_TRIES,
            status=_STATUS_TRIES,
            backoff_factor=BACKOFF_SECONDS,
        )
        try:
            while True:
                body = pool.request(
                    method,
                    target.text,
                    headers=sent,
                    redirect=False,
                    retries=retries,
                    preload_content=False,
                    timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=STALL_SECONDS),
                )
                if body.status not in _AGAIN or not retries.status:
                    return body
                _leave(body)
                retries = retries.increment(method, target.text, response=body)
                retries.sleep(body)
        except (HTTPError, OSError) as error:
            through = "" if target.origin == asked.origin else f"redirected to {target.host}: "
            raise FetchError(f"{asked}: {through}{'; '.join(_explain(error))}") from None

    def _pool(self, target: Address) -> urllib3.PoolManager:
        """Return the connections that lead to an address, through a proxy if one is set."""
        proxy = find_proxy(target)
        if proxy not in self._pools:
            self._pools[proxy] = open_pool(proxy)
        return self._pools[proxy]


def _leave(body: BaseHTTPResponse) -> None:
    """Give up an answer whose body nobody reads: there may be any amount of it."""
    if body.length_remaining == 0:
        body.drain_conn()  # so that the connection is of further use
    else:
        body.close()


def _name_status(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def _explain(error: Exception) -> tuple[str, str]:
    """Return what went wrong with a connection, and what to do.

    None of urllib3's own words, which repeat the whole address.
    """
    reason: BaseException = error
    if isinstance(reason, MaxRetryError) and reason.reason is not None:
        reason = reason.reason
    cause = reason.__cause__ or reason.__context__
    if isinstance(reason, ProxyError):
        return "the proxy of the environment does not let it through", "check https_proxy"
    if isinstance(reason, NameResolutionError):
        return "there is no such host, or no network", "check both"
    if isinstance(reason, ReadTimeoutError):
        return f"stalled: nothing came for {STALL_SECONDS:g} s", "try again later"
    if isinstance(reason, SSLError):
        first = reason.args[0] if reason.args else None
        what = getattr(first, "verify_message", "") or "no secure connection can be made"
        return clip(what), "if its certificate is to be trusted, name it with SSL_CERT_FILE"
    if isinstance(reason, NewConnectionError):
        told = os_reason(cause) if isinstance(cause, OSError) else "no connection"
        return told, "check the address and the network"
    if isinstance(reason, ConnectTimeoutError):  # of which the one above is a kind
        return f"no connection within {CONNECT_SECONDS:g} s", "check the network and the proxy"
    if isinstance(reason, LocationValueError):
        return "no address that can be asked", "check it"
    return "the connection broke", "try again later"
