"""Parts of a tokenizer.json that the tokenizers library takes and cannot apply.

Each of these ends in a panic when it is read or when the first text comes, and a character map of a
wrong length in the end of the process, because memory of that length is asked for.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from ..errors import FormatError
from ..io.strict_json import describe

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Final

_SIZE: Final = 4
"""Bytes of the number in front of a character map's table, and of each entry of it."""


def check_components(part: object, where: str) -> None:
    """Look at a normalizer, pre-tokenizer or decoder, and at those that it is made of.

    Raises:
        FormatError: the library cannot apply one of them.
    """
    if isinstance(part, list):
        for each in part:
            check_components(each, where)
    elif isinstance(part, dict):
        check = _CHECKS.get(str(part.get("type")))
        if check is not None and (reason := check(part)):
            raise FormatError(f"{where}: {part['type']}: {reason}")
        check_components([each for each in part.values() if isinstance(each, dict | list)], where)


def _check_charsmap(part: Mapping[str, object]) -> str | None:
    """See that a SentencePiece map has the table that it says, and texts after it.

    Layout: the table's size in bytes (uint32, little endian), the table, and texts with a zero byte
    after each.
    """
    try:
        data = base64.b64decode(str(part.get("precompiled_charsmap")), validate=True)
        size = int.from_bytes(data[:_SIZE], "little")
        data[_SIZE + size :].decode()
    except ValueError as error:
        return f"no character map: {error}"
    if not size or size % _SIZE or _SIZE + size > len(data):
        return f"the character map has {len(data):,} bytes and a table of {size:,}"
    return None


def _check_strip(part: Mapping[str, object]) -> str | None:
    # As a normalizer it has other fields.
    return "it cannot take characters from the end of an empty text" if part.get("stop") else None


def _check_length(part: Mapping[str, object]) -> str | None:
    return None if part.get("length") else "a length of at least 1 expected"


def _check_prepended(part: Mapping[str, object]) -> str | None:
    return None if part.get("prepend") else "a text to prepend expected"


def _check_pattern(part: Mapping[str, object]) -> str | None:
    pattern = part.get("pattern")
    if isinstance(pattern, dict) and "" in pattern.values():
        return f"a pattern expected, found {describe('')}"
    return None


_CHECKS: Final[dict[str, Callable[[Mapping[str, object]], str | None]]] = {
    "FixedLength": _check_length,
    "Precompiled": _check_charsmap,
    "Prepend": _check_prepended,
    "Replace": _check_pattern,
    "Strip": _check_strip,
}
"""What is wrong with a component of that type, in a clause; None if nothing is seen."""
