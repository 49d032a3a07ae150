"""What --json prints: one document on stdout, whatever happens."""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from itertools import chain, islice
from typing import TYPE_CHECKING

from .last_words import has_its_document, note_document
from .streams import print_result

if TYPE_CHECKING:
    from typing import Any, Final

    from ..errors import Advice

_PIECES: Final = 4096
"""Pieces of a document that are written together: a name, a number, a comma."""


def print_document(document: dict[str, Any], code: int, done: str = "") -> int:
    """Print a document in ASCII, so that any name survives any terminal and pipe.

    The result and ``done`` are as in :func:`.print_result`.
    """
    return print_result(code, lambda: _write(document), done)


def print_error_document(
    kind: str, message: str, problems: tuple[str, ...] = (), advice: Advice | None = None
) -> None:
    """Print the document of an error, unless there is one already; its line on stderr follows.

    If it cannot be printed, that line says more than another about it.
    """
    if has_its_document():
        return
    description = {
        "type": kind,
        "message": message,
        "problems": problems,
        "option": advice.option if advice else None,
        "value": advice.value if advice else None,
    }
    with suppress(OSError):
        _write({"kind": "error", "ok": False, "findings": [], "error": description})
        sys.stdout.flush()


def _write(document: dict[str, Any]) -> None:
    # Piece by piece: the text of 16,000 tensors takes more memory than all of them.
    pieces = chain(json.JSONEncoder(indent=2, allow_nan=False).iterencode(document), ["\n"])
    while batch := "".join(islice(pieces, _PIECES)):
        sys.stdout.write(batch)
    note_document()
