"""JSON as RFC 8259 has it, where Python's own parser is more generous.

Refused on top of what ``json`` refuses: a key that stands twice, ``NaN`` and ``Infinity``, other
encodings than UTF-8, half surrogate pairs. A whole number beyond 64 bits and ``-0`` become floats,
as in most other parsers, so that a check for ``int`` refuses them too.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from ..errors import FormatError
from ..quoting import clip, quote

if TYPE_CHECKING:
    from typing import Final

_DIGITS: Final = 20
"""Digits of 2**64; Python's int() takes time with the square of their number."""


def parse_object(text: bytes, place: str) -> dict[str, object]:
    """Parse a JSON object.

    Raises:
        FormatError: it is not JSON, not an object, or has one of the oddities above.
    """
    try:
        value = json.loads(
            text.decode("utf-8"),
            object_pairs_hook=_build_object,
            parse_int=_parse_whole,
            parse_constant=_refuse_constant,
        )
    except RecursionError:
        raise FormatError(f"{place}: JSON nested too deeply") from None
    except ValueError as error:  # UnicodeDecodeError and JSONDecodeError among them
        raise FormatError(f"{place}: not valid JSON: {error}") from None
    if not isinstance(value, dict):
        raise FormatError(f"{place}: a JSON object expected, found {describe(value)}")
    return value


def describe(value: object) -> str:
    """Return a JSON value for a message, on one line and never long."""
    if isinstance(value, list | dict):
        kind = "an array" if isinstance(value, list) else "an object"
        return f"{kind} of {len(value):,}"
    return quote(value) if isinstance(value, str) else clip(repr(value))


def _build_object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    fields: dict[str, object] = {}
    for key, value in pairs:
        if key in fields:
            raise ValueError(f"the key {describe(key)} stands twice")
        _refuse_half_pairs(key)
        if isinstance(value, str):
            _refuse_half_pairs(value)
        fields[key] = value
    return fields


def _refuse_half_pairs(text: str) -> None:
    if not text.isascii() and any("\ud800" <= char <= "\udfff" for char in text):
        raise ValueError(f"half a surrogate pair in {describe(text)}")


def _parse_whole(digits: str) -> int | float:
    if len(digits) > _DIGITS or digits == "-0":
        return float(digits)
    return int(digits)


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is not a JSON number")
