"""A client asks one site, follows where that leads, and shows its secret to nobody else."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest
from support import web as server

from gpt2_convert.download import client as module
from gpt2_convert.download.address import Site, parse_site
from gpt2_convert.download.client import BrokenError, Client
from gpt2_convert.errors import FetchError, SourceNotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.web import Server

SECRET = "Bearer hf_secret"  # noqa: S105 - nobody's


@pytest.fixture
def let_in(web: Server) -> Client:
    """A client that has something to show to be let in."""
    site = parse_site(web.url, "the server")
    return Client(Site(site.address, SECRET, "check the name", "set HF_TOKEN"))


def get(client: Client, path: str) -> bytes:
    """Return the body of the last answer."""
    with client.get(client.site.address.below(path)) as answer:
        assert answer.status == 200
        return b"".join(iter(lambda: answer.read(100), b""))


def secrets(web: Server) -> list[tuple[str, str | None]]:
    """Return who was asked, and what was shown."""
    return [
        (each.host.partition(":")[0], each.headers.get("authorization")) for each in web.requests
    ]


def test_what_lets_in_is_shown_to_the_site(web: Server, let_in: Client) -> None:
    web.give("/a", b"body")
    assert get(let_in, "a") == b"body"
    assert secrets(web) == [("127.0.0.1", SECRET)]
    assert web.requests[0].headers["user-agent"] == "gpt2-convert"


def test_it_is_not_shown_across_a_redirect_to_another_server(web: Server, let_in: Client) -> None:
    web.give("/b", b"body")
    web.always["/a"] = server.redirect_to(f"{web.other_url}/b")
    assert get(let_in, "a") == b"body"
    assert secrets(web) == [("127.0.0.1", SECRET), ("localhost", None)]


def test_it_is_not_shown_to_another_port(web: Server, let_in: Client) -> None:
    with server.serving() as other:
        other.give("/b", b"body")
        web.always["/a"] = server.redirect_to(f"{other.url}/b")
        assert get(let_in, "a") == b"body"
        assert secrets(other) == [("127.0.0.1", None)]


def test_it_is_shown_again_when_a_redirect_leads_back(web: Server, let_in: Client) -> None:
    web.give("/c", b"body")
    web.always["/a"] = server.redirect_to(f"{web.other_url}/b")
    web.always["/b"] = server.redirect_to(f"{web.url}/c")
    assert get(let_in, "a") == b"body"
    assert secrets(web) == [("127.0.0.1", SECRET), ("localhost", None), ("127.0.0.1", SECRET)]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_of_every_kind_are_followed(status: int, web: Server, let_in: Client) -> None:
    web.give("/b", b"body")
    web.always["/a"] = server.redirect_to("b?x=1", status)
    assert get(let_in, "a") == b"body"
    assert web.requests[-1].path == "/b?x=1"


def test_ten_redirects_are_followed_and_no_more(web: Server, let_in: Client) -> None:
    for number in range(11):
        web.always[f"/{number}"] = server.redirect_to(f"/{number + 1}")
    web.give("/11", b"body")
    assert get(let_in, "1") == b"body"
    with pytest.raises(FetchError, match="/0: redirected 11 times, in a loop perhaps"):
        get(let_in, "0")


def test_all_answers_on_the_way_are_kept(web: Server, let_in: Client) -> None:
    web.give("/b", b"body")
    web.always["/a"] = server.redirect_to("/b", X_Linked_Size="4")
    with let_in.get(let_in.site.address.below("a")) as answer:
        assert [step.status for step in answer.steps] == [302, 200]
        assert answer.steps[0].headers["x-linked-size"] == "4"
        assert str(answer.steps[1].address) == f"{web.url}/b"
        assert answer.length == 4


def test_a_description_has_no_body_and_stays_with_the_site(web: Server, let_in: Client) -> None:
    web.give("/a", b"body")
    web.always["/b"] = server.redirect_to(f"{web.other_url}/a")
    described = let_in.describe(let_in.site.address.below("a"))
    assert (described.status, described.length) == (200, 4)
    stayed = let_in.describe(let_in.site.address.below("b"), across=False)
    assert (stayed.status, len(stayed.steps)) == (302, 1)
    assert let_in.describe(let_in.site.address.below("b")).status == 200
    assert {each.method for each in web.requests} == {"HEAD"}


@pytest.mark.parametrize("status", [400, 403, 405, 501])
def test_a_server_that_knows_no_head_is_asked_otherwise(
    status: int, web: Server, let_in: Client
) -> None:
    file = web.give("/a", bytes(5_000_000))

    def refuse(handler: server.Handler, _: server.File) -> None:
        if handler.command == "HEAD":
            handler.send(status, b"", {})
        else:
            handler.give(file)

    web.always["/a"] = refuse
    described = let_in.describe(let_in.site.address.below("a"))
    assert (described.status, described.length) == (200, 5_000_000)


def test_a_connection_is_used_again(web: Server, let_in: Client) -> None:
    web.give("/a", b"body")
    ports: set[int] = set()

    def note(handler: server.Handler, file: server.File) -> None:
        ports.add(handler.client_address[1])
        handler.give(file)

    web.always["/a"] = note
    for _ in range(3):
        get(let_in, "a")
        let_in.describe(let_in.site.address.below("a"))
    assert len(ports) == 1


def test_a_body_that_nobody_reads_is_not_waited_for(web: Server, let_in: Client) -> None:
    web.give("/b", b"body")

    def redirect_endlessly(handler: server.Handler, file: server.File) -> None:
        handler.send_response(302)
        handler.send_header("Location", "/b")
        handler.end_headers()
        for _ in range(10_000):
            handler.wfile.write(bytes(100_000))

    web.always["/a"] = redirect_endlessly
    assert get(let_in, "a") == b"body"
    web.spoil("/b", server.answer_with(503, b"x", length=1 << 40))
    assert get(let_in, "b") == b"body"


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_server_that_asks_for_patience_gets_it(status: int, web: Server, let_in: Client) -> None:
    web.give("/a", b"body")
    web.spoil("/a", *[server.answer_with(status)] * 4)
    assert get(let_in, "a") == b"body"
    assert len(web.requests) == 5


@pytest.mark.parametrize("asked", ["7", "0.5", "Fri, 31 Dec 9999 23:59:59 GMT", "soon", "9" * 400])
def test_a_wait_is_what_the_server_asks_for_within_reason(
    asked: str, web: Server, let_in: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    monkeypatch.setattr("time.sleep", slept.append)
    web.give("/a", b"body")
    web.spoil("/a", server.answer_with(503, Retry_After=asked))
    assert get(let_in, "a") == b"body"
    assert slept == {"7": [7], "soon": [], "0.5": []}.get(asked, [module.LONGEST_WAIT])


@pytest.mark.parametrize(
    ("status", "error", "words"),
    [
        (404, SourceNotFoundError, "404 Not Found; check the name"),
        (410, SourceNotFoundError, "410 Gone; check the name"),
        (401, FetchError, "401 Unauthorized; set HF_TOKEN"),
        (403, FetchError, "403 Forbidden; set HF_TOKEN"),
        (503, FetchError, "503 Service Unavailable, 5 times; try again later"),
        (400, FetchError, "400 Bad Request, which is no answer"),
        (799, FetchError, "799, which is no answer"),
    ],
)
def test_an_answer_that_is_no_file_says_what_to_do(
    status: int, error: type[Exception], words: str, web: Server, let_in: Client
) -> None:
    web.always["/a"] = server.answer_with(status)
    with let_in.get(let_in.site.address.below("a")) as answer:
        refused = let_in.refuse(answer)
    assert type(refused) is error
    assert str(refused).startswith(f"{web.url}/a: {words}")


def refused_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        return f"http://127.0.0.1:{closed.getsockname()[1]}"


NOBODY: dict[str, tuple[Callable[[], str], str]] = {
    "no such host": (lambda: "http://no-such-host.invalid", "there is no such host, or no network"),
    "refused": (refused_port, "connection refused; check the address and the network"),
}


@pytest.mark.usefixtures("web")
@pytest.mark.parametrize("kind", NOBODY)
def test_where_nobody_answers_one_line_says_so(kind: str) -> None:
    make, words = NOBODY[kind]
    site = parse_site(make(), "the server")
    with pytest.raises(FetchError) as caught:
        get(Client(site), "a")
    assert str(caught.value).startswith(f"{site.address}/a: {words}")
    assert "\n" not in str(caught.value)


def test_a_secret_in_a_redirect_is_not_told(web: Server, let_in: Client) -> None:
    web.always["/a"] = server.redirect_to(f"{refused_port()}/b?Signature=secret")
    with pytest.raises(FetchError) as caught:
        get(let_in, "a")
    assert str(caught.value) == (
        f"{web.url}/a: redirected to 127.0.0.1: connection refused; check the address and the "
        "network"
    )
    assert "secret" not in f"{caught.value!r}{let_in.site!r}{vars(let_in)!r}"


def test_garbage_in_the_place_of_http_is_one_line(web: Server, let_in: Client) -> None:
    def blare(handler: server.Handler, _: server.File) -> None:
        handler.wfile.write(b"\x00\x01\x02" * 100 + b"\r\n")
        handler.hang_up()

    web.always["/a"] = blare
    with pytest.raises(FetchError, match="/a: the connection broke; try again later"):
        get(let_in, "a")


def test_a_body_that_breaks_off_is_told_from_one_that_ends(web: Server, let_in: Client) -> None:
    web.give("/a", b"body")
    web.spoil("/a", server.break_after(2))
    with let_in.get(let_in.site.address.below("a")) as answer:
        assert answer.read(100) == b"bo"
        with pytest.raises(BrokenError, match="the connection broke"):
            answer.read(100)


@pytest.mark.parametrize(("length", "expected"), [("5", 5), ("-5", None), ("5x", None), ("", None)])
def test_a_length_is_a_number_or_not_stated(
    length: str, expected: int | None, web: Server, let_in: Client
) -> None:
    def answer_oddly(handler: server.Handler, _: server.File) -> None:
        handler.send_response(200)
        if length:
            handler.send_header("Content-Length", length)
        handler.end_headers()
        handler.wfile.write(b"12345")
        handler.hang_up()

    web.always["/a"] = answer_oddly
    with let_in.get(let_in.site.address.below("a")) as answer:
        assert answer.length == expected
