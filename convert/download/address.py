"""Addresses: http and https alone, taken apart, extended, and shown without what is secret.

What an address holds beside scheme, host and path is not for others to read: a name and password
in front of the host, and the signature in the query to which a server redirects.
"""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urljoin, urlsplit

from ..errors import FetchError, UsageError
from ..quoting import clip

if TYPE_CHECKING:
    from typing import Final

_PORTS: Final = {"http": 80, "https": 443}
_KEPT: Final = "/%:@!$&'()*+,;=~"
"""What a path may hold beside letters, digits and -._ (RFC 3986, section 3.3)."""


@dataclass(frozen=True, slots=True)
class Address:
    """An address. Its text for people is that without the query."""

    scheme: str
    host: str
    port: int
    path: str
    query: str = field(default="", repr=False)

    @property
    def origin(self) -> tuple[str, str, int]:
        """Who is asked: what a secret that is meant for one server must not leave."""
        return self.scheme, self.host, self.port

    @property
    def text(self) -> str:
        """The whole address, as it is asked for."""
        return f"{self}?{self.query}" if self.query else str(self)

    @property
    def is_loopback(self) -> bool:
        """Whether it is of this machine."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == _PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{host}{port}{self.path}"

    def below(self, *segments: str) -> Address:
        """Return the address of what lies below it; a segment's own slashes are quoted."""
        names = "".join(f"/{quote(segment, safe='')}" for segment in segments)
        return replace(self, path=self.path.rstrip("/") + names, query="")

    def redirected(self, location: str) -> Address:
        """Return where the answer of a server leads to.

        Raises:
            FetchError: to no address, or from https to http.
        """
        try:
            # http.client decodes headers as Latin-1, whatever they are.
            target = _split(urljoin(self.text, location.encode("latin-1").decode("utf-8")))[0]
        except (ValueError, UnicodeError):
            raise FetchError(f"{self}: redirected to what is no http or https address") from None
        if self.scheme == "https" and target.scheme == "http":
            raise FetchError(
                f"{self}: redirected to http://{target.host}, where anyone on the way could put "
                "another file in the place of this one"
            )
        return target


@dataclass(frozen=True, slots=True)
class Site:
    """A server that somebody named: its address, and what it is shown to be let in.

    ``authorization`` is a header's value; None if there is nothing to show. ``missing`` and
    ``denied`` say what to do where the server does not have a file, or does not give it.
    """

    address: Address
    authorization: str | None = field(default=None, repr=False)
    missing: str = "check the address"
    denied: str = "check the name and the password in the address"


def parse_site(text: str, what: str) -> Site:
    """Return the site at an address that a user has given; ``what`` says in an error what it is.

    A name and password in it become its authorization.

    Raises:
        UsageError: it is no http or https address, or has a query.
    """
    try:
        address, user = _split(text)
    except (ValueError, UnicodeError):
        raise UsageError(
            f"{what}: an address such as https://example.org/models expected"
            f"{'' if '@' in text else f', found {clip(text)!r}'}"
        ) from None
    if address.query:
        raise UsageError(f"{what}: {address}: an address without a query expected")
    plain = replace(address, path=address.path.rstrip("/"))
    if not user:
        return Site(plain)
    return Site(plain, f"Basic {b64encode(unquote(user).encode()).decode('ascii')}")


def _split(text: str) -> tuple[Address, str]:
    """Return the address, and what stands in front of its host.

    Raises:
        ValueError: it is no address of those two kinds.
    """
    if text != text.strip() or not text.isprintable():
        raise ValueError(text)
    parts = urlsplit(text)
    if parts.scheme not in _PORTS or not parts.hostname:
        raise ValueError(text)
    host = parts.hostname
    if ":" not in host:
        host = host.encode("idna").decode("ascii")
    user, at, _ = parts.netloc.rpartition("@")
    address = Address(
        parts.scheme,
        host,
        parts.port or _PORTS[parts.scheme],
        quote(parts.path, safe=_KEPT),
        quote(parts.query, safe=_KEPT + "?"),
    )
    return address, user if at else ""
