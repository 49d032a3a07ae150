"""Objects in one line, however much they hold: arrays as dtype and shape, of the rest the names.

What is inside of what is inside is named and not described, so a line stays one that can be read.
"""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING

from ..quoting import make_printable, quote

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any, Final

    from _typeshed import DataclassInstance

_MOST: Final = 400
"""Characters of what is listed."""


def show_text(text: str, most: int = 200) -> str:
    """Return what a file says on one line without quotes, and of it ``most`` characters.

    Whatever is not printable is escaped: control characters, half surrogate pairs, and those that
    turn the direction of what follows.
    """
    return make_printable(text if len(text) <= most else f"{text[: most - 3]}...")


def count(number: int, what: str) -> str:
    """Return a number of things: ``1 tensor``, ``148 tensors``."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def describe_mapping(mapping: Mapping[Any, Any]) -> str:
    """Return a dict in one line."""
    return f"{{{_join(f'{_name(key)}: {_describe(value)}' for key, value in mapping.items())}}}"


def describe_sequence(sequence: Sequence[Any]) -> str:
    """Return a list in one line, in which the first stands for the others."""
    return f"[{len(sequence):,} of {_describe(sequence[0])}]" if sequence else "[]"


def describe_fields(instance: DataclassInstance) -> str:
    """Return a dataclass in one line, as its fields."""
    values = ((each.name, getattr(instance, each.name)) for each in fields(instance))
    listed = _join(f"{name}={_describe(value)}" for name, value in values)
    return f"{type(instance).__name__}({listed})"


def _describe(value: object) -> str:
    """Return what a value is, and only the names of what is in it."""
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    if isinstance(shape, tuple) and dtype is not None:
        return f"{show_text(str(dtype))} {show_text(str(shape))}"
    if isinstance(value, dict):
        return _keys(value)
    if isinstance(value, list | tuple):
        if not value:
            return "[]"
        first = value[0]
        kind = _keys(first) if isinstance(first, dict) else type(first).__name__
        return f"[{len(value):,} of {kind}]"
    if is_dataclass(value) and not isinstance(value, type):
        names = [each.name for each in fields(value)]
        if not all(isinstance(getattr(value, name), int | None) for name in names):
            return f"{type(value).__name__}({_join(names)})"
    return show_text(repr(value))


def _keys(mapping: Mapping[Any, Any]) -> str:
    return f"{{{_join(map(_name, mapping))}}}"


def _name(key: object) -> str:
    return quote(key) if isinstance(key, str) else show_text(repr(key))


def _join(texts: Iterable[str]) -> str:
    """Return texts with commas, as many as stay readable in a line."""
    listed: list[str] = []
    room = _MOST
    for text in texts:
        room -= len(text) + 2
        if listed and room < 0:
            return f"{', '.join(listed)}, ..."
        listed.append(text)
    return ", ".join(listed)
