"""The way to a client, made when something has to be asked for and not before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import UnsupportedError

if TYPE_CHECKING:
    from .address import Site
    from .client import Client


def open_client(site: Site) -> Client:
    """Return a client for a site; nothing is sent yet.

    Raises:
        UnsupportedError: urllib3 is not installed.
    """
    try:
        from .client import Client
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "urllib3":
            raise
        raise UnsupportedError(
            f"{site.address}: fetching needs urllib3, which is not installed: "
            "pip install 'gpt2-convert[fetch]'"
        ) from None
    return Client(site)
