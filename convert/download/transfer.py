"""One file from its address to the stage, however often the connection breaks on the way.

What has come stays. The next request asks for the rest alone (``Range: bytes=1000-``), if the file
is still what it was (``If-Range``, with the ETag or the date that the server gave it), in this run
or a later one; :mod:`.answers` says what the answer is worth. A file that changes between two
answers is fetched anew, once.

Nothing here says that the bytes are right: that is for :mod:`.content` to find, on the disk.
"""

from __future__ import annotations

import os
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from ..errors import FetchError
from . import client as http
from .answers import (
    LARGEST_UNKNOWN,
    NOT_SATISFIABLE,
    OK,
    PARTIAL,
    ChangedError,
    accept,
    ask_for_rest,
    check_head,
    holds_all,
    too_long,
)

if TYPE_CHECKING:
    from typing import Final

    from ..progress import Progress
    from .answers import Part
    from .client import Answer, Client
    from .plan import Wanted
    from .stage import Stage

_TRIES: Final = 3
"""How often in a row the connection may break before much has come."""
_MUCH: Final = 16 << 10
_LEAST: Final = 1 << 10
"""Bytes that have to come within the time of a stall."""
_CHUNK: Final = 256 << 10
_CHANGES: Final = 1


def transfer(client: Client, wanted: Wanted, stage: Stage, progress: Progress) -> bool:
    """Bring a file to the stage, whole; return whether all of it came in one answer, just now.

    Raises:
        SourceNotFoundError: the server has no such file.
        FetchError: it does not give it, breaks off time and again, or answers with nonsense.
        FormatError: what it gives cannot be the file.
    """
    origin = stage.origin(wanted.name)
    if origin is None or origin.identity != wanted.identity:
        stage.forget(wanted.name)
    furthest = stage.size(wanted.name)
    broken = changes = 0
    start: int | None = None
    while not _is_complete(wanted, stage):
        why = "it comes in too many pieces"
        try:
            start = _ask(client, wanted, stage, progress)
        except ChangedError:
            stage.forget(wanted.name)
            furthest = 0
            changes += 1
            if changes > _CHANGES:
                raise FetchError(
                    f"{wanted.address}: changed each time while it was being fetched; try again "
                    "later"
                ) from None
            continue
        except http.BrokenError as error:
            start = None
            why = str(error)
        size = stage.size(wanted.name)
        broken = 0 if size - furthest >= _MUCH else broken + 1
        furthest = max(furthest, size)
        if broken >= _TRIES and not _is_complete(wanted, stage):
            raise FetchError(f"{wanted.address}: {why}, {broken} times in a row; try again later")
        if start is None:
            time.sleep(http.BACKOFF_SECONDS * 2**broken)
    return start == 0


def read_whole(client: Client, wanted: Wanted, most: int) -> bytes:
    """Return all of a small file, which is put nowhere.

    Raises:
        SourceNotFoundError, FetchError, FormatError: as `transfer`, or it is longer than ``most``.
    """
    broken = 0
    while True:
        try:
            with client.get(wanted.address) as answer:
                if answer.status != OK:
                    raise client.refuse(answer)
                return _read_body(answer, wanted, accept(answer, wanted, 0, None), most)
        except http.BrokenError as error:
            broken += 1
            if broken >= _TRIES:
                raise FetchError(
                    f"{wanted.address}: {error}, {broken} times in a row; try again later"
                ) from None
            time.sleep(http.BACKOFF_SECONDS * 2**broken)


def _is_complete(wanted: Wanted, stage: Stage) -> bool:
    origin = stage.origin(wanted.name)
    if origin is None:
        return False
    expected = wanted.known.nbytes if origin.nbytes is None else origin.nbytes
    return expected is not None and stage.size(wanted.name) == expected


def _ask(client: Client, wanted: Wanted, stage: Stage, progress: Progress) -> int:
    """Ask for what is missing and bring it to the stage; return where it begins."""
    origin = stage.origin(wanted.name)
    size = stage.size(wanted.name)
    # A validator tells the file from another one; so will the digest, when all has come.
    if origin is None or (origin.validator is None and wanted.known.digest is None):
        size = 0
    headers = ask_for_rest(size, origin) if size and origin is not None else {}
    with client.get(wanted.address, headers) as answer:
        if answer.status == NOT_SATISFIABLE and origin is not None and size:
            if not holds_all(answer, size):
                raise ChangedError
            stage.remember(wanted.name, replace(origin, nbytes=size))
            return size
        if answer.status not in (OK, PARTIAL):
            raise client.refuse(answer)
        _receive(answer, wanted, stage, accept(answer, wanted, size, origin), progress)
    return 0 if answer.status == OK else size


def _receive(answer: Answer, wanted: Wanted, stage: Stage, part: Part, progress: Progress) -> None:
    """Write the body to the stage.

    Raises:
        BrokenError: it broke off, or comes too slowly.
        FetchError, FormatError: it is longer than it should be, or a page.
    """
    most = LARGEST_UNKNOWN if part.end is None else part.end
    piece = answer.read(_CHUNK)
    if not part.start:
        check_head(piece, wanted)
        # Only now: until it is seen what comes, the bytes of an earlier answer are worth more.
        stage.remember(wanted.name, replace(part.origin, nbytes=part.whole))
    done = since = part.start
    moment = time.monotonic()
    with stage.partial(wanted.name, part.start) as fd:
        progress(wanted.name, done, part.whole or 0)
        while piece:
            done += len(piece)
            if done > most:
                raise too_long(wanted, most)
            rest = memoryview(piece)
            while rest:
                rest = rest[os.write(fd, rest) :]
            progress(wanted.name, done, part.whole or 0)
            if (now := time.monotonic()) - moment > http.STALL_SECONDS:
                if done - since < _LEAST and done != part.end:
                    raise http.BrokenError(f"stalled: {done - since} bytes in {now - moment:.0f} s")
                moment, since = now, done
            piece = answer.read(_CHUNK)
    if part.end is None:
        stage.remember(wanted.name, replace(part.origin, nbytes=done))
    elif done < part.end:
        raise http.BrokenError(f"ended after {done:,} of {part.end:,} bytes")


def _read_body(answer: Answer, wanted: Wanted, part: Part, most: int) -> bytes:
    pieces: list[bytes] = []
    size = 0
    while piece := answer.read(_CHUNK):
        pieces.append(piece)
        size += len(piece)
        if size > (most if part.end is None else min(most, part.end)):
            raise too_long(wanted, most)
    if part.end is not None and size < part.end:
        raise http.BrokenError(f"ended after {size:,} of {part.end:,} bytes")
    body = b"".join(pieces)
    check_head(body, wanted)
    return body
