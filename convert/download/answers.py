"""What an answer to a request for a file is worth, before a byte of it is kept.

An answer is believed no further than it can be checked (RFC 9110, sections 13 and 14): 206 has to
begin where the bytes end that have come, and to be of the same whole; 200 is the whole again. What
is compressed, or is a page, is not the file.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import FetchError, FormatError
from ..formats.foreign import explain_page
from ..quoting import clip
from .stage import Origin

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Final

    from .client import Answer
    from .plan import Wanted

OK: Final = 200
PARTIAL: Final = 206
NOT_SATISFIABLE: Final = 416
COMMIT: Final = "X-Repo-Commit"
"""The header in which the Hugging Face Hub says of which commit a file is."""
LARGEST_UNKNOWN: Final = 64 << 20
"""Bytes of a file whose size is stated nowhere; it can be no file of weights."""
_PAGES: Final = ("text/html", "application/xhtml+xml", "application/xml", "text/xml")
_HEAD: Final = 1024
_RANGE: Final = re.compile(r"bytes (?:(\d{1,18})-(\d{1,18})|\*)/(\d{1,18}|\*)")


class ChangedError(Exception):
    """The file is another one than that of which a part has come."""


@dataclass(frozen=True, slots=True)
class Part:
    """The bytes that an answer brings: from ``start`` to ``end`` of ``whole``; None if not stated.

    ``origin`` is what to remember of where they are from.
    """

    start: int
    end: int | None
    whole: int | None
    origin: Origin


def ask_for_rest(size: int, origin: Origin) -> dict[str, str]:
    """Return the headers that ask for what comes behind the first ``size`` bytes."""
    headers = {"Range": f"bytes={size}-"}
    if origin.validator is not None:
        headers["If-Range"] = origin.validator
    return headers


def accept(answer: Answer, wanted: Wanted, size: int, origin: Origin | None) -> Part:
    """Return what an answer of 200 or 206 brings, where ``size`` bytes have come from ``origin``.

    Raises:
        ChangedError: a part of another file, or not the part that was asked for.
        FetchError, FormatError: it cannot be the file.
    """
    _check_commit(answer, wanted)
    _check_kind(answer, wanted)
    if answer.status == PARTIAL:
        return _accept_part(answer, wanted, size, origin)
    known, whole = wanted.known.nbytes, answer.length
    if whole is not None and known not in (None, whole):
        raise FormatError(
            f"{wanted.address}: has {whole:,} bytes, where {known:,} are expected; check the "
            "address"
        )
    whole = known if whole is None else whole
    validator = _find_validator(answer.headers)
    return Part(0, whole, whole, Origin(wanted.identity, validator, whole))


def holds_all(answer: Answer, size: int) -> bool:
    """Whether an answer of 416 says that these many bytes are all that there are."""
    return _parse_range(answer)[2] == size


def check_head(head: bytes, wanted: Wanted) -> None:
    """Refuse a body that begins as a page or another answer does.

    Raises:
        FetchError: it does.
    """
    if explain_page(head[:_HEAD], strict=wanted.binary) is not None:
        raise _page(wanted)


def too_long(wanted: Wanted, most: int) -> FormatError:
    """Return the error for a file that does not end where it should."""
    return FormatError(
        f"{wanted.address}: longer than the {most:,} bytes that it may have; check the address"
    )


def _accept_part(answer: Answer, wanted: Wanted, size: int, origin: Origin | None) -> Part:
    if not size or origin is None:
        raise FetchError(
            f"{wanted.address}: answered with a part, where the whole was asked for; check the "
            "address and the proxy"
        )
    first, last, stated = _parse_range(answer)
    if first != size or last is None or last < first or not _is_of(origin, answer.headers):
        raise ChangedError
    sizes = {stated, origin.nbytes, wanted.known.nbytes} - {None}
    whole = sizes.pop() if sizes else None
    if sizes or (whole is not None and last >= whole):
        raise ChangedError
    if answer.length not in (None, last + 1 - first):
        raise ChangedError
    return Part(size, last + 1, whole, origin)


def _is_of(origin: Origin, headers: Mapping[str, str]) -> bool:
    """Whether an answer is from where the earlier bytes are, as far as it says."""
    if origin.validator is None:
        return True
    key = "ETag" if origin.validator.startswith('"') else "Last-Modified"
    return headers.get(key, origin.validator).strip() == origin.validator


def _check_commit(answer: Answer, wanted: Wanted) -> None:
    for step in answer.steps:
        if step.headers.get(COMMIT, wanted.commit) != wanted.commit and wanted.commit:
            raise FetchError(
                f"{wanted.address}: is of another commit than was asked for, "
                f"{clip(step.headers[COMMIT])}; check the address"
            )


def _check_kind(answer: Answer, wanted: Wanted) -> None:
    encoding = answer.headers.get("Content-Encoding", "").strip().lower()
    if encoding not in ("", "identity"):
        raise FetchError(
            f"{wanted.address}: compressed as {clip(encoding)!r} on the way, which was not asked "
            "for; check the address and the proxy"
        )
    kind = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind in _PAGES:
        raise _page(wanted)


def _page(wanted: Wanted) -> FetchError:
    return FetchError(
        f"{wanted.address}: answered with a page or a message in the place of the file; check the "
        "address and the proxy, or open it in a browser to read what it says"
    )


def _parse_range(answer: Answer) -> tuple[int | None, int | None, int | None]:
    """Return the first and last byte and the size of the whole of Content-Range."""
    parts = _RANGE.fullmatch(answer.headers.get("Content-Range", "").strip())
    if parts is None:
        return None, None, None
    first, last, whole = (
        int(part) if part is not None and part != "*" else None for part in parts.groups()
    )
    return first, last, whole


def _find_validator(headers: Mapping[str, str]) -> str | None:
    """Return what If-Range takes: a strong ETag, or else the date of the last change."""
    tag = headers.get("ETag", "").strip()
    if len(tag) > 1 and tag.startswith('"') and tag.endswith('"') and _is_plain(tag):
        return tag
    date = headers.get("Last-Modified", "").strip()
    return date if date and _is_plain(date) else None


def _is_plain(text: str) -> bool:
    return text.isascii() and text.isprintable()
