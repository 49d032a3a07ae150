"""Names translated: which tensor of a file is which of the model. Nothing else is checked."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING

from ..errors import UsageError
from ..quoting import quote
from .drops import DropRules, matches
from .family import Drop
from .scopes import describe_scope, find_scopes, list_scopes, parse_scope, starts

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from typing import Final

    from ..checkpoint.raw import RawCheckpoint
    from ..tensors.tensor import LazyTensor
    from .family import Family, Slot

MAX_LAYERS: Final = 128
"""More than twice the layers of the largest GPT-2: a bound for what a file can have expanded. A
layer of one number costs as much time as any other."""


_NUMBER: Final = Drop({}, "a number without axes, as no weight of the model is")
"""What a trainer counts: steps, epochs, the best loss so far."""
_EMPTY: Final = Drop({}, "an empty array, as no weight of the model is")


@dataclass(frozen=True, slots=True)
class Match:
    """A raw checkpoint's tensors by canonical name, in canonical order, nothing else checked.

    The tensors are as the file has them. ``hits`` counts the recognised ones. ``scope`` is what
    stands in front of their names, and ``scopes`` are all that there are, the empty one included;
    ``ending`` is what stands behind them. ``n_layer`` is MAX_LAYERS at most, and where there are
    ``more_layers``, these are unknown. ``tied`` are the slots of tensors that are in the places of
    those that they are tied to, since the file has no others for these.
    """

    spelling: str
    scope: str
    scopes: Collection[str]
    ending: str
    hits: int
    n_layer: int
    more_layers: bool
    tensors: Mapping[str, tuple[Slot, LazyTensor]]
    dropped: tuple[tuple[LazyTensor, Drop], ...]
    unknown: tuple[LazyTensor, ...]
    repeated: tuple[LazyTensor, ...]
    tied: tuple[Slot, ...] = ()

    def spell(self, slot: Slot) -> str:
        """Return the name that a tensor has, or would have, in the file."""
        return self.scope + slot.spell(self.spelling) + self.ending

    def untie(self) -> Match:
        """Return the match with every tensor in its own place, whatever is missing then."""
        tensors = dict(self.tensors)
        for slot in self.tied:
            _, tensor = tensors.pop(slot.row.tied_to or "")
            tensors[slot.name] = slot, tensor
        return replace(self, tensors=tensors, tied=())


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

    @cache  # which a file that has nothing but a model does not need
    def expand_drops() -> DropRules:
        return DropRules(
            family.expand_drops(reading.n_layer, reading.spelling, reading.scope),
            scopes=family.spellings[reading.spelling].scopes,
        )

    modules = {reading.scope + each for each in _list_modules(reading.slots)}
    found: dict[str, tuple[Slot, LazyTensor]] = {}
    dropped: list[tuple[LazyTensor, Drop]] = []
    unknown: list[LazyTensor] = []
    repeated: list[LazyTensor] = []
    for name, tensor in zip(reading.names, raw.tensors, strict=True):
        slot = reading.find(name)
        rule = None if slot else expand_drops().find(name)
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
        elif (_is_number(tensor) or 0 in tensor.shape) and not (
            _may_be_needed(tensor.name, name, reading, family) or _find_owner(name) in modules
        ):
            dropped.append((tensor, _EMPTY if tensor.shape else _NUMBER))
        else:
            unknown.append(tensor)
    slots = reading.slots.values()
    tied: list[Slot] = []
    if family.spellings[reading.spelling].either_of_tied:
        for slot in [each for each in slots if each.row.tied_to and each.name in found]:
            other = next(each for each in slots if each.name == slot.row.tied_to)
            if other.name not in found:
                found[other.name] = other, found.pop(slot.name)[1]
                tied.append(slot)
    return Match(
        spelling=reading.spelling,
        scope=reading.scope,
        scopes=reading.scopes,
        ending=reading.ending,
        hits=len(found),
        n_layer=reading.n_layer,
        more_layers=reading.more_layers,
        tensors={slot.name: found[slot.name] for slot in slots if slot.name in found},
        dropped=tuple(dropped),
        unknown=tuple(unknown),
        repeated=tuple(repeated),
        tied=tuple(tied),
    )


@dataclass(frozen=True, slots=True)
class _Reading:
    """The names of a file in one spelling and scope: what they would mean."""

    spelling: str
    scope: str
    scopes: Collection[str]
    ending: str
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


def _is_number(tensor: LazyTensor) -> bool:
    return tensor.shape == () and tensor.dtype.itemsize is not None


def _may_be_needed(own: str, name: str, reading: _Reading, family: Family) -> bool:
    """Whether an unknown tensor may be one that another architecture computes with."""
    return any(piece in f".{own}" for piece in family.architectures) or family.is_in_layer(
        name.removeprefix(reading.scope), reading.spelling
    )


def _list_modules(names: Iterable[str]) -> set[str]:
    """Return the tensors of a model and what they stand in, but for what holds other modules."""
    owners = {_find_owner(name) for name in names}
    return {*names, *owners} - {_find_owner(owner) for owner in owners} - {""}


def _find_owner(name: str) -> str:
    """Return a name without its last part; an empty text where it has no other."""
    return name[: max(name.rfind("."), name.rfind("/"), 0)]


def _read(
    raw: RawCheckpoint, family: Family, chosen: str | None, patterns: Sequence[str]
) -> _Reading:
    """Read the names in the spelling, and in the scope, that fit most of them."""
    given = [tensor.name for tensor in raw.tensors]
    names = [name.removesuffix(family.ending) for name in given]
    ending = "" if names == given else family.ending
    found = find_scopes(names, family)
    # A scope that the user wants left out is none to choose from.
    if patterns and found:
        wanted = (
            name
            for name, full in zip(names, given, strict=True)
            if not any(matches(full, pattern) for pattern in patterns)
        )
        found = find_scopes(wanted, family) or found
    readings = (_read_as(spelling, "", names, family, ending) for spelling in family.spellings)
    plain = max(readings, key=_hits)
    # OpenAI's names are in a scope of their own, which is none unless there are others like it: of
    # several spellings that fit as many names, the one that finds more models, or else the first.
    spelling = max(found, key=lambda each: _count_models(found[each]), default="")
    scopes: Mapping[str, int] = found.get(spelling, {})
    if chosen is not None:
        scope = parse_scope(chosen)
        inside = [_read_as(each, scope, names, family, ending) for each in found]
        best = max(inside, key=_hits, default=plain) if scope else plain
        if (scope and best is plain) or not best.hits:
            there_are = {*scopes} | ({""} if plain.hits else set())
            others = f"; there is one in {list_scopes(there_are)}" if there_are else ""
            raise UsageError(
                f"{raw.where}: no GPT-2 in the scope {quote(describe_scope(scope))}{others}"
            )
        return replace(best, scopes=found.get(best.spelling, {}))
    if not any(scope for counts in found.values() for scope in counts):
        return plain
    scope = max(sorted(scopes), key=scopes.__getitem__)
    best = _read_as(spelling, scope, names, family, ending)
    alike = plain.hits == best.hits and _count_models(scopes)[1] > 1
    if plain.spelling != spelling and plain.hits >= best.hits and not alike:
        return plain
    return replace(best if len(scopes) == 1 else plain, scopes=scopes)


def _count_models(scopes: Mapping[str, int]) -> tuple[int, int]:
    """Return how many names fit in the scope that fits most, and how many scopes fit as many."""
    most = max(scopes.values())
    return most, sum(count == most for count in scopes.values())


def _read_as(
    spelling: str, scope: str, names: Sequence[str], family: Family, ending: str
) -> _Reading:
    kind = family.spellings[spelling]
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
    slots = family.spell_slots(n_layer, spelling)
    hits = len(slots.keys() & set(inside))
    more = counted > n_layer
    return _Reading(spelling, scope, {}, ending, names, n_layer, more, slots, hits)


def _hits(reading: _Reading) -> int:
    return reading.hits
