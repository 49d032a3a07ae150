"""Two configurations compared: sizes, behaviour, and every other field that both sides state.

Behaviour that is not stated is GPT-2's own, so it is compared in any case. What else only one side
states cannot be compared, and is named instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import FormatError, UnsupportedError
from ..model.config import complete_sizes
from ..model.document import ARCHITECTURES
from ..model.schema import load_family
from ..model.stated import TIED, read_stated
from ..quoting import clip
from ..reports.findings import Finding, Kind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..checkpoint.canonical import Checkpoint
    from ..checkpoint.collection import TensorCollection
    from ..checkpoint.raw import RawCheckpoint
    from ..model.family import Family
    from ..model.stated import Stated


@dataclass(frozen=True, slots=True)
class Comparison:
    """What differs, and the names of what only one side states."""

    findings: tuple[Finding, ...] = ()
    not_compared: tuple[str, ...] = ()


def compare_config(source: Checkpoint, target: RawCheckpoint) -> Comparison:
    """Compare what the source is with what the target states."""
    family = load_family()
    try:
        stated = read_stated(target, family)
    except (FormatError, UnsupportedError) as error:
        return Comparison((Finding(Kind.CONFIG, "config", str(error)),))
    findings: list[Finding] = []
    not_compared: list[str] = []
    sizes = complete_sizes(stated.sizes, family) if stated else {}
    behaviour: dict[str, object] = dict(family.behaviour)
    if stated:
        behaviour |= {**stated.implied, **stated.behaviour}
    other: object
    for name, value in source.config.effective().items():
        if name in family.behaviour:
            other, kind = behaviour[name], Kind.CONFIG
            if name == TIED and _leaves_head_to_tensors(source, stated, family):
                continue
        else:
            other, kind = sizes.get(name), Kind.HPARAMS
            if value is None or other is None:
                # A size that a shape shows is compared with the shape.
                if value != other and name not in _shown(family):
                    not_compared.append(name)
                continue
        if value != other:
            findings.append(_describe(kind, name, value, other))
    more = _compare_documents(source, stated, family)
    return Comparison((*findings, *more.findings), (*not_compared, *more.not_compared))


def prove_config(
    source: TensorCollection, target: RawCheckpoint, expected: Mapping[str, object]
) -> tuple[Finding, ...]:
    """Compare every field of what was to be written with what the target has, in all its places."""
    try:
        found = [config.fields() for config in target.configs]
    except FormatError as error:
        return (Finding(Kind.CONFIG, "config", str(error)),)
    if not found:
        return (Finding(Kind.CONFIG, "config", "stated nowhere in the target"),)
    # What two files state, each has to state as it was written.
    return tuple(
        _describe(Kind.CONFIG, key, expected.get(key, _ABSENT), value)
        for key in dict.fromkeys([*expected, *(key for fields in found for key in fields)])
        for value in [fields[key] for fields in found if key in fields] or [_ABSENT]
        if not _same(expected.get(key, _ABSENT), value)
    )


class _Absent:
    def __repr__(self) -> str:
        return "nothing"


_ABSENT = _Absent()


def _same(first: object, second: object) -> bool:
    """Whether two JSON values are equal, NaN and the kinds of numbers included."""
    return type(first) is type(second) and (first == second or repr(first) == repr(second))


def _leaves_head_to_tensors(source: Checkpoint, stated: Stated | None, family: Family) -> bool:
    """Whether a target's statement is no reason to doubt its head; tensors are compared anyway.

    So it is without a config.json, and where that says what the source's says: an equal copy is
    equal, also where statement and tensors disagree.
    """
    if stated is None or stated.document is None:
        return True
    own = read_stated(source.raw, family)
    default = family.behaviour[TIED]
    return stated.behaviour.get(TIED, default) == (own.behaviour if own else {}).get(TIED, default)


def _shown(family: Family) -> set[str]:
    """Return the sizes that some shape depends on."""
    return {word for row in family.rows for dim in row.shape for word in dim} | {"n_layer"}


def _compare_documents(source: Checkpoint, stated: Stated | None, family: Family) -> Comparison:
    ours = source.config.document
    theirs = stated.document if stated else None
    if ours is None and theirs is None:
        return Comparison()
    ours, theirs = ours or {}, theirs or {}
    compared = {*family.behaviour, *family.aliases, *family.constants}
    compared |= {key for keys in family.configs.values() for key in keys.values()}
    # What the target may say of its weights, whatever the source says of its own.
    dtypes = {tensor.dtype.value for tensor in source.values()}
    stored: Mapping[str, list[object]] = {
        key: [ARCHITECTURES] if key == "architectures" else [*dtypes] for key in family.storage
    }
    findings: list[Finding] = []
    not_compared: list[str] = []
    for key in dict.fromkeys([*ours, *theirs]):
        if key in compared:
            continue
        if key in ours and key in theirs:
            if not _same(ours[key], theirs[key]) and theirs[key] not in stored.get(key, []):
                findings.append(_describe(Kind.CONFIG, key, ours[key], theirs[key]))
        elif key in theirs and key not in family.known:
            text = "is no field of a GPT-2's configuration, and not in the source"
            findings.append(Finding(Kind.CONFIG, clip(key), text))
        elif not _is_usual(key, ours.get(key, theirs.get(key)), family) and not (
            key in stored and theirs.get(key) in stored[key]
        ):
            not_compared.append(key)
    return Comparison(tuple(findings), tuple(not_compared))


def _is_usual(key: str, value: object, family: Family) -> bool:
    """Whether a field means the same as none, so that there is nothing to compare."""
    return key in family.fields and _same(value, family.fields[key])


def _spell(value: object) -> str:
    """Return a value as config.json has it, but for texts, which are quoted as names are."""
    words = {True: "true", False: "false", None: "null"}
    return words[value] if isinstance(value, bool) or value is None else clip(repr(value))


def _describe(kind: Kind, name: str, value: object, other: object) -> Finding:
    text = f"{_spell(value)} in the source, {_spell(other)} in the target"
    return Finding(kind, clip(name), text)
