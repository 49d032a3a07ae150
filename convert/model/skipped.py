"""What a container holds beside tensors: harmless, unless a weight of the model would be it.

A soft link that leads to a weight or to a folder of them, or an array of objects under a weight's
name, must not be passed over: without one, a model of twelve layers would be taken for one of
eleven. So names are compared with the rows of the schema, whatever number of layers there is, and
those of layers with anything in front.
"""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING

from .family import LAYER

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Final

    from ..checkpoint.raw import Skipped
    from .family import Family, Row
    from .names import Match

_NUMBER: Final = re.compile(r"[0-9]+")
_SEPARATOR: Final = re.compile(r"[/.]")
_DEEPEST: Final = 8
"""Folders in front of a name: as many as a scope may consist of."""


def find_skipped_weights(
    skipped: Iterable[Skipped], found: Match, family: Family, drop: Sequence[str] = ()
) -> list[Skipped]:
    """Return those that have the name of a weight, or of a folder of weights.

    A name in ``drop`` is left out, if it is that of a tensor that need not be there.
    """
    kind = family.spellings[found.spelling]
    known: dict[str, Row] = {}
    for each_row in family.rows:
        if found.spelling in each_row.spellings:
            spelled = each_row.spellings[found.spelling].replace(LAYER, "0")
            known[_normalize(spelled)] = each_row
    layered = [name for name, row in known.items() if row.per_layer]
    weights: list[Skipped] = []
    for each in skipped:
        name = each.name.removesuffix(family.ending)
        name = kind.unwrap(name) if kind.wrappers else name
        inside = each.is_folder and f"{name}/".startswith(found.scope or f"{name}/")
        name = _normalize(name.removeprefix(found.scope).removesuffix(found.ending))
        row = known.get(name)
        if row is not None and row.tied_to is not None and each.name in drop:
            continue
        meant = (
            row is not None
            or (inside and any(other.startswith(f"{name}/") for other in known))
            or (each.is_folder and found.scope.startswith(f"{each.name}/"))
            or any(
                part == other or (each.is_folder and "0" in part and other.startswith(f"{part}/"))
                for part in _ends(name)
                for other in layered
            )
        )
        if meant:
            weights.append(each)
    return weights


def _ends(name: str) -> list[str]:
    """Return what is left of a name without one, two, ... of the folders in front."""
    return [name[match.end() :] for match in islice(_SEPARATOR.finditer(name), _DEEPEST)]


def _normalize(name: str) -> str:
    """Return the name with 0 for each of its numbers."""
    return _NUMBER.sub("0", name)
