"""The prompt of a command line: a text or ids, given or read from stdin."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from ..errors import UnreadableError, UsageError
from ..quoting import os_reason, quote

if TYPE_CHECKING:
    from typing import Final

STDIN: Final = "-"
_MOST: Final = 16 << 20
"""Bytes of a prompt: far more than any context has room for."""


def read_prompt(prompt: str) -> str:
    """Return the prompt; STDIN stands for what is read from there, less a newline at its end.

    Raises:
        UsageError: stdin is closed, no UTF-8, or too long for any model.
        UnreadableError: it cannot be read.
    """
    if prompt != STDIN:
        return prompt
    if sys.stdin is None:
        raise UsageError("stdin is closed, and the prompt was to come from there")
    try:
        data = sys.stdin.buffer.read(_MOST + 1)
    except OSError as error:
        raise UnreadableError(f"stdin: {os_reason(error)}") from None
    if len(data) > _MOST:
        raise UsageError(f"stdin: more than {_MOST:,} bytes are no prompt")
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise UsageError(
            f"stdin: no UTF-8 text: byte {data[error.start]:#04x} at {error.start:,}"
        ) from None
    # Editors, and echo, put one there that nobody has in mind.
    return text.removesuffix("\n")


def parse_ids(text: str) -> list[int]:
    """Return the ids in a text, where they stand with spaces between them.

    Raises:
        UsageError: something else stands there.
    """
    words = text.split()
    for word in words:
        # int() takes signs, underscores and the digits of all scripts.
        if not (word.isascii() and word.isdigit() and len(word) < 19):
            raise UsageError(f"the prompt: an id is a whole number, found {quote(word)}")
    return [int(word) for word in words]
