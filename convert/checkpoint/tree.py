"""Weights in nested dicts and lists, as picoGPT has them, that show themselves in a line.

A 124M printed as Python prints dicts has a million characters. These are dicts and lists in all
else; a pickle of them holds plain ones, so that it is loaded without this package.
"""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING

from ..display.line import describe_mapping, describe_sequence

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Self

    import numpy.typing as npt

    Array = npt.NDArray[Any]


class Tree(dict[str, "Any"]):
    """A dict of arrays, and of dicts and lists of them."""

    __slots__ = ()

    def __repr__(self) -> str:
        return describe_mapping(self)

    def copy(self) -> Self:
        """Return a dict of the same arrays."""
        return type(self)(self)

    __copy__ = copy

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return type(self)((key, deepcopy(value, memo)) for key, value in self.items())

    def __reduce_ex__(self, protocol: object) -> tuple[Any, ...]:
        return dict, (dict(self),)

    def to_dict(self) -> dict[str, Any]:
        """Return plain dicts and lists of the same arrays, for code that asks for their very type.

        Such as jax.tree.map, to which anything else is a leaf.
        """
        return {key: _plain(value) for key, value in self.items()}


class Blocks(list[Tree]):
    """The blocks of a model, a list."""

    __slots__ = ()

    def __repr__(self) -> str:
        return describe_sequence(self)

    def copy(self) -> Self:
        """Return a list of the same blocks."""
        return type(self)(self)

    __copy__ = copy

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return type(self)(deepcopy(block, memo) for block in self)

    def __reduce_ex__(self, protocol: object) -> tuple[Any, ...]:
        return list, (list(self),)


def build_tree(arrays: Mapping[str, Array], n_layer: int) -> Tree:
    """Nest arrays that are called by their canonical names; they are not copied."""
    root = Tree(blocks=Blocks(Tree() for _ in range(n_layer)))
    for name, array in arrays.items():
        place = root
        *parents, leaf = name.split(".")
        for key in parents:
            if key.startswith("blocks["):
                place = root["blocks"][int(key[len("blocks[") : -1])]
            else:
                place = place.setdefault(key, Tree())
        place[leaf] = array
    return root


def _plain(value: Any) -> Any:  # noqa: ANN401 - an array, or what holds some
    if isinstance(value, Tree):
        return value.to_dict()
    return [_plain(each) for each in value] if isinstance(value, Blocks) else value
