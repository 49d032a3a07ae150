"""The names of a mapping of tensors: how they are shown, and what is said of one it has not."""

from __future__ import annotations

from collections.abc import ItemsView, KeysView, ValuesView
from typing import TYPE_CHECKING

from ..display.line import count
from ..quoting import quote, quote_some
from ..tensors.tensor import LazyTensor

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Final

_MOST_LETTERS: Final = 200
"""Of names that are compared; the time that it takes grows with the product of two lengths."""


class Names(KeysView[str]):
    """The names, as keys() has them."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<{count(len(self), 'name')}: {quote_some(list(self))}>"


class Tensors(ValuesView[LazyTensor]):
    """The tensors, as values() has them."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<{count(len(self), 'tensor')}: {quote_some([each.name for each in self])}>"


class Items(ItemsView[str, LazyTensor]):
    """Names and tensors, as items() has them."""

    __slots__ = ()

    def __repr__(self) -> str:
        names = quote_some([name for name, _ in self])
        return f"<{count(len(self), 'tensor')} by name: {names}>"


class UnknownTensorError(KeyError):
    """There is no tensor of that name; the message says which one may be meant.

    A KeyError, and no error of this package's own, since a mapping has to raise one. What may be
    meant is looked for only when somebody reads the message.
    """

    def __init__(self, key: object, tensors: Iterable[tuple[str, str]] = ()) -> None:
        """Take the key and, of each tensor that there is, the name and the file's name."""
        super().__init__(key)
        self._names = tuple(tensors)

    def __str__(self) -> str:
        key = self.args[0]
        if not isinstance(key, str):
            return f"no tensor {key!r:.50}: names are texts"
        text = f"no tensor {quote(key)} among {len(self._names):,}"
        meant = find_meant(key, self._names)
        return f"{text}; did you mean {quote(meant)}?" if meant is not None else text


def find_meant(key: str, names: Iterable[tuple[str, str]]) -> str | None:
    """Return the name of the tensor that the file calls so, or else the one that is most like it.

    ``names`` are those of each tensor and the file's own for it.
    """
    known: list[str] = []
    for name, source_name in names:
        if source_name == key:
            return name
        if len(name) <= _MOST_LETTERS:
            known.append(name)
    if len(key) > _MOST_LETTERS:
        return None
    from difflib import get_close_matches

    return next(iter(get_close_matches(key, known, 1)), None)
