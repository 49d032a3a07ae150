"""Folders in front of the names of a model: ``policy/`` in ``policy/model/wte``.

A trainer of several models gives each a scope, a trainer of one may put its own variables in one,
and in an object graph whatever the model is an attribute of is one. They are found by the names of
a model's first tensors, each an exact name that a folder stands in front of.
"""

from __future__ import annotations

from collections import Counter
from functools import cache
from typing import TYPE_CHECKING

from ..errors import Advice, Problem
from ..quoting import clip, quote_some

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
    from typing import Final

    from .family import Family

ROOT: Final = "."
"""How a user names the scope that is none."""
_DEEPEST: Final = 8
"""Folders that a scope may consist of: what is deeper is not looked at. Each costs a look-up."""


def parse_scope(scope: str) -> str:
    """Return what stands in front of the names in a scope as a user spells it."""
    if scope in ("", ROOT):
        return ""
    return scope if scope.endswith("/") else f"{scope}/"


def describe_scope(scope: str) -> str:
    """Return how a user spells a scope."""
    return clip(scope) or ROOT


def list_scopes(scopes: Collection[str]) -> str:
    """Return the scopes in quotes, as many as stay readable in a line."""
    return quote_some([scope or ROOT for scope in sorted(scopes)])


def describe_choice(scopes: Collection[str], more: str = "") -> Problem:
    """Return what to say of a checkpoint that holds several models; ``more`` ends it."""
    outside = f"; {ROOT} is the one outside of the others" if "" in scopes else ""
    return Problem(
        f"holds {len(scopes):,} models, in the scopes {list_scopes(scopes)}",
        Advice(f"choose one with {{}}{outside}{more}", "scope"),
    )


def find_scopes(names: Iterable[str], family: Family) -> dict[str, Counter[str]]:
    """Return, for each spelling that has scopes, those that ``names`` show.

    Each is counted as often as it stands in front of the name of a tensor outside of the layers or
    in the first one; the empty one is there too. Names that spellings without scopes have as well,
    such as wte, show none alone, and neither does what is tied to another tensor.
    """
    first, common = _list_first_names(family)
    ends, longest = tuple(first), max(map(len, first), default=0)
    found: dict[str, Counter[str]] = {}
    shown: set[tuple[str, str]] = set()
    for name in names:
        if not name.endswith(ends):
            continue
        for start in starts(name):
            if len(name) - start <= longest:
                scope, tail = name[:start], name[start:]
                for spelling in first.get(tail, ()):
                    found.setdefault(spelling, Counter())[scope] += 1
                    if tail not in common:
                        shown.add((spelling, scope))
    counts = {
        spelling: Counter({scope: n for scope, n in scopes.items() if (spelling, scope) in shown})
        for spelling, scopes in found.items()
    }
    return {spelling: counts[spelling] for spelling in family.spellings if counts.get(spelling)}


@cache
def _list_first_names(family: Family) -> tuple[Mapping[str, Sequence[str]], Collection[str]]:
    """Return the names that show a scope, with their spellings, and those that may stand in none.

    They are those of the first layer and outside of the layers.
    """
    first: dict[str, list[str]] = {}
    common: set[str] = set()
    for spelling, kind in family.spellings.items():
        for name, slot in family.spell_slots(1, spelling).items():
            if not kind.scopes:
                common.add(name)
            elif slot.row.tied_to is None:
                first.setdefault(name, []).append(spelling)
    return first, common


def starts(name: str) -> Iterator[int]:
    """Yield where a name without its scope may start: at 0 and after each of some slashes."""
    start = 0
    for _ in range(_DEEPEST + 1):
        yield start
        start = name.find("/", start) + 1
        if not start:
            return
