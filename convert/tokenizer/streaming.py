"""The text of tokens as they come, each piece as soon as what follows cannot change it.

Joined, the pieces are the text of all tokens at once. A token may end inside a character, whose
rest then comes with the next; one that never ends becomes U+FFFD.
"""

from __future__ import annotations

import codecs
import re
from typing import TYPE_CHECKING

from .byte_level import read_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Final

_BYTE: Final = re.compile(r"<0x[0-9A-F]{2}>")
"""A token for a byte, as SentencePiece has them; the library decodes a row of them together."""


def decode_bytes(tokens: Iterable[str]) -> Iterator[str]:
    """Yield the text of byte-level tokens."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    for token in tokens:
        if text := decoder.decode(read_bytes(token)):
            yield text
    if rest := decoder.decode(b"", final=True):
        yield rest


def decode_windows(
    tokens: Iterable[tuple[int, str]], decode: Callable[[list[int]], str]
) -> Iterator[str]:
    """Yield the text of tokens of any kind, given with their ids; ``decode`` has that of a row.

    A piece is what a token adds to the text of those just before it: what stands between words
    depends on the neighbours alone. Where a text ends with U+FFFD or with a token for a byte, the
    next may still change it.
    """
    window: list[int] = []
    told, known = "", 0
    for number, token in tokens:
        window.append(number)
        text = decode(window)
        if len(text) > len(told) and not text.endswith("\ufffd") and not _BYTE.fullmatch(token):
            yield text[len(told) :]
            window = window[known:]
            told, known = decode(window), len(window)
    if rest := decode(window)[len(told) :]:
        yield rest
