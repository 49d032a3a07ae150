"""The drop rules as they apply to the names of one file."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from .scopes import starts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Final

    from .family import Drop


_FOLDERS: Final = 24
"""Folders of a name in which a drop rule may end."""


class DropRules:
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


def matches(name: str, pattern: str) -> bool:
    """Whether a name fits a pattern, in which ``*`` and ``?`` alone have a meaning."""
    return fnmatchcase(name, pattern.replace("[", "[[]"))
