"""The client comes with urllib3, and what comes without says what to install."""

from __future__ import annotations

import sys

import pytest

from gpt2_convert.download.address import parse_site
from gpt2_convert.download.client import Client
from gpt2_convert.download.connect import open_client
from gpt2_convert.errors import UnsupportedError

SITE = parse_site("https://example.org/models", "the mirror")


def test_a_client_is_for_its_site() -> None:
    client = open_client(SITE)
    assert isinstance(client, Client)
    assert client.site == SITE


def test_without_urllib3_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "urllib3"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, "gpt2_convert.download.client")
    monkeypatch.delitem(sys.modules, "gpt2_convert.download.pools", raising=False)
    monkeypatch.setitem(sys.modules, "urllib3", None)
    with pytest.raises(UnsupportedError) as caught:
        open_client(SITE)
    assert str(caught.value) == (
        "https://example.org/models: fetching needs urllib3, which is not installed: "
        "pip install 'gpt2-convert[fetch]'"
    )


def test_another_module_that_is_missing_is_not_taken_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(sys.modules, "gpt2_convert.download.client")
    monkeypatch.delitem(sys.modules, "gpt2_convert.download.pools", raising=False)
    monkeypatch.setitem(sys.modules, "urllib.request", None)
    with pytest.raises(ModuleNotFoundError, match=r"urllib\.request"):
        open_client(SITE)
