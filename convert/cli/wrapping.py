"""Lines of a report, broken where a terminal ends, in columns of their own.

Two spaces and more part columns, which go to the next line whole if they fit there. What follows a
line stands below its second column, if that follows a label, so that labels stay alone at the left.
A word is never broken: a path, or a digest, is to be copied whole.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Final

    Styled = tuple[str, str]
    """A text and its style."""

_LABEL: Final = re.compile(r"  (?:\S(?: ?\S)*)? +(?=\S)")
_WIDEST_LABEL: Final = 16
_INDENT: Final = 4
"""Columns by which what follows stands further right, where there is no label."""
_COLUMN: Final = re.compile(r"\S+(?: \S+)*")
_WORD: Final = re.compile(r"\S+")


def wrap(parts: Sequence[Styled], width: int) -> Iterator[list[Styled]]:
    """Yield the lines of ``width`` columns that a line of styled parts becomes."""
    text = "".join(part for part, _ in parts).rstrip()
    if measure(text) <= width:
        yield _cut(parts, 0, len(text))
        return
    for indent, start, end in _break(text, width):
        yield [(" " * indent, ""), *_cut(parts, start, end)]


def measure(text: str) -> int:
    """Return how many columns a terminal takes for a text."""
    if text.isascii():
        return len(text)
    wide = sum(unicodedata.east_asian_width(char) in "WF" for char in text)
    return len(text) + wide - sum(unicodedata.combining(char) > 0 for char in text)


def _find_indent(text: str, width: int) -> int:
    """Return the columns before what follows the first line."""
    label = _LABEL.match(text[: _WIDEST_LABEL + 1])  # a text may have megabytes
    if label and label.end() <= width // 2:
        return label.end()
    spaces = len(text) - len(text.lstrip())
    return min(spaces if spaces > 2 else _INDENT, width // 2)


def _break(text: str, width: int) -> Iterator[tuple[int, int, int]]:
    """Yield the spaces before each line, and where it begins and ends in ``text``."""
    following = _find_indent(text, width)
    indent = start = end = 0
    for column in _COLUMN.finditer(text):
        pieces = [column.span()]
        if measure(column[0]) > width - following:  # it has no line of its own, either
            pieces = [word.span() for word in _WORD.finditer(text, *column.span())]
        for first, last in pieces:
            if first > start and indent + measure(text[start:last]) > width:
                if end > start:
                    yield indent, start, end
                # A word that is longer stands further left, and if need be at the edge.
                longest = max(0, width - measure(text[first:last]))
                indent = next((each for each in (following, _INDENT) if each <= longest), 0)
                start = first
            end = last
    yield indent, start, end


def _cut(parts: Sequence[Styled], start: int, end: int) -> list[Styled]:
    """Return what of the parts stands between two places."""
    cut: list[Styled] = []
    for text, style in parts:
        if piece := text[max(start, 0) : max(end, 0)]:
            cut.append((piece, style))
        start, end = start - len(text), end - len(text)
    return cut
