"""Connections go through the proxy of the environment, and trust the certificates that it names."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from support import web as server

from gpt2_convert.download.address import parse_site
from gpt2_convert.download.client import Client
from gpt2_convert.download.pools import BUNDLE, find_proxy, open_pool
from gpt2_convert.errors import FetchError, UnsupportedError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.web import Server

pytestmark = pytest.mark.usefixtures("web")
"""Without the variables of the machine."""


def get(url: str) -> bytes:
    site = parse_site(url, "the server")
    with Client(site).get(site.address) as answer:
        return answer.read(1000) if answer.status == 200 else b"%d" % answer.status


def test_a_proxy_is_asked_for_the_whole_address(
    web: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", web.url)
    web.always["http://example.org/x"] = server.proxy
    assert get("http://example.org/x") == b"by proxy"
    (request,) = web.requests
    assert (request.path, request.host) == ("http://example.org/x", "example.org")


def test_a_proxy_s_password_is_for_the_proxy(web: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", web.url.replace("//", "//me:secret@"))
    web.always["http://example.org/x"] = server.proxy
    assert get("http://example.org/x") == b"by proxy"
    assert web.requests[0].headers["proxy-authorization"] == "Basic bWU6c2VjcmV0"
    web.always["http://example.org/x"] = server.answer_with(407)
    assert get("http://example.org/x") == b"407"


@pytest.mark.parametrize(
    ("environment", "address", "proxy"),
    [
        ({}, "https://example.org", ""),
        ({"https_proxy": "http://p:1"}, "https://example.org", "http://p:1"),
        ({"https_proxy": "http://p:1"}, "http://example.org", ""),
        ({"HTTPS_PROXY": "http://p:1"}, "https://example.org", "http://p:1"),
        ({"all_proxy": "http://p:1"}, "https://example.org", "http://p:1"),
        ({"https_proxy": "http://p:1", "no_proxy": "example.org"}, "https://example.org", ""),
        ({"https_proxy": "http://p:1", "no_proxy": "example.org"}, "https://a.example.org", ""),
        ({"https_proxy": "http://p:1", "no_proxy": "other.org"}, "https://example.org", "http://p:1"),
        ({"https_proxy": "http://p:1", "no_proxy": "*"}, "https://example.org", ""),
        ({"http_proxy": "http://p:1", "no_proxy": "127.0.0.1:5"}, "http://127.0.0.1:5", ""),
    ],
)  # fmt: skip
def test_the_proxy_is_the_environment_s(
    environment: dict[str, str], address: str, proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert find_proxy(parse_site(address, "the server").address) == proxy


def test_a_proxy_of_another_kind_is_refused_by_name() -> None:
    with pytest.raises(UnsupportedError, match="of the kind 'socks5', which is not spoken here"):
        open_pool("socks5://me:secret@127.0.0.1:1080")


@pytest.mark.parametrize("proxy", ["http://", "http://a:b", "http://me:secret@a:b"])
def test_a_proxy_that_makes_no_sense_is_refused(proxy: str) -> None:
    with pytest.raises(UsageError, match="the proxy of the environment") as caught:
        open_pool(proxy)
    assert "secret" not in str(caught.value)


def test_a_proxy_that_does_not_answer_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://me:secret@127.0.0.1:9")
    with pytest.raises(FetchError, match="the proxy of the environment does not let") as caught:
        get("http://example.org/x")
    assert "secret" not in str(caught.value)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of localhost, and its key; the certificate alone is beside it."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed, which makes the certificate")
    path = tmp_path_factory.mktemp("certificate") / "localhost.pem"
    command = [
        "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost",
        "-addext", "subjectAltName=DNS:localhost",
        "-addext", "keyUsage=critical,digitalSignature,keyEncipherment,keyCertSign",
        "-keyout", str(path), "-out", f"{path}.crt",
    ]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)
    path.write_bytes(path.read_bytes() + path.with_name("localhost.pem.crt").read_bytes())
    return path


@pytest.fixture
def secure(certificate: Path) -> Iterator[Server]:
    with server.serving(certificate) as started:
        started.give("/x", b"body")
        yield started


def test_an_unknown_certificate_is_refused(secure: Server) -> None:
    with pytest.raises(FetchError, match=r"self.signed certificate; .* SSL_CERT_FILE"):
        get(f"{secure.url}/x")


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", BUNDLE])
def test_a_certificate_is_trusted_if_the_environment_names_it(
    variable: str, secure: Server, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, f"{certificate}.crt")
    assert get(f"{secure.other_url}/x") == b"body"


def test_a_certificate_of_another_host_is_refused(
    secure: Server, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(BUNDLE, f"{certificate}.crt")
    with pytest.raises(FetchError, match="not valid for '127"):
        get(f"{secure.url}/x")


def test_a_redirect_out_of_https_is_not_followed(
    secure: Server, web: Server, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(BUNDLE, f"{certificate}.crt")
    web.give("/x", b"body")
    secure.always["/x"] = server.redirect_to(f"{web.url}/x")
    with pytest.raises(FetchError, match="redirected to http:"):
        get(f"{secure.other_url}/x")
    assert not web.requests


@pytest.mark.parametrize(
    ("content", "reason"), [(None, "cannot be read"), ("x", "no certificates")]
)
def test_certificates_that_make_no_sense_are_refused(
    content: str | None, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = tmp_path / "bundle.pem"
    if content is not None:
        named.write_text(content)
    monkeypatch.setenv(BUNDLE, str(named))
    with pytest.raises(UsageError) as caught:
        open_pool("")
    assert str(caught.value) == f"{BUNDLE}: {named}: {reason}; name another or none"


def test_a_folder_of_certificates_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(BUNDLE, str(tmp_path))
    assert open_pool("")
