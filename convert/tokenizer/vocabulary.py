"""A vocabulary and its merges, as two files have them.

The vocabulary is a JSON object of tokens and their ids, each once, in any order and with holes.
The merges are lines of two tokens with a space between, the most important first; a first line
``#version: ...`` is none, and blank lines are none. Both parts of a merge and what they make have
to be tokens.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import FormatError
from ..formats.companion_kinds import MAX_VOCABULARY
from ..formats.foreign import explain_page
from ..io.source import read_small
from ..io.strict_json import describe, parse_object
from ..quoting import quote

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path
    from typing import Final

    Merge = tuple[str, str]

MAX_ID: Final = (1 << 24) - 1
"""The tokenizers library takes memory for each id up to the largest: four bytes, 64 MB at most."""
_MAX_ENTRIES: Final = 1 << 20
"""Tokens or merges, of which each takes hundreds of bytes: ten times what any GPT-2 has."""


def read_text(path: Path, limit: int = MAX_VOCABULARY, separator: bytes = b",") -> bytes:
    """Return all of a tokenizer's file, of whose entries the ``separator`` stands between two.

    Raises:
        SourceNotFoundError, UnreadableError: it cannot be read.
        FormatError: it is empty or larger than ``limit`` bytes, has too many entries, or is what a
            download left in its place.
    """
    text = read_small(path, limit)
    if not text.strip():
        raise FormatError(f"{path}: an empty file; fetch it again")
    if page := explain_page(text[:1024]):
        raise FormatError(f"{path}: {page}")
    if (count := text.count(separator)) > _MAX_ENTRIES:
        raise FormatError(f"{path}: {count:,} entries, where at most {_MAX_ENTRIES:,} make sense")
    return text


def read_vocabulary(path: Path) -> dict[str, int]:
    """Return the id of each token, in the file's order.

    Raises:
        SourceNotFoundError, UnreadableError: it cannot be read.
        FormatError: it is no vocabulary.
    """
    return check_vocabulary(parse_object(read_text(path), str(path)), str(path))


def check_vocabulary(fields: Mapping[str, object], where: str) -> dict[str, int]:
    """Return ``fields`` as the vocabulary that they are; ``where`` is for the error.

    Raises:
        FormatError: there is none, a value is no id, or an id stands twice.
    """
    vocabulary = {token: number for token, number in fields.items() if type(number) is int}
    if not fields:
        raise FormatError(f"{where}: a vocabulary without tokens; fetch it again")
    for token, number in fields.items():
        if token not in vocabulary or not 0 <= vocabulary[token] <= MAX_ID:
            raise FormatError(
                f"{where}: the id of {quote(token)}: a whole number from 0 to {MAX_ID:,} "
                f"expected, found {describe(number)}"
            )
    tokens = {number: token for token, number in vocabulary.items()}
    if len(tokens) < len(vocabulary):
        token, number = next(
            (token, number) for token, number in vocabulary.items() if tokens[number] != token
        )
        raise FormatError(
            f"{where}: two tokens have the id {number:,}: {quote(token)} and "
            f"{quote(tokens[number])}"
        )
    return vocabulary


def read_merges(path: Path) -> list[Merge]:
    """Return the merges, the most important first.

    Raises:
        SourceNotFoundError, UnreadableError: it cannot be read.
        FormatError: a line is no merge.
    """
    try:
        lines = read_text(path, separator=b"\n").decode("utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise FormatError(f"{path}: no text in UTF-8: {error.reason}") from None
    if lines[0].startswith("#version"):
        lines[0] = ""
    merges: list[Merge] = []
    for number, line in enumerate(lines, 1):
        first, _, second = line.removesuffix("\r").partition(" ")
        if first and second and " " not in second:
            merges.append((first, second))
        elif line.strip(" \r"):
            raise FormatError(
                f"{path}: line {number:,}: two tokens with a space between expected, found "
                f"{quote(line)}"
            )
    return merges


def check_merges(
    merges: Iterable[Merge], vocabulary: Mapping[str, object], where: str, prefix: str = ""
) -> None:
    """See that each merge is of tokens and makes one; ``prefix`` is what the second loses in it.

    For some of those that do not, the library has only a panic.

    Raises:
        FormatError: one does not.
    """
    cut = len(prefix)
    for number, (first, second) in enumerate(merges, 1):
        made = first + second[cut:]
        if not (first in vocabulary and second in vocabulary and made in vocabulary):
            unknown = next(token for token in (first, second, made) if token not in vocabulary)
            reason = f"{quote(unknown)} is no token of the vocabulary"
        elif not second.startswith(prefix):
            reason = f"the second does not begin with {quote(prefix)}"
        else:
            continue
        raise FormatError(f"{where}: merge {number:,}, {quote(first)} {quote(second)}: {reason}")
