"""JSON looked at without being built: whatever its size, memory stays that of the text.

Python's own parser makes objects of everything, twenty times the text at worst. Here one regular
expression finds the tokens (RFC 8259), and a stack of brackets says which may come next. That takes
half a microsecond a token, and a byte can be one, so there is an allowance of them.
"""

from __future__ import annotations

import json
import re
import sys
from typing import TYPE_CHECKING

from ..errors import FormatError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Final

_STRING: Final = rb'"(?:[^"\\\x00-\x1f]|\\["\\/bfnrtu])*"'
_SPACE: Final = rb"[ \t\n\r]*"
_TOKEN: Final = re.compile(
    _SPACE
    + rb"(?:(?P<text>"
    + _STRING
    + rb")|(?P<other>-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null|NaN|-?Infinity)"
    + rb"|(?P<mark>[\[\]{}:,]))"
)
_PAIR: Final = re.compile(
    _SPACE + b"(" + _STRING + b")" + _SPACE + rb":" + _SPACE + rb"(\d{1,10})" + _SPACE + b"([,}])"
)
_BLANK: Final = re.compile(_SPACE)
_MAX_DEPTH: Final = 1000
MAX_TOKENS: Final = 1_500_000
"""Of all texts of an allowance. The tokenizer of OpenAI's GPT-2 has 300,000."""


class Allowance:
    """How many tokens are still looked at, in all the texts that share it."""

    __slots__ = ("tokens",)

    def __init__(self, tokens: int = MAX_TOKENS) -> None:
        self.tokens = tokens


def check_json(text: bytes, place: str, allowance: Allowance | None = None) -> None:
    """See whether ``text`` is JSON of any kind, as Python's programs write it.

    What comes after the last token of the allowance may be anything.

    Raises:
        FormatError: it is not.
    """
    left = sys.maxsize if allowance is None else allowance.tokens
    left = _check(text, place, left)
    if allowance is not None:
        allowance.tokens = left


def _check(text: bytes, place: str, left: int) -> int:
    """Do so for as many tokens as are ``left``, and return how many then are."""
    stack = bytearray()
    # What may come: a value, a key, what follows a key, or what follows a value.
    expected, first = "value", False
    at = 0
    while expected != "end":
        if not left:
            return 0
        left -= 1
        token = _TOKEN.match(text, at)
        if token is None:
            raise _error(text, at, place)
        at = token.end()
        mark = token["mark"]
        if expected == "colon":
            sound = mark == b":"
            expected, first = "value", False
        elif expected == "value" and mark in (b"{", b"["):
            stack += mark
            sound = len(stack) <= _MAX_DEPTH
            expected, first = ("key" if mark == b"{" else "value"), True
        elif expected == "key" and token["text"] is not None:
            sound = True
            expected = "colon"
        elif expected == "value" and mark is None:
            sound = True
            expected = "more" if stack else "end"
        elif mark in (b"}", b"]") and (expected == "more" or first):
            sound = bool(stack) and bytes([stack.pop()]) == (b"{" if mark == b"}" else b"[")
            expected, first = ("more" if stack else "end"), False
        else:
            sound = expected == "more" and mark == b","
            expected, first = ("key" if stack[-1:] == b"{" else "value"), False
        if not sound:
            raise _error(text, token.start(), place)
    if _BLANK.fullmatch(text, at) is None:
        raise _error(text, at, place)
    return left


def scan_numbers(text: bytes, place: str) -> Iterator[tuple[bytes, int]]:
    """Yield each key and number of an object that holds nothing else; keys as JSON spells them.

    Raises:
        FormatError: it is something else.
    """
    opening = re.compile(_SPACE + rb"\{" + _SPACE).match(text)
    if opening is None:
        raise FormatError(f"{place}: a JSON object expected")
    at = opening.end()
    more = b","
    if text[at : at + 1] == b"}":
        at, more = at + 1, b"}"
    pairs = _PAIR.finditer(text, at)
    while more == b",":
        pair = next(pairs, None)
        if pair is None or pair.start() != at:
            raise FormatError(
                f"{place}: at byte {at:,}: a token and its number expected, found "
                f"{text[at : at + 40]!r}"
            )
        at = pair.end()
        key, number, more = pair.groups()
        yield key, int(number)
    if _BLANK.fullmatch(text, at) is None:
        raise _error(text, at, place)


def spell_key(key: bytes) -> str:
    """Return a key as a text."""
    if b"\\" not in key:
        return key[1:-1].decode("utf-8", "surrogatepass")
    text: str = json.loads(key)
    return text


def _error(text: bytes, at: int, place: str) -> FormatError:
    return FormatError(f"{place}: not JSON at byte {at:,}: {text[at : at + 40]!r}; fetch it again")
