"""Byte-level spelling: every byte of a text is one visible character of a token.

So the space is "Ġ", and a token may end inside a character. The bytes ``!`` to ``~``, 0xA1 to 0xAC
and 0xAE to 0xFF are the characters of the same number; the 68 others, in their order, are the
characters from U+0100 on. Source of the spelling: bytes_to_unicode in OpenAI's src/encoder.py.
"""

from __future__ import annotations

from itertools import chain, count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final

_VISIBLE: Final = frozenset(chain(range(0x21, 0x7F), range(0xA1, 0xAD), range(0xAE, 0x100)))
_others = count(0x100)
SPELLED: Final = tuple(chr(byte if byte in _VISIBLE else next(_others)) for byte in range(0x100))
"""The character of each byte."""
_BYTES: Final = {char: byte for byte, char in enumerate(SPELLED)}


def read_bytes(token: str) -> bytes:
    """Return the bytes that a token stands for.

    Tokens that were added to a vocabulary are spelled as they are: one with a character that is no
    byte's is its own UTF-8, as in the tokenizers library.
    """
    try:
        return bytes([_BYTES[char] for char in token])
    except KeyError:
        return token.encode()


def find_missing(text: str, known: Callable[[str], bool]) -> str | None:
    """Return what to say of the first byte of ``text`` whose character is not ``known``."""
    for char in dict.fromkeys(text):
        for byte in char.encode():
            if not known(SPELLED[byte]):
                of = "" if char.isascii() else f", a part of {char!r}"
                return f"the byte 0x{byte:02X} ({SPELLED[byte]!r}){of}"
    return None
