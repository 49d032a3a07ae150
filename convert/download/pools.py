"""Pools of connections: through the proxy of the environment, with the certificates that it names.

Proxies are those of http_proxy, https_proxy, all_proxy and no_proxy, which urllib3 leaves to its
callers; certificates are the system's, or those of SSL_CERT_FILE and SSL_CERT_DIR, which OpenSSL
knows, or of REQUESTS_CA_BUNDLE.
"""

from __future__ import annotations

import os
import ssl
from typing import TYPE_CHECKING
from urllib.request import getproxies, proxy_bypass

import urllib3

from ..errors import UnsupportedError, UsageError
from ..quoting import clip
from .address import parse_site

if TYPE_CHECKING:
    from typing import Final

    from .address import Address

BUNDLE: Final = "REQUESTS_CA_BUNDLE"
_WHAT: Final = "the proxy of the environment"


def find_proxy(target: Address) -> str:
    """Return the proxy that leads to an address; "" where none is to be used."""
    proxies = getproxies()
    proxy = proxies.get(target.scheme) or proxies.get("all") or ""
    return "" if proxy and proxy_bypass(f"{target.host}:{target.port}") else proxy


def open_pool(proxy: str) -> urllib3.PoolManager:
    """Return connections through a proxy, or without one; none is opened yet.

    Raises:
        UsageError, UnsupportedError: the proxy or the certificates make no sense.
    """
    context = _trust()
    if not proxy:
        return urllib3.PoolManager(ssl_context=context)
    if "://" not in proxy:
        proxy = f"http://{proxy}"
    scheme = proxy.partition("://")[0].lower()
    if scheme not in ("http", "https"):
        raise UnsupportedError(
            f"{_WHAT} is of the kind {clip(scheme)!r}, which is not spoken here; set https_proxy "
            "to an HTTP proxy, or no_proxy"
        )
    site = parse_site(proxy, _WHAT)
    headers = {"Proxy-Authorization": site.authorization} if site.authorization else None
    return urllib3.ProxyManager(
        str(site.address), proxy_headers=headers, ssl_context=context, proxy_ssl_context=context
    )


def _trust() -> ssl.SSLContext:
    named = os.environ.get(BUNDLE) or None
    try:
        if named and os.path.isdir(named):
            return ssl.create_default_context(capath=named)
        return ssl.create_default_context(cafile=named)
    except OSError as error:  # of which ssl.SSLError is a kind
        reason = "no certificates" if isinstance(error, ssl.SSLError) else "cannot be read"
        raise UsageError(f"{BUNDLE}: {clip(named or '')}: {reason}; name another or none") from None
