"""Addresses: what they lead to, who is asked, and that nothing secret in them is shown."""

from __future__ import annotations

from base64 import b64encode

import pytest

from gpt2_convert.download.address import Address, Site, parse_site
from gpt2_convert.errors import FetchError, UsageError


def parse(text: str) -> Address:
    return parse_site(text, "the mirror").address


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://example.org/gpt-2/", "https://example.org/gpt-2"),
        ("HTTPS://Example.ORG:443/A", "https://example.org/A"),
        ("http://example.org:8080", "http://example.org:8080"),
        ("http://[::1]:80/x", "http://[::1]/x"),
        ("https://exämple.org/ö b", "https://xn--exmple-cua.org/%C3%B6%20b"),
        ("https://example.org/a%2Fb", "https://example.org/a%2Fb"),
        ("https://example.org/a#part", "https://example.org/a"),
    ],
)
def test_an_address_is_shown_as_it_is_asked_for(text: str, shown: str) -> None:
    assert str(parse(text)) == parse(text).text == shown


@pytest.mark.parametrize(
    "text",
    ["", "example.org", "ftp://example.org", "file:///etc/passwd", "https://", "http://a:b/",
     "http://a:99999/", " https://example.org", "https://exa\nmple.org", "https://a..b/",
     "https://example.org/\x1b[2J"],
)  # fmt: skip
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="the mirror: an address such as"):
        parse(text)


def test_a_query_is_refused_and_not_shown() -> None:
    with pytest.raises(UsageError) as caught:
        parse("https://example.org/a?token=secret")
    assert "secret" not in str(caught.value)


def test_a_name_and_password_are_shown_to_the_server_and_to_nobody_else() -> None:
    site = parse_site("https://me:s%40cret@example.org/a", "the mirror")
    assert site.authorization == f"Basic {b64encode(b'me:s@cret').decode()}"
    assert str(site.address) == "https://example.org/a"
    assert "cret" not in f"{site}{site!r}{site.address!r}"
    assert parse_site("https://example.org", "the mirror").authorization is None


def test_a_password_in_what_is_no_address_is_not_shown() -> None:
    with pytest.raises(UsageError) as caught:
        parse_site("htps://me:secret@example.org", "the mirror")
    assert "secret" not in str(caught.value)


def test_names_below_an_address_keep_their_slashes_to_themselves() -> None:
    address = parse("https://example.org/base/").below("a b", "refs/pr/1", "é?#")
    assert str(address) == "https://example.org/base/a%20b/refs%2Fpr%2F1/%C3%A9%3F%23"


@pytest.mark.parametrize(
    ("location", "text"),
    [
        (
            "https://cdn.example.org/x?Signature=1&b=%2F",
            "https://cdn.example.org/x?Signature=1&b=%2F",
        ),
        ("/other", "https://example.org/other"),
        ("next", "https://example.org/a/next"),
        ("//cdn.example.org/x#part", "https://cdn.example.org/x"),
        ("https://me:secret@example.org/x", "https://example.org/x"),
        ("/Ã¶", "https://example.org/%C3%B6"),
    ],
)
def test_a_redirect_leads_where_it_says(location: str, text: str) -> None:
    target = parse("https://example.org/a/file").redirected(location)
    assert target.text == text
    assert "Signature" not in f"{target}{target!r}"


@pytest.mark.parametrize("location", ["ftp://example.org/x", "file:///x", "http://a:b/", "data:,x"])
def test_a_redirect_to_no_address_is_refused(location: str) -> None:
    with pytest.raises(FetchError, match="/a: redirected to what is no http"):
        parse("https://example.org/a").redirected(location)


def test_a_redirect_out_of_https_is_refused() -> None:
    with pytest.raises(FetchError, match="redirected to http:"):
        parse("https://example.org/a").redirected("http://example.org/a")
    assert parse("http://example.org/a").redirected("https://example.org/a").scheme == "https"


def test_an_origin_is_scheme_host_and_port() -> None:
    origins = {
        parse(text).origin
        for text in ("https://a/x", "https://a:443/y", "https://A", "http://a", "https://a:8443",
                     "https://b.a", "http://a:443")
    }  # fmt: skip
    assert len(origins) == 5


@pytest.mark.parametrize(
    ("host", "expected"),
    [("localhost", True), ("127.0.0.1", True), ("127.8.8.8", True), ("[::1]", True),
     ("127.example.org", False), ("localhost.example.org", False), ("10.0.0.1", False)],
)  # fmt: skip
def test_this_machine_is_known_by_its_address(host: str, expected: bool) -> None:
    assert parse(f"http://{host}/").is_loopback is expected


def test_a_site_says_what_to_do_where_it_does_not_give_a_file() -> None:
    site = Site(parse("https://example.org"))
    assert (site.missing, site.authorization) == ("check the address", None)
    assert "password" in site.denied
