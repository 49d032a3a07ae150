"""An answer is believed as far as it agrees with what is known and with what has come."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest
from urllib3 import HTTPHeaderDict

from gpt2_convert.download.address import Address
from gpt2_convert.download.answers import (
    ChangedError,
    Part,
    accept,
    ask_for_rest,
    check_head,
    holds_all,
)
from gpt2_convert.download.client import Answer, Step
from gpt2_convert.download.content import Known
from gpt2_convert.download.plan import Wanted
from gpt2_convert.download.stage import Origin
from gpt2_convert.errors import FetchError, FormatError
from gpt2_convert.reports.fetch import Proof

if TYPE_CHECKING:
    from urllib3.response import BaseHTTPResponse

ADDRESS = Address("https", "example.org", 443, "/file")
NO_BODY = cast("BaseHTTPResponse", None)
DATE = "Wed, 25 Nov 2026 10:00:00 GMT"


def wanted(known: Known | None = None, *, commit: str | None = None) -> Wanted:
    return Wanted("file", ADDRESS, known or Known(), Proof.STATED, commit=commit)


def answer(status: int, **headers: str) -> Answer:
    """Return an answer; an underscore in the name of a header is a dash."""
    named = HTTPHeaderDict({name.replace("_", "-"): value for name, value in headers.items()})
    return Answer((Step(ADDRESS, status, named),), NO_BODY)


def origin(validator: str | None = '"1"', nbytes: int | None = 1000) -> Origin:
    return Origin(str(ADDRESS), validator, nbytes)


@pytest.mark.parametrize(
    ("headers", "validator"),
    [
        ({"ETag": '"1"', "Last-Modified": DATE}, '"1"'),
        ({"ETag": 'W/"1"', "Last-Modified": DATE}, DATE),
        ({"ETag": 'W/"1"'}, None),
        ({"ETag": '"'}, None),
        ({"ETag": '"\xe9"'}, None),
        ({"Last-Modified": DATE}, DATE),
        ({}, None),
    ],
)
def test_the_whole_is_remembered_by_a_strong_etag_or_a_date(
    headers: dict[str, str], validator: str | None
) -> None:
    part = accept(answer(200, Content_Length="1000", **headers), wanted(), 300, origin())
    assert part == Part(0, 1000, 1000, Origin(str(ADDRESS), validator, 1000))
    asked = ask_for_rest(300, part.origin)
    assert asked == {"Range": "bytes=300-"} | ({"If-Range": validator} if validator else {})


def test_the_size_is_what_is_known_where_none_is_stated() -> None:
    assert accept(answer(200), wanted(Known(7)), 0, None).end == 7
    assert accept(answer(200), wanted(), 0, None).end is None
    with pytest.raises(FormatError, match="has 8 bytes, where 7 are expected"):
        accept(answer(200, Content_Length="8"), wanted(Known(7)), 0, None)


@pytest.mark.parametrize(
    ("place", "end"),
    [("bytes 300-999/1000", 1000), ("bytes 300-999/*", 1000), ("bytes 300-499/1000", 500)],
)
def test_a_part_that_follows_is_taken(place: str, end: int) -> None:
    part = accept(answer(206, ETag='"1"', Content_Range=place), wanted(), 300, origin())
    assert part == Part(300, end, 1000, origin())


@pytest.mark.parametrize(
    ("headers", "known"),
    [
        ({"Content_Range": "bytes 299-999/1000"}, None),
        ({"Content_Range": "bytes 301-999/1000"}, None),
        ({"Content_Range": "bytes 300-999/1001"}, None),
        ({"Content_Range": "bytes 300-1000/1000"}, None),
        ({"Content_Range": "bytes 300-299/1000"}, None),
        ({"Content_Range": "bytes */1000"}, None),
        ({"Content_Range": "items 300-999/1000"}, None),
        ({"Content_Range": f"bytes 300-{'9' * 5000}/*"}, None),
        ({}, None),
        ({"Content_Range": "bytes 300-999/1000", "ETag": '"2"'}, None),
        ({"Content_Range": "bytes 300-999/1000", "ETag": 'W/"1"'}, None),
        ({"Content_Range": "bytes 300-999/1000", "Content_Length": "699"}, None),
        ({"Content_Range": "bytes 300-999/1000"}, 1001),
    ],
)
def test_a_part_that_does_not_follow_is_of_another_file(
    headers: dict[str, str], known: int | None
) -> None:
    with pytest.raises(ChangedError):
        accept(answer(206, **headers), wanted(Known(known)), 300, origin())


@pytest.mark.parametrize(
    ("validator", "headers"),
    [
        ('"1"', {"Last_Modified": DATE}),
        (DATE, {"Last_Modified": DATE, "ETag": '"new"'}),
        (None, {"ETag": '"2"'}),
    ],
)
def test_what_a_part_does_not_state_does_not_count(
    validator: str | None, headers: dict[str, str]
) -> None:
    given = answer(206, Content_Range="bytes 300-999/1000", **headers)
    assert accept(given, wanted(), 300, origin(validator)).start == 300


def test_a_part_that_nobody_asked_for_is_refused() -> None:
    for come in (None, origin()):
        with pytest.raises(FetchError, match="where the whole was asked for"):
            accept(answer(206, Content_Range="bytes 0-9/10"), wanted(), 0, come)


@pytest.mark.parametrize(
    ("place", "expected"),
    [("bytes */300", True), ("bytes */301", False), ("", False), ("bytes */*", False)],
)
def test_nothing_left_is_all_there_is_if_the_sizes_agree(place: str, expected: bool) -> None:
    assert holds_all(answer(416, Content_Range=place), 300) is expected


@pytest.mark.parametrize("kind", ["text/html", "TEXT/HTML; charset=utf-8", "application/xml"])
def test_a_page_is_told_by_its_type(kind: str) -> None:
    with pytest.raises(FetchError, match="/file: answered with a page"):
        accept(answer(200, Content_Type=kind), wanted(), 0, None)


@pytest.mark.parametrize("kind", ["text/plain", "application/octet-stream", "application/json", ""])
def test_other_types_say_nothing(kind: str) -> None:
    assert accept(answer(200, Content_Type=kind), wanted(), 0, None).start == 0


def test_what_is_compressed_is_refused() -> None:
    for encoding in ("gzip", "br", "x\x1b"):
        with pytest.raises(FetchError, match="compressed as") as caught:
            accept(answer(200, Content_Encoding=encoding), wanted(), 0, None)
        assert str(caught.value).isprintable()
    assert accept(answer(200, Content_Encoding="identity"), wanted(), 0, None).start == 0


def test_an_answer_of_another_commit_is_refused() -> None:
    pinned = wanted(commit="1" * 40)
    assert accept(answer(200, X_Repo_Commit="1" * 40), pinned, 0, None).start == 0
    assert accept(answer(200), pinned, 0, None).start == 0
    with pytest.raises(FetchError, match=f"is of another commit than was asked for, {'2' * 40}"):
        accept(answer(200, X_Repo_Commit="2" * 40), pinned, 0, None)
    assert accept(answer(200, X_Repo_Commit="2" * 40), wanted(), 0, None).start == 0


@pytest.mark.parametrize(
    "head",
    [b"<!DOCTYPE html>", b" \n<html>", b"<?xml version='1.0'?><Error>", b"Entry not found",
     b"version https://git-lfs.github.com/spec/v1", b'{"error":"Repository not found"}'],
)  # fmt: skip
def test_a_page_or_a_message_is_told_by_how_it_begins(head: bytes) -> None:
    with pytest.raises(FetchError, match="a page or a message in the place of the file"):
        check_head(head, wanted())


@pytest.mark.parametrize("head", [b"", b"#version: 0.2\n", b'{"a": 1}', b"\x00\x01"])
def test_files_begin_otherwise(head: bytes) -> None:
    check_head(head, wanted())
