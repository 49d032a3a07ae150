"""A family of models as data: the rows of ``schemas/<family>.toml``, and their expansion.

The schema file is the only place that knows names and shapes. Its rows are expanded into an exact
dictionary for the number of layers at hand: no regular expression, no prefix arithmetic, so h1
never meets h11.
"""

from __future__ import annotations

import math
import string
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from typing import Final

LAYER: Final = "{layer}"
TENSOR: Final = "{tensor}"
BELOW: Final = "/*"
"""The end of a drop rule's name that stands for all names below it."""
CANONICAL: Final = "name"
"""The spelling that every row has."""
_KEPT: Final = 32
"""Expansions that are kept: a file is tried in every spelling, and the next one is like it."""


@dataclass(frozen=True, slots=True)
class Spelling:
    """What is peculiar to files that use one column of names.

    ``drops`` is the column of the drop rules. ``suffix`` ends every name of the column. With
    ``scopes``, folders may stand in front of the names. The leading axes may be there or not. With
    ``either_of_tied``, a file that lacks a tensor may have the one that is tied to it in its place.
    """

    conv1d_leading_axis: bool = False
    conv1d_bias_leading_axis: bool = False
    wrappers: tuple[str, ...] = ()
    suffix: str = ""
    scopes: bool = False
    either_of_tied: bool = False
    drops: str = ""

    def unwrap(self, name: str) -> str:
        """Take the wrappers off the front of ``name``, in whatever number and order."""
        if not name.startswith(self.wrappers):
            return name
        at = 0
        while wrapper := next((each for each in self.wrappers if name.startswith(each, at)), ""):
            at += len(wrapper)
        return name[at:]


@dataclass(frozen=True, slots=True)
class Row:
    """One row: the name in each spelling, and the canonical shape as factors of each dimension.

    A row that is ``tied_to`` another may be absent from a file.
    """

    spellings: Mapping[str, str]
    shape: tuple[tuple[str, ...], ...]
    conv1d: bool
    conv1d_bias: bool
    tied_to: str | None

    @property
    def per_layer(self) -> bool:
        """Whether the row stands for one tensor a layer."""
        return LAYER in self.spellings[CANONICAL]


@dataclass(frozen=True, slots=True)
class Slot:
    """A row at one layer: the tensor that a model of this family has there."""

    row: Row
    layer: int

    @property
    def name(self) -> str:
        """The canonical name."""
        return self.spell(CANONICAL)

    def spell(self, spelling: str) -> str:
        """Return the exact name in a spelling.

        Raises:
            KeyError: the row has no name in it; only a tied one may lack names.
        """
        return self.row.spellings[spelling].replace(LAYER, str(self.layer))

    def shape(self, sizes: Mapping[str, int]) -> tuple[int, ...] | None:
        """Return the canonical shape, or None if ``sizes`` lacks one that it depends on."""
        return evaluate(self.row.shape, sizes)


@dataclass(frozen=True, slots=True)
class Drop:
    """A rule for tensors that are left behind: their name in each spelling, and the reason.

    Where the rule has ``values``, a kind of buffer, a tensor that holds other values is not meant.
    """

    spellings: Mapping[str, str]
    reason: str
    values: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Family:
    """The contents of one schema file, of which there is one object.

    ``configs`` are the keys of the sizes in each kind of configuration, and ``defaults`` those of
    the optional sizes that may be left out. The rest are fields of Hugging Face's: ``aliases``,
    other keys of sizes; ``behaviour``, what the output depends on, with the family's values;
    ``constants``, which cannot have another value than the one here, a product of sizes perhaps;
    ``assumed``, the sizes that transformers takes where none is stated; ``fields``, what it takes
    for any other field; ``known``, all the fields that it has written; ``loading``, those by which
    it computes with other code; ``storage``, which a conversion changes with the weights.
    ``ending`` is what may stand behind any name of a file, in whatever spelling. ``other_models``
    are told by a piece of any name, ``architectures`` by one of an unknown name, with a dot in
    front of it; ``heads`` are those of other tasks, by a part of a name.
    """

    name: str
    required_sizes: tuple[str, ...]
    optional_sizes: tuple[str, ...]
    defaults: Mapping[str, tuple[str, ...]]
    configs: Mapping[str, Mapping[str, str]]
    aliases: Mapping[str, str]
    behaviour: Mapping[str, str | bool | float]
    constants: Mapping[str, bool | tuple[str, ...]]
    assumed: Mapping[str, int]
    fields: Mapping[str, object]
    known: frozenset[str]
    loading: frozenset[str]
    storage: frozenset[str]
    ending: str
    spellings: Mapping[str, Spelling]
    rows: tuple[Row, ...]
    drops: tuple[Drop, ...]
    other_models: Mapping[str, str]
    architectures: Mapping[str, str]
    heads: Mapping[str, str]

    @property
    def file(self) -> str:
        """The schema file's name, for messages."""
        return f"{self.name}.toml"

    @lru_cache(maxsize=_KEPT)  # noqa: B019 - families are as many as files, and never freed
    def slots(self, n_layer: int, spelling: str = CANONICAL) -> tuple[Slot, ...]:
        """Expand the rows that have a name in ``spelling``, in canonical order."""
        rows = [row for row in self.rows if spelling in row.spellings]
        layered = [row for row in rows if row.per_layer]
        first = rows.index(layered[0])
        before = [Slot(row, 0) for row in rows[:first]]
        after = [Slot(row, 0) for row in rows[first + len(layered) :]]
        layers = [Slot(row, layer) for layer in range(n_layer) for row in layered]
        return (*before, *layers, *after)

    @lru_cache(maxsize=_KEPT)  # noqa: B019 - as above
    def spell_slots(self, n_layer: int, spelling: str) -> Mapping[str, Slot]:
        """Return the slots by their exact names in a spelling, in canonical order."""
        return {slot.spell(spelling): slot for slot in self.slots(n_layer, spelling)}

    def expand_drops(self, n_layer: int, spelling: str, scope: str = "") -> dict[str, Drop]:
        """Expand the drop rules that have a name in ``spelling``; tensors stand in ``scope``.

        A name that ends with a slash stands for all that are below it.
        """
        kind = self.spellings[spelling]
        stems = [
            scope + name.removesuffix(kind.suffix) for name in self.spell_slots(n_layer, spelling)
        ]
        expanded: dict[str, Drop] = {}
        for drop in self.drops:
            pattern = drop.spellings.get(kind.drops, "")
            if pattern.endswith(BELOW):
                pattern = pattern.removesuffix("*")
            if TENSOR in pattern:
                expanded |= {pattern.replace(TENSOR, stem): drop for stem in stems}
            elif LAYER in pattern:
                expanded |= {pattern.replace(LAYER, str(n)): drop for n in range(n_layer)}
            elif pattern:
                expanded[pattern] = drop
        return expanded

    def count_layers(self, names: Sequence[str], spelling: str, limit: int) -> int:
        """Return one more than the highest layer number below ``limit`` that ``names`` mention.

        A number that is not below the count of names with one does not count either: a few tensors
        must not stand for a multitude of layers. Where one is missing, the others are enough.
        """
        mentioned: list[int] = []
        most = len(str(limit))
        for prefix, ends in self._split_names(spelling).items():
            for name in names:
                if not name.startswith(prefix):
                    continue
                rest = name[len(prefix) :]
                suffix = rest.lstrip(string.digits)
                digits = rest[: len(rest) - len(suffix)]
                if suffix in ends and 0 < len(digits) <= most:
                    layer = int(digits)
                    if str(layer) == digits and layer < limit:
                        mentioned.append(layer)
        return max((layer + 1 for layer in mentioned if layer < len(mentioned)), default=0)

    @lru_cache(maxsize=_KEPT)  # noqa: B019 - as above
    def _split_names(self, spelling: str) -> Mapping[str, Collection[str]]:
        """Return what may stand behind the number of a layer, by what stands before it."""
        suffixes: dict[str, set[str]] = {}
        for row in self.rows:
            if row.per_layer and spelling in row.spellings:
                prefix, suffix = row.spellings[spelling].split(LAYER)
                suffixes.setdefault(prefix, set()).add(suffix)
        return suffixes

    def is_in_layer(self, name: str, spelling: str) -> bool:
        """Whether a name is that of something in a layer, whatever number the layer has."""
        name = self.spellings[spelling].unwrap(name)
        for row in self.rows:
            if row.per_layer and spelling in row.spellings:
                front, back = row.spellings[spelling].split(LAYER)
                if name.startswith(front):
                    inside = name[len(front) :].lstrip(string.digits)
                    if inside[:1] == back[:1] and len(front) + len(inside) < len(name):
                        return True
        return False

    def stored_shape(self, slot: Slot, shape: tuple[int, ...], spelling: str) -> tuple[int, ...]:
        """Return the shape that a canonical one has in a file that nobody has squeezed."""
        return (1, *shape) if self._has_leading_axis(slot, spelling) else shape

    def squeeze(self, slot: Slot, stored: tuple[int, ...], spelling: str) -> tuple[int, ...]:
        """Return the shape that a file stores, without the unit axis that its spelling allows."""
        added = len(stored) == len(slot.row.shape) + 1 and stored[0] == 1
        return stored[1:] if added and self._has_leading_axis(slot, spelling) else stored

    def describe_shape(
        self, slot: Slot, spelling: str, sizes: Mapping[str, int], like: tuple[int, ...] | None
    ) -> str:
        """Return the shape that a file stores in the words of the row, and in numbers if it can be.

        ``like`` is the shape of what the file has in its place, if there is anything: the unit axis
        that the spelling allows is left out where that one has none.
        """
        words = ["*".join(dim) for dim in slot.row.shape]
        shape = slot.shape(sizes)
        if self._has_leading_axis(slot, spelling) and (like is None or len(like) != len(words)):
            words.insert(0, "1")
            shape = shape and (1, *shape)
        return f"[{', '.join(words)}]" + (f" = {list(shape)}" if shape else "")

    def _has_leading_axis(self, slot: Slot, spelling: str) -> bool:
        kind = self.spellings[spelling]
        return (slot.row.conv1d and kind.conv1d_leading_axis) or (
            slot.row.conv1d_bias and kind.conv1d_bias_leading_axis
        )


def evaluate(
    shape: tuple[tuple[str, ...], ...], sizes: Mapping[str, int]
) -> tuple[int, ...] | None:
    """Return the numbers of a shape in words, or None if ``sizes`` lacks one of them."""
    words = {word for dim in shape for word in dim if not word.isdigit()}
    if not words <= sizes.keys():
        return None
    return tuple(
        math.prod(sizes[word] if word in sizes else int(word) for word in dim) for dim in shape
    )
