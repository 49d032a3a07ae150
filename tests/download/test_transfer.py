"""A transfer: whatever the server does, the whole file is on the stage, or one line says why not.

What has come before a break is never asked for again, unless the file has changed.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np
import pytest
from support import web as server

from gpt2_convert.download import transfer as module
from gpt2_convert.download.content import SHA256, Digest, Known
from gpt2_convert.download.plan import Wanted
from gpt2_convert.download.transfer import read_whole, transfer
from gpt2_convert.errors import FetchError, FormatError, Gpt2ConvertError, SourceNotFoundError
from gpt2_convert.progress import ignore_progress
from gpt2_convert.reports.fetch import Proof

if TYPE_CHECKING:
    from support.web import Answer, Server

    from gpt2_convert.download.client import Client
    from gpt2_convert.download.stage import Stage

BODY, OTHER = (np.random.default_rng(seed).bytes(300_000) for seed in (0, 1))
NAME = "model.safetensors"
PATH = "/file"


def want(client: Client, *, known: Known | None = None, binary: bool = True) -> Wanted:
    """Return the file as one of which nothing is known but its address."""
    address = client.site.address.below(PATH[1:])
    return Wanted(NAME, address, known or Known(), Proof.STATED, binary)


def of(body: bytes) -> Known:
    return Known(len(body), Digest(SHA256, hashlib.sha256(body).hexdigest()))


def on(stage: Stage) -> bytes:
    return (stage.path / NAME).read_bytes()


def ranges(web: Server) -> list[str | None]:
    return [request.headers.get("range") for request in web.asked(PATH)]


def run(client: Client, stage: Stage, known: Known | None = None) -> bool:
    return transfer(client, want(client, known=known), stage, ignore_progress)


def test_a_file_comes_whole_in_one_answer(web: Server, client: Client, stage: Stage) -> None:
    web.give(PATH, BODY)
    assert run(client, stage)
    assert on(stage) == BODY
    assert ranges(web) == [None]
    assert web.asked(PATH)[0].headers["accept-encoding"] == "identity"


def test_a_break_goes_on_where_it_stopped(web: Server, client: Client, stage: Stage) -> None:
    web.give(PATH, BODY)
    web.spoil(PATH, server.break_after(100_000), server.break_after(70_000))
    assert not run(client, stage)
    assert on(stage) == BODY
    assert ranges(web) == [None, "bytes=100000-", "bytes=170000-"]
    tag = web.files[PATH].headers["ETag"]
    assert [each.headers.get("if-range") for each in web.asked(PATH)] == [None, tag, tag]


def test_a_server_without_etags_is_asked_by_the_date(
    web: Server, client: Client, stage: Stage
) -> None:
    date = "Wed, 25 Nov 2026 10:00:00 GMT"
    web.give(PATH, BODY, ETag="", Last_Modified=date)
    web.spoil(PATH, server.break_after(100_000))
    assert not run(client, stage)
    assert on(stage) == BODY
    assert web.asked(PATH)[1].headers["if-range"] == date


def test_a_weak_etag_is_no_reason_to_believe_that_nothing_changed(
    web: Server, client: Client, stage: Stage
) -> None:
    web.give(PATH, BODY, ETag='W/"1"')
    web.spoil(PATH, server.break_after(100_000))
    assert run(client, stage)
    assert on(stage) == BODY
    assert ranges(web) == [None, None]


def test_a_known_digest_is_as_good_as_an_etag(web: Server, client: Client, stage: Stage) -> None:
    web.give(PATH, BODY, ETag="")
    web.spoil(PATH, server.break_after(100_000))
    assert not run(client, stage, of(BODY))
    assert on(stage) == BODY
    assert ranges(web) == [None, "bytes=100000-"]


def test_a_later_run_goes_on(web: Server, client: Client, stage: Stage) -> None:
    web.give(PATH, BODY)
    web.spoil(PATH, *[server.break_after(10_000)] * 3)
    with pytest.raises(FetchError, match="3 times in a row"):
        run(client, stage)
    kept = len(on(stage))
    assert kept == 30_000
    assert not run(client, stage)
    assert on(stage) == BODY
    assert ranges(web)[-1] == f"bytes={kept}-"


def test_what_has_come_whole_is_not_asked_for_again(
    web: Server, client: Client, stage: Stage
) -> None:
    web.give(PATH, BODY)
    assert run(client, stage)
    assert not run(client, stage)
    assert len(web.asked(PATH)) == 1


def test_what_came_of_another_file_is_not_gone_on_with(
    web: Server, client: Client, stage: Stage
) -> None:
    web.give(PATH, OTHER)
    web.spoil(PATH, *[server.break_after(10_000)] * 3)
    with pytest.raises(FetchError):
        run(client, stage, of(OTHER))
    web.give(PATH, BODY)
    assert run(client, stage, of(BODY))
    assert on(stage) == BODY
    assert ranges(web)[-1] is None


@pytest.mark.parametrize("again", [server.ignore_range, server.ignore_if_range])
def test_a_file_that_changes_between_two_ranges_is_fetched_anew(
    again: Answer, web: Server, client: Client, stage: Stage
) -> None:
    web.give(PATH, OTHER)

    def change(handler: server.Handler, file: server.File) -> None:
        again(handler, web.give(PATH, BODY))

    web.spoil(PATH, server.break_after(100_000), change)
    assert run(client, stage)
    assert on(stage) == BODY


def test_a_file_that_changes_every_time_is_given_up(
    web: Server, client: Client, stage: Stage
) -> None:
    def change(handler: server.Handler, file: server.File) -> None:
        body = np.random.default_rng(len(web.requests)).bytes(300_000)
        given = web.give(PATH, body)
        if "Range" in handler.headers:
            server.ignore_if_range(handler, given)
        else:
            server.break_after(100_000)(handler, given)

    web.always[PATH] = change
    with pytest.raises(FetchError, match="changed each time while it was being fetched"):
        run(client, stage)


def test_a_server_that_knows_no_ranges_begins_again(
    web: Server, client: Client, stage: Stage
) -> None:
    web.give(PATH, BODY)
    web.spoil(PATH, server.break_after(100_000), server.ignore_range)
    assert run(client, stage)
    assert on(stage) == BODY


def test_a_part_that_is_not_the_one_asked_for_is_not_joined(
    web: Server, client: Client, stage: Stage
) -> None:
    web.give(PATH, BODY)

    def shift(handler: server.Handler, file: server.File) -> None:
        handler.give_part(file, 99_000)

    web.spoil(PATH, server.break_after(100_000), shift)
    assert run(client, stage)
    assert on(stage) == BODY


def test_a_part_of_another_size_is_not_joined(web: Server, client: Client, stage: Stage) -> None:
    web.give(PATH, BODY)

    def resize(handler: server.Handler, file: server.File) -> None:
        handler.give_part(file, 100_000, whole=len(file.body) + 1)

    web.spoil(PATH, server.break_after(100_000), resize)
    assert run(client, stage)
    assert on(stage) == BODY


def test_parts_that_end_early_follow_each_other(web: Server, client: Client, stage: Stage) -> None:
    web.give(PATH, BODY)

    def at_most(handler: server.Handler, file: server.File) -> None:
        start = handler.asked_from(file)
        assert start is not None
        end = min(start + 70_000, len(file.body))
        place = f"bytes {start}-{end - 1}/{len(file.body)}"
        handler.send(206, file.body[start:end], {**file.headers, "Content-Range": place})

    web.spoil(PATH, server.break_after(100_000), at_most, at_most, at_most)
    assert not run(client, stage)
    assert on(stage) == BODY


def test_nothing_left_to_give_means_that_all_has_come(
    web: Server, client: Client, stage: Stage
) -> None:
    web.give(PATH, BODY)

    def without_end(handler: server.Handler, file: server.File) -> None:
        """State no length, give everything, and break before the end is marked."""
        handler.send_response(200)
        handler.send_header("ETag", file.headers["ETag"])
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        handler.wfile.write(b"%x\r\n%s\r\n" % (len(file.body), file.body))
        handler.hang_up()

    web.spoil(PATH, without_end)
    assert not run(client, stage)
    assert on(stage) == BODY
    assert ranges(web) == [None, f"bytes={len(BODY)}-"]


def test_a_range_that_the_server_refuses_begins_again(
    web: Server, client: Client, stage: Stage
) -> None:
    web.give(PATH, BODY)
    web.spoil(PATH, server.break_after(100_000), server.answer_with(416, Content_Range="bytes */5"))
    assert run(client, stage)
    assert on(stage) == BODY


def test_a_server_that_refuses_every_range_gives_one_line(
    web: Server, client: Client, stage: Stage
) -> None:
    web.always[PATH] = server.answer_with(416)
    with pytest.raises(FetchError, match=r"416 .*Range Not Satisfiable"):
        run(client, stage)


@pytest.mark.usefixtures("impatient")
def test_a_stall_is_overcome(web: Server, client: Client, stage: Stage) -> None:
    web.give(PATH, BODY)
    web.spoil(PATH, server.stall_after(100_000))
    assert not run(client, stage)
    assert on(stage) == BODY
    assert ranges(web) == [None, "bytes=100000-"]


@pytest.mark.usefixtures("impatient")
def test_a_server_that_stalls_again_and_again_gives_one_line(
    web: Server, client: Client, stage: Stage
) -> None:
    web.give(PATH, BODY)
    web.always[PATH] = server.stall_after(1000)
    with pytest.raises(FetchError) as caught:
        run(client, stage)
    assert str(caught.value) == (
        f"{web.url}/file: stalled: nothing came for 0.3 s, 3 times in a row; try again later"
    )
    assert on(stage) == BODY[:1000]


@pytest.mark.usefixtures("impatient")
def test_a_server_that_takes_the_request_and_is_silent_gives_one_line(
    web: Server, client: Client, stage: Stage
) -> None:
    web.give(PATH, BODY)
    web.always[PATH] = server.say_nothing
    with pytest.raises(FetchError) as caught:
        run(client, stage)
    assert str(caught.value) == (
        f"{web.url}/file: stalled: nothing came for 0.3 s; try again later"
    )


@pytest.mark.usefixtures("impatient")
def test_a_trickle_is_a_stall(web: Server, client: Client, stage: Stage) -> None:
    web.give(PATH, BODY)
    web.always[PATH] = server.trickle(0.05)
    with pytest.raises(FetchError, match=r"stalled: \d bytes in 0 s, 3 times in a row"):
        run(client, stage)


def test_a_file_of_which_no_length_is_stated_comes_whole(
    web: Server, client: Client, stage: Stage
) -> None:
    web.give(PATH, BODY)
    web.always[PATH] = server.send_in_chunks
    assert run(client, stage)
    assert on(stage) == BODY


def test_a_file_without_length_may_not_be_endless(
    web: Server, client: Client, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LARGEST_UNKNOWN", 200_000)
    web.give(PATH, BODY)
    web.always[PATH] = server.send_in_chunks
    with pytest.raises(FormatError, match="longer than the 200,000 bytes"):
        run(client, stage)


PAGE = b"<!DOCTYPE html><title>Log in</title>"
WRONG: dict[str, tuple[Answer, type[Gpt2ConvertError], str]] = {
    "a page": (
        server.answer_with(200, PAGE, Content_Type="text/html; charset=utf-8"),
        FetchError,
        "answered with a page",
    ),
    "a page that says it is data": (
        server.answer_with(200, PAGE, Content_Type="application/octet-stream"),
        FetchError,
        "answered with a page",
    ),
    "XML": (
        server.answer_with(200, b"\xef\xbb\xbf<Error>", Content_Type="application/xml"),
        FetchError,
        "answered with a page",
    ),
    "a pointer to the file": (
        server.answer_with(200, b"version https://git-lfs.github.com/spec/v1\n"),
        FetchError,
        "answered with a page or a message",
    ),
    "compressed": (server.compress, FetchError, "compressed as 'gzip'"),
    "a short body": (server.break_after(1000), FetchError, "ended after|connection broke"),
    "no body": (server.answer_with(200, b"", length=300_000), FetchError, "connection broke"),
    "a part": (
        server.answer_with(206, b"x", Content_Range="bytes 0-0/1"),
        FetchError,
        "answered with a part, where the whole was asked for",
    ),
    "not found": (server.answer_with(404), SourceNotFoundError, "404 Not Found"),
    "gone": (server.answer_with(410), SourceNotFoundError, "410 Gone"),
    "forbidden": (server.answer_with(403), FetchError, "403 Forbidden"),
    "failing": (server.answer_with(500), FetchError, "500 Internal Server Error, 5 times"),
    "busy": (server.answer_with(429), FetchError, "429 Too Many Requests, 5 times"),
    "odd": (server.answer_with(299), FetchError, "299, which is no answer"),
    "in a loop": (server.redirect_to("/file"), FetchError, "redirected 11 times"),
    "elsewhere": (server.redirect_to("ftp://example.org/x"), FetchError, "no http or https"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_a_wrong_answer_is_one_line_with_the_address(
    kind: str, web: Server, client: Client, stage: Stage
) -> None:
    web.give(PATH, BODY)
    web.always[PATH], error, words = WRONG[kind]
    with pytest.raises(error, match=words) as caught:
        run(client, stage)
    told = str(caught.value)
    assert told.startswith(f"{web.url}/file: ")
    assert "\n" not in told


@pytest.mark.parametrize("kind", sorted(WRONG.keys() - {"a part", "a short body"}))
def test_a_wrong_answer_costs_nothing_of_what_has_come(
    kind: str, web: Server, client: Client, stage: Stage
) -> None:
    web.give(PATH, BODY)
    wrong, error, _ = WRONG[kind]

    def turn(handler: server.Handler, file: server.File) -> None:
        if len(web.asked(PATH)) > 1:
            wrong(handler, file)
        else:
            server.break_after(100_000)(handler, file)

    web.always[PATH] = turn
    with pytest.raises(error):
        run(client, stage)
    assert on(stage) == BODY[:100_000]
    web.always.clear()
    assert not run(client, stage)
    assert on(stage) == BODY


def test_a_length_that_is_not_the_known_one_is_refused_before_a_byte_is_kept(
    web: Server, client: Client, stage: Stage
) -> None:
    web.give(PATH, BODY)
    with pytest.raises(FormatError, match="has 300,000 bytes, where 299,999 are expected"):
        run(client, stage, Known(299_999))
    assert not stage.size(NAME)


def test_a_body_longer_than_it_should_be_is_refused_though_it_states_no_length(
    web: Server, client: Client, stage: Stage
) -> None:
    web.give(PATH, BODY)
    web.always[PATH] = server.send_in_chunks
    with pytest.raises(FormatError, match="longer than the 1,500 bytes"):
        run(client, stage, Known(1500))


def test_data_may_begin_as_a_page_does(web: Server, client: Client, stage: Stage) -> None:
    web.give(PATH, b"<" + BODY)
    assert run(client, stage)
    with pytest.raises(FetchError, match="answered with a page"):
        read_whole(client, want(client, binary=False), 1 << 20)


def test_a_failure_that_passes_is_overcome(web: Server, client: Client, stage: Stage) -> None:
    web.give(PATH, BODY)
    web.spoil(PATH, server.answer_with(503, Retry_After="0"), server.answer_with(502))
    assert run(client, stage)
    assert on(stage) == BODY


def test_progress_counts_the_bytes_of_a_file_and_those_that_were_there(
    web: Server, client: Client, stage: Stage
) -> None:
    web.give(PATH, BODY)
    web.spoil(PATH, server.break_after(100_000))
    seen: list[tuple[str, int, int]] = []
    transfer(client, want(client), stage, lambda *step: seen.append(step))
    assert {(phase, total) for phase, _, total in seen} == {(NAME, len(BODY))}
    counts = [done for _, done, _ in seen]
    assert counts == sorted(counts)
    assert (counts[0], counts[-1]) == (0, len(BODY))
    assert counts.count(100_000) == 2  # at the break, and when it went on


def test_a_small_file_is_read_without_being_kept(web: Server, client: Client) -> None:
    web.give(PATH, b'{"a": 1}')
    web.spoil(PATH, server.break_after(3))
    assert read_whole(client, want(client, binary=False), 100) == b'{"a": 1}'


def test_a_small_file_has_to_be_small(web: Server, client: Client) -> None:
    web.give(PATH, BODY)
    with pytest.raises(FormatError, match="longer than the 100 bytes"):
        read_whole(client, want(client), 100)
    web.always[PATH] = server.send_in_chunks
    with pytest.raises(FormatError, match="longer than the 100 bytes"):
        read_whole(client, want(client), 100)


def test_a_small_file_that_never_comes_whole_gives_one_line(web: Server, client: Client) -> None:
    web.give(PATH, BODY)
    web.always[PATH] = server.break_after(10)
    with pytest.raises(FetchError, match=r"/file: .*3 times in a row; try again later"):
        read_whole(client, want(client), 1 << 20)


MISHAPS: tuple[Answer, ...] = (
    server.break_after(0),
    server.break_after(7),
    server.break_after(50_000),
    server.break_after(299_999),
    server.ignore_range,
    server.ignore_if_range,
    server.send_in_chunks,
    server.answer_with(503),
    server.answer_with(404),
    server.answer_with(416),
    server.answer_with(416, Content_Range="bytes */300000"),
    server.answer_with(200, OTHER),
    server.answer_with(200, OTHER[:1000]),
    server.answer_with(200, PAGE, Content_Type="text/html"),
    server.answer_with(206, OTHER[5:], Content_Range="bytes 5-299999/300000"),
    server.answer_with(206, OTHER[50_000:], Content_Range="bytes 50000-299999/300000"),
    server.redirect_to(PATH),
    server.compress,
)


@pytest.mark.parametrize("seed", range(15))
def test_whatever_happened_before_the_file_is_there_in_the_end(
    seed: int, web: Server, client: Client, stage: Stage
) -> None:
    choices = np.random.default_rng(seed).integers(len(MISHAPS), size=12)
    web.give(PATH, BODY)
    web.spoil(PATH, *(MISHAPS[choice] for choice in choices))
    told: list[str] = []
    for _ in range(30):
        try:
            run(client, stage, of(BODY))
        except Gpt2ConvertError as error:
            told.append(str(error))
            continue
        if on(stage) == BODY:
            break
        stage.forget(NAME)  # as is done with what has another digest
    assert on(stage) == BODY
    assert all(line.startswith(f"{web.url}{PATH}: ") and line.isprintable() for line in told)
