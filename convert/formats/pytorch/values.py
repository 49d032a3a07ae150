"""What a pickle holds, as it is held here: containers that count, and names that stay names.

None, bool, int, float, str and bytes are Python's own. Everything else is one of these classes, so
that nothing has a behaviour that a pickle could choose, and nothing is ever hashed or compared.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from ...quoting import clip, quote

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Final

    from ...tensors.dtype import DType

_MOST_TENSORS: Final = 1 << 30
"""Where counting ends: a few containers that hold each other many times hold a multitude."""


class Kind(StrEnum):
    """Which container it is, in the words of a message."""

    TUPLE = "tuple"
    LIST = "list"
    DICT = "dict"
    SET = "set"
    OBJECT = "object"


class Node(list[object]):
    """A container: its items, how deep it goes, and how many tensors are in it.

    A dict has its keys and values by turns. An object has the ``name`` of its class, and what it
    was made of. The two counts are those of the moment at which an item
    was added: one that grows later is not counted again.
    """

    __slots__ = ("depth", "kind", "name", "tensors")

    def __init__(self, kind: Kind, items: Sequence[object] = ()) -> None:
        self.kind = kind
        self.name = ""
        self.depth = 1
        self.tensors = 0
        if items:
            self.add(items)

    def add(self, items: Sequence[object]) -> None:
        """Put items at the end."""
        for item in items:
            if isinstance(item, Node):
                self.depth = max(self.depth, item.depth + 1)
                self.tensors = min(self.tensors + item.tensors, _MOST_TENSORS)
            elif isinstance(item, Tensor):
                self.tensors += 1
        self.extend(items)

    def pairs(self) -> Iterator[tuple[object, object]]:
        """Yield the keys of a dict with their values, in its order."""
        return zip(self[::2], self[1::2], strict=True)


@dataclass(frozen=True, slots=True)
class Name:
    """The name of something of Python's, such as ``torch.FloatStorage``; it is never looked up."""

    full: str


@dataclass(frozen=True, slots=True)
class Storage:
    """A run of numbers that tensors are views of: ``numel`` of them, kept under ``key``.

    The first is the number ``start`` of what the file has under that key.
    """

    key: str
    dtype: DType
    numel: int
    start: int = 0


@dataclass(frozen=True, slots=True)
class Tensor:
    """A view of a storage: where it begins, its shape and its strides, all in elements.

    ``dtype`` may be another than the storage's, which is then one of bytes. All of it lies within
    the storage.
    """

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: DType

    @property
    def size(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)


def describe(value: object) -> str:
    """Return what a value is, for a message: never long, and of the inside nothing is shown."""
    if isinstance(value, Node):
        return f"an object of {value.name}" if value.name else f"a {value.kind}"
    if isinstance(value, Name):
        return f"the name {clip(repr(value.full))}"
    if isinstance(value, Storage | Tensor):
        return f"a {type(value).__name__.lower()}"
    return clip(repr(value)) if not isinstance(value, str | bytes) else quote(value)
