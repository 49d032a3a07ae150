"""JSON of untrusted origin, where Python's own parser is more generous than is safe.

Refused in every text: a key that stands twice, whole numbers of so many digits that ``int`` would
take seconds, and more than MAX_DEPTH levels of nesting, which would exhaust the stack later on.

:func:`parse_object` is for what a format prescribes, such as a header. It follows RFC 8259 to the
letter: UTF-8, neither ``NaN`` nor ``Infinity``, no half surrogate pairs; a whole number beyond 64
bits and ``-0`` become floats, as in most other parsers, so that a check for ``int`` refuses them
too. :func:`parse_config` is for what Python programs write and this one carries on unchanged.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import TYPE_CHECKING

from ..errors import FormatError
from ..quoting import clip, quote

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final

    Number = Callable[[str], object]
    Check = Callable[[dict[str, object]], None]

MAX_DEPTH: Final = 64
"""Objects within objects: a header has three, config.json two or three."""
_MAX_DIGITS: Final = 100
"""Of a whole number in a configuration: ``int`` takes time with the square of their number."""
_DIGITS_OF_64_BITS: Final = 20
_HALF_PAIR: Final = re.compile(rb"\\u[dD][89a-fA-F]")
"""The escape of a surrogate, of which two make a pair."""


def parse_object(text: bytes, place: str) -> dict[str, object]:
    """Parse a JSON object as RFC 8259 has it.

    Raises:
        FormatError: it is not JSON, not an object, or has one of the oddities above.
    """
    try:
        # UTF-8 has no half pairs: one would have to be an escape.
        check = _refuse_half_pairs if _HALF_PAIR.search(text) else _accept
        value = _load(text.decode("utf-8"), _parse_whole, _refuse_constant, check)
    except RecursionError:
        raise FormatError(f"{place}: JSON nested too deeply") from None
    except ValueError as error:  # UnicodeDecodeError and JSONDecodeError among them
        raise FormatError(f"{place}: not valid JSON: {error}") from None
    if not isinstance(value, dict):
        raise FormatError(f"{place}: a JSON object expected, found {describe(value)}")
    return value


def parse_config(text: bytes, place: str) -> dict[str, object]:
    """Parse a JSON object as Python's ``json`` writes and reads it, ``Infinity`` included.

    Raises:
        FormatError: it is not JSON, not an object, says a key twice, or is too deep.
    """
    try:
        encoding = json.detect_encoding(text)
        value = _load(text.decode(encoding, "surrogatepass"), _parse_bounded, float, _accept)
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else error
        start = text[:40].decode("utf-8", "replace")
        raise FormatError(
            f"{place}: not JSON ({reason}); it starts with {start!r}; "
            "mend it, or remove it to take the sizes from the tensors"
        ) from None
    if not isinstance(value, dict):
        raise FormatError(f"{place}: a JSON object expected, found {type(value).__name__}")
    return value


def describe(value: object) -> str:
    """Return a JSON value for a message, on one line and never long."""
    if isinstance(value, list | dict):
        kind = "an array" if isinstance(value, list) else "an object"
        return f"{kind} of {len(value):,}"
    return quote(value) if isinstance(value, str) else clip(repr(value))


def _load(text: str, whole: Number, constant: Number, check: Check) -> object:
    """Parse ``text``; ``whole`` and ``constant`` make numbers of words, ``check`` sees each object.

    Raises:
        ValueError: it is not JSON, or a callback refuses something.
        RecursionError: it is nested too deeply.
    """

    def build(pairs: list[tuple[str, object]]) -> dict[str, object]:
        fields = dict(pairs)
        if len(fields) < len(pairs):
            twice, _ = Counter(key for key, _ in pairs).most_common(1)[0]
            raise ValueError(f"the key {describe(twice)} stands twice")
        check(fields)
        return fields

    value: object = json.loads(
        text, object_pairs_hook=build, parse_int=whole, parse_constant=constant
    )
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        level = [
            child
            for node in level
            if isinstance(node, dict | list)
            for child in (node.values() if isinstance(node, dict) else node)
        ]
    if level:
        raise RecursionError
    return value


def _parse_whole(digits: str) -> int | float:
    if len(digits) > _DIGITS_OF_64_BITS or digits == "-0":
        return float(digits)
    return int(digits)


def _parse_bounded(digits: str) -> int:
    if len(digits) > _MAX_DIGITS:
        raise ValueError(f"a number of {len(digits):,} digits")
    return int(digits)


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is not a JSON number")


def _refuse_half_pairs(fields: dict[str, object]) -> None:
    for text in (*fields, *(value for value in fields.values() if isinstance(value, str))):
        if not text.isascii() and any("\ud800" <= char <= "\udfff" for char in text):
            raise ValueError(f"half a surrogate pair in {describe(text)}")


def _accept(fields: dict[str, object]) -> None:
    pass
