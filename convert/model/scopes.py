"""Folders in front of the names of a model: ``policy/`` in ``policy/model/wte``.

A trainer of several models gives each a scope, a trainer of one may put its own variables in one,
and in an object graph whatever the model is an attribute of is one. They are found by the names of
a model's first tensors, each an exact name that a folder stands in front of.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from ..quoting import clip, quote_some

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping
    from typing import Final

    from .family import Drop, Family

ROOT: Final = "."
"""How a user names the scope that is none."""
_DEEPEST: Final = 8
"""Folders that a scope may consist of: what is deeper is not looked at. Each costs a look-up."""
_FOLDERS: Final = 24
"""Folders of a name in which a drop rule may end."""


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


def describe_choice(scopes: Collection[str]) -> str:
    """Return what to say of a checkpoint that holds several models."""
    outside = f"; {ROOT} is the one outside of the others" if "" in scopes else ""
    return (
        f"holds {len(scopes):,} models, in the scopes {list_scopes(scopes)}; "
        f"choose one with --scope{outside}"
    )


def find_scopes(names: Iterable[str], family: Family) -> dict[str, Counter[str]]:
    """Return, for each spelling that has scopes, those that ``names`` show.

    Each is counted as often as it stands in front of the name of a tensor outside of the layers or
    in the first one; the empty one is there too.
    """
    first: dict[str, list[str]] = {}
    for spelling, kind in family.spellings.items():
        if kind.scopes:
            for slot in family.slots(1, spelling):
                first.setdefault(slot.spell(spelling), []).append(spelling)
    ends, longest = tuple(first), max(map(len, first), default=0)
    found: dict[str, Counter[str]] = {}
    for name in names:
        if not name.endswith(ends):
            continue
        for start in starts(name):
            if len(name) - start <= longest:
                for spelling in first.get(name[start:], ()):
                    found.setdefault(spelling, Counter())[name[:start]] += 1
    return found


def starts(name: str) -> Iterator[int]:
    """Yield where a name without its scope may start: at 0 and after each of some slashes."""
    start = 0
    for _ in range(_DEEPEST + 1):
        yield start
        start = name.find("/", start) + 1
        if not start:
            return


class Leftovers:
    """The drop rules as they apply to the names of one file."""

    def __init__(self, rules: Mapping[str, Drop], *, scopes: bool) -> None:
        self._rules = rules
        self._scopes = scopes
        self._folders = {key[:-1].rpartition("/")[2] for key in rules if key.endswith("/")}
        self._leaves = {key.rpartition("/")[2] for key in rules}

    def find(self, name: str) -> Drop | None:
        """Return the rule for a name: for all of it, or for a folder that it is in.

        Where there are scopes, folders may stand in front.
        """
        ends = list(self._ends(name))
        if name[name.rfind("/") + 1 :] in self._leaves:
            ends.append(len(name))
        if not ends:
            return None
        places = list(starts(name)) if self._scopes else [0]
        parts = (name[start:end] for end in ends for start in places if start < end)
        return next((self._rules[part] for part in parts if part in self._rules), None)

    def _ends(self, name: str) -> Iterator[int]:
        """Yield the ends of the folders that a rule speaks of, the first of each name."""
        left = set(self._folders)
        start = 0
        for _ in range(_FOLDERS):
            if not left or (slash := name.find("/", start)) < 0:
                return
            if name[start:slash] in left:
                left.remove(name[start:slash])
                yield slash + 1
            start = slash + 1
