"""Names translated: which tensor of a file is which of the model. Nothing else is checked."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..errors import UsageError
from ..quoting import quote
from .drops import DropRules, matches
from .family import Drop
from .scopes import describe_scope, find_scopes, list_scopes, parse_scope, starts

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from typing import Final

    from ..checkpoint.raw import RawCheckpoint
    from ..tensors.tensor import LazyTensor
    from .family import Family, Slot

MAX_LAYERS: Final = 128
"""More than twice the layers of the largest GPT-2: a bound for what a file can have expanded. A
layer of one number costs as much time as any other."""


@dataclass(frozen=True, slots=True)
class Match:
    """A raw checkpoint's tensors by canonical name, in canonical order, nothing else checked.

    The tensors are as the file has them. ``hits`` counts the recognised ones. ``scope`` is what
    stands in front of their names, and ``scopes`` are all that there are, the empty one included.
    ``n_layer`` is MAX_LAYERS at most, and where there are ``more_layers``, these are unknown.
    """

    spelling: str
    scope: str
    scopes: Collection[str]
    hits: int
    n_layer: int
    more_layers: bool
    tensors: Mapping[str, tuple[Slot, LazyTensor]]
    dropped: tuple[tuple[LazyTensor, Drop], ...]
    unknown: tuple[LazyTensor, ...]
    repeated: tuple[LazyTensor, ...]

    def spell(self, slot: Slot) -> str:
        """Return the name that a tensor has, or would have, in the file."""
        return self.scope + slot.spell(self.spelling)


def match(
    raw: RawCheckpoint, family: Family, drop: Sequence[str] = (), scope: str | None = None
) -> Match:
    """Translate the names of ``raw``, in the spelling that most of them are in.

    ``drop`` are patterns, as in :func:`matches`, of names that the user wants left out; they do
    not touch a tensor that the model has. ``scope`` chooses one; tensors outside of it are left
    out. Without it the only one that there is counts, and where there are several, none.

    Raises:
        UsageError: nothing of the model is in ``scope``.
    """
    reading = _read(raw, family, scope, drop)
    outside = Drop({}, f"outside the scope {describe_scope(reading.scope)}")
    drops = DropRules(
        family.expand_drops(reading.n_layer, reading.spelling, reading.scope),
        scopes=family.spellings[reading.spelling].scopes,
    )
    found: dict[str, tuple[Slot, LazyTensor]] = {}
    dropped: list[tuple[LazyTensor, Drop]] = []
    unknown: list[LazyTensor] = []
    repeated: list[LazyTensor] = []
    for name, tensor in zip(reading.names, raw.tensors, strict=True):
        slot = reading.find(name)
        rule = None if slot else drops.find(name)
        pattern = next((each for each in drop if matches(tensor.name, each)), None)
        if pattern is not None and not slot and (rule is None or rule.values is not None):
            unread = "; its values were not looked at" if rule else ""
            reason = f"asked for by the pattern {quote(pattern)}{unread}"
            dropped.append((tensor, Drop({}, reason)))
        elif slot and slot.name in found:
            repeated.append(tensor)
        elif slot:
            found[slot.name] = slot, tensor
        elif rule:
            dropped.append((tensor, rule))
        elif scope is not None and reading.is_outside(name):
            dropped.append((tensor, outside))
        else:
            unknown.append(tensor)
    slots = reading.slots.values()
    return Match(
        spelling=reading.spelling,
        scope=reading.scope,
        scopes=reading.scopes,
        hits=len(found),
        n_layer=reading.n_layer,
        more_layers=reading.more_layers,
        tensors={slot.name: found[slot.name] for slot in slots if slot.name in found},
        dropped=tuple(dropped),
        unknown=tuple(unknown),
        repeated=tuple(repeated),
    )


@dataclass(frozen=True, slots=True)
class _Reading:
    """The names of a file in one spelling and scope: what they would mean."""

    spelling: str
    scope: str
    scopes: Collection[str]
    names: Sequence[str]
    n_layer: int
    more_layers: bool
    slots: Mapping[str, Slot]
    hits: int

    def find(self, name: str) -> Slot | None:
        return self.slots.get(name[len(self.scope) :]) if name.startswith(self.scope) else None

    def is_outside(self, name: str) -> bool:
        """Whether a name is not in the scope, or in another one, even if that is within."""
        if not name.startswith(self.scope):
            return True
        around = [start for start in starts(name) if name[:start] in self.scopes]
        innermost = name[: max(around, default=0)]
        return len(innermost) > len(self.scope) or any(
            name[start:] in self.slots for start in around if name[:start] != self.scope
        )


def _read(
    raw: RawCheckpoint, family: Family, chosen: str | None, patterns: Sequence[str]
) -> _Reading:
    """Read the names in the spelling, and in the scope, that fit most of them."""
    found = find_scopes((tensor.name for tensor in raw.tensors), family)
    # A scope that the user wants left out is none to choose from.
    wanted = find_scopes(
        (
            tensor.name
            for tensor in (raw.tensors if patterns and found else ())
            if not any(matches(tensor.name, pattern) for pattern in patterns)
        ),
        family,
    )
    found = wanted or found
    plain = max((_read_as(spelling, "", raw, family) for spelling in family.spellings), key=_hits)
    if chosen is not None:
        scope = parse_scope(chosen)
        readings = [_read_as(spelling, scope, raw, family) for spelling in found]
        best = max(readings, key=_hits, default=plain) if scope else plain
        if (scope and best is plain) or not best.hits:
            there_are = {each for counts in found.values() for each in counts}
            there_are |= {""} if plain.hits else set()
            others = f"; there is one in {list_scopes(there_are)}" if there_are else ""
            raise UsageError(
                f"{raw.where}: no GPT-2 in the scope {quote(describe_scope(scope))}{others}"
            )
        return replace(best, scopes=found.get(best.spelling, {}))
    if not any(scope for counts in found.values() for scope in counts):
        return plain
    spelling = max(found, key=lambda each: max(found[each].values()))
    scopes = found[spelling]
    best = _read_as(spelling, max(sorted(scopes), key=scopes.__getitem__), raw, family)
    if plain.spelling != spelling and plain.hits >= best.hits:
        return plain
    return replace(best if len(scopes) == 1 else plain, scopes=scopes)


def _read_as(spelling: str, scope: str, raw: RawCheckpoint, family: Family) -> _Reading:
    kind = family.spellings[spelling]
    names = [tensor.name for tensor in raw.tensors]
    if kind.wrappers:
        names = [kind.unwrap(name) for name in names]
    inside = names
    if scope or kind.suffix:
        inside = [
            name[len(scope) :]
            for name in names
            if name.startswith(scope) and name.endswith(kind.suffix)
        ]
    counted = family.count_layers(inside, spelling, limit=len(names))
    n_layer = min(counted, MAX_LAYERS)
    slots = {slot.spell(spelling): slot for slot in family.slots(n_layer, spelling)}
    hits = len(slots.keys() & set(inside))
    return _Reading(spelling, scope, {}, names, n_layer, counted > n_layer, slots, hits)


def _hits(reading: _Reading) -> int:
    return reading.hits
