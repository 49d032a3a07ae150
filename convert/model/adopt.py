"""From a file's own names to the canonical tree.

:func:`adopt` checks everything but the values, and returns a checkpoint only if every tensor of the
source is mapped or dropped for a stated reason. :func:`drop_tied` is the one check that has to read
weights.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ..checkpoint.canonical import Checkpoint, Dropped
from ..errors import Advice, Problem, SchemaError, UnsupportedError, UsageError
from ..quoting import quote, quote_some
from ..tensors.dtype import WEIGHT_DTYPES
from ..tensors.tensor import same_bytes
from .buffers import find_fault
from .config import THE_SHAPES, build_config, complete_sizes
from .drops import matches
from .layout import READ_TRANSPOSED, is_linear, is_mixed, lay_out, refuse_missing_biases
from .names import MAX_LAYERS, match
from .schema import load_family
from .scopes import describe_choice, describe_scope
from .skipped import find_skipped_weights
from .stated import TIED, read_stated
from .unknown import AS_IS, find_architecture, find_name_problems

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..checkpoint.raw import RawCheckpoint
    from .family import Family
    from .names import Match


def adopt(raw: RawCheckpoint, drop: Sequence[str] = (), scope: str | None = None) -> Checkpoint:
    """Turn a raw checkpoint into a GPT-2, everything about it checked but the values.

    ``drop`` are patterns of names to leave out, and ``scope`` chooses one of several, as in
    :func:`.names.match`.

    Raises:
        SchemaError: it is no complete GPT-2, or there are several; ``problems`` has every reason.
        UnsupportedError: it is something else that is often taken for one.
        FormatError: its configuration is not what a configuration should be.
        UsageError: a pattern of ``drop`` matches nothing, or nothing of a GPT-2 is in ``scope``.
    """
    if raw.no_model is not None:
        raise raw.no_model
    family = load_family()
    _refuse_other_models(raw, family)
    found = match(raw, family, drop, scope)
    if scope is None and len(found.scopes) > 1:
        raise SchemaError(raw.where, (describe_choice(found.scopes),))
    refused = find_skipped_weights(raw.skipped, found, family, drop)
    if not raw.tensors:
        refused += raw.skipped
    if refused:
        raise UnsupportedError(f"{raw.where}: {quote(refused[0].name)}: {refused[0].reason}")
    if not found.hits:
        advice = AS_IS if raw.tensors else None
        raise SchemaError(raw.where, (Problem(_no_name_known(raw, family), advice),))
    _refuse_other_architectures(raw, found, family)
    if found.more_layers:
        raise UnsupportedError(
            f"{raw.where}: more than {MAX_LAYERS} layers, where the largest GPT-2 has 48"
        )
    for pattern in drop:
        _refuse_idle(pattern, found, raw)
    stated = read_stated(raw, family)
    untied: dict[str, str] = {}
    if stated and stated.behaviour.get(TIED) is False:
        place = stated.places.get(TIED, stated.where)
        untied = {
            slot.row.tied_to or "": f"; {quote(found.spell(slot))} does not take its place, since "
            f"{place} says {TIED} false: mend that if the two are one"
            for slot in found.tied
        }
        found = found.untie()
    stated_by = stated.where if stated else THE_SHAPES
    sizes = complete_sizes(stated.sizes if stated else _sizes_from_shapes(found, family), family)
    problems = [
        Problem(f"{size} would be 0 by the shapes; a GPT-2 has at least one of everything")
        for size, value in sizes.items()
        if not value
    ]
    linear = is_linear(found, sizes)
    if linear:
        refuse_missing_biases(found, raw.where)
    problems += find_name_problems(found, family, sizes)
    if sizes["n_layer"] != found.n_layer:
        problems.append(
            Problem(
                f"{stated_by} says n_layer {sizes['n_layer']}, but the tensors have "
                f"{found.n_layer} layers"
            )
        )
    problems += _find_tensor_problems(found, family, sizes, stated_by, untied)
    if problems:
        alone = complete_sizes(_sizes_from_shapes(found, family), family)
        # All the names of a GPT-2, and nothing that stands in the way but what is stated of it or
        # the ways in which its matrices lie.
        whole = not find_name_problems(found, family, alone)
        sound = is_mixed(found, alone) or not _find_tensor_problems(
            found, family, alone, THE_SHAPES, untied
        )
        raise SchemaError(raw.where, tuple(problems), contradictory=whole and sound)
    return Checkpoint(
        raw=raw,
        config=build_config(sizes, stated, family),
        tensors=lay_out(found, raw.where, linear=linear),
        dropped=tuple(Dropped(tensor.name, rule.reason) for tensor, rule in found.dropped),
        buffers=tuple(
            (tensor, rule.values) for tensor, rule in found.dropped if rule.values is not None
        ),
        notes=(
            *raw.notes,
            *(stated.notes if stated else ()),
            *((f"read from the scope {describe_scope(found.scope)}",) if found.scope else ()),
            *((READ_TRANSPOSED,) if linear else ()),
            *(
                f"{quote(found.spell(slot))} is read as {slot.row.tied_to} as well, which is tied "
                "to it and not in the file"
                for slot in found.tied
            ),
        ),
    )


def drop_tied(checkpoint: Checkpoint, drop: Sequence[str] = ()) -> Checkpoint:
    """Drop each tensor that equals, in every bit, the one its row is tied to; reads both.

    One that differs stays: the model was trained with untied weights. It goes only if ``drop`` has
    its full name, and a note says that the model was changed.

    Raises:
        Gpt2ConvertError: one of the two cannot be read.
    """
    kept = dict(checkpoint.tensors)
    dropped = list(checkpoint.dropped)
    notes = list(checkpoint.notes)
    for slot in load_family().slots(0):
        tied_to, tensor = slot.row.tied_to, kept.get(slot.name)
        if tied_to is None or tensor is None:
            continue
        name = quote(tensor.source_name)
        note = f"{name} differs from {tied_to}, so it is kept"
        notes = [each for each in notes if each != note]  # it may have been true before a cast
        if same_bytes(tensor, kept[tied_to]):
            del kept[slot.name]
            dropped.append(Dropped(tensor.source_name, f"tied: equal to {tied_to} in every bit"))
        elif tensor.source_name in drop:
            del kept[slot.name]
            dropped.append(Dropped(tensor.source_name, "asked for by its full name"))
            notes.append(
                f"the model was changed: {name} differs from {tied_to}, which takes its place"
            )
        else:
            notes.append(note)
    return replace(checkpoint, tensors=kept, dropped=tuple(dropped), notes=tuple(notes))


def check_buffers(checkpoint: Checkpoint) -> None:
    """Read the buffers that were dropped by name, and refuse those that hold something else.

    Raises:
        SchemaError: one of them is not what GPT-2 computes itself.
        Gpt2ConvertError: one cannot be read.
    """
    problems = [
        Problem(
            fault, Advice("if the model does not need it, {} leaves it out", "drop", tensor.name)
        )
        for tensor, kind in checkpoint.buffers
        if (fault := find_fault(tensor, kind)) is not None
    ]
    if problems:
        raise SchemaError(checkpoint.raw.where, tuple(problems))


def _refuse_idle(pattern: str, found: Match, raw: RawCheckpoint) -> None:
    """Refuse a pattern that leaves nothing out.

    Raises:
        UsageError: it matches no tensor, or only such as the model has.
    """
    names = [tensor.name for tensor, _ in found.dropped] + [each.name for each in raw.skipped]
    if any(matches(name, pattern) for name in names):
        return
    for slot, tensor in found.tensors.values():
        if slot.row.tied_to is None or not matches(tensor.name, pattern):
            continue
        if tensor.name == pattern:
            return
        raise UsageError(
            f"{raw.where}: the pattern {quote(pattern)} matches {quote(tensor.name)}, which "
            "decides what the model says where it is not tied; only its full name leaves it out"
        )
    raise UsageError(
        f"{raw.where}: the pattern {quote(pattern)} matches no tensor that can be left out"
    )


def _sizes_from_shapes(found: Match, family: Family) -> dict[str, int]:
    """Return the sizes that stand alone as a dimension of a tensor.

    Of matrices, which may be [out, in], only those that nothing else shows.
    """
    sizes = {"n_layer": found.n_layer}
    wanted = {*family.required_sizes, *family.defaults}
    for slot in sorted(family.slots(1, found.spelling), key=lambda slot: slot.row.conv1d):
        if slot.name not in found.tensors:
            continue
        _, tensor = found.tensors[slot.name]
        shape = family.squeeze(slot, tensor.shape, found.spelling)
        if len(shape) == len(slot.row.shape):
            for words, dim in zip(slot.row.shape, shape, strict=True):
                if len(words) == 1 and words[0] in wanted:
                    sizes.setdefault(words[0], dim)
    return sizes


def _refuse_other_models(raw: RawCheckpoint, family: Family) -> None:
    for tensor in raw.tensors:
        for piece, reason in family.other_models.items():
            if piece in tensor.name:
                raise UnsupportedError(f"{raw.where}: {quote(tensor.name)} belongs to {reason}")


def _refuse_other_architectures(raw: RawCheckpoint, found: Match, family: Family) -> None:
    """Refuse a model that shares names with GPT-2 and is no whole one, by what else it has."""
    slots = family.slots(max(found.n_layer, 1), found.spelling)
    if all(slot.name in found.tensors or slot.row.tied_to is not None for slot in slots):
        return  # what is more than that has its own line
    name, what = find_architecture([tensor.name for tensor in found.unknown], family)
    if what:
        raise UnsupportedError(
            f"{raw.where}: not a GPT-2: {quote(name)} belongs to {what}, which is not handled",
            AS_IS,
        )


def _no_name_known(raw: RawCheckpoint, family: Family) -> str:
    if not raw.tensors:
        return "not a GPT-2 checkpoint: it has no tensors"
    more = "".join(f"; {quote(each.name)}: {each.reason}" for each in raw.skipped[:1])
    other, what = find_architecture([tensor.name for tensor in raw.tensors], family)
    if what:
        more = f"; {quote(other)} belongs to {what}, which is not handled"
    weights = [tensor for tensor in raw.tensors if tensor.dtype.is_floating]
    names = [tensor.name for tensor in weights or raw.tensors]
    known = [
        family.rows[0].spellings[spelling]
        for spelling, kind in family.spellings.items()
        if kind.suffix and any(name.endswith(kind.suffix) for name in names)
    ]
    example = f"{(known or [family.rows[0].spellings['tf']])[0]!r} is a name that is"
    return (
        f"not a GPT-2 checkpoint: none of its {len(raw.tensors)} tensors is in {family.file} "
        f"({example}; they are {quote_some(names)}){more}"
    )


def _find_tensor_problems(
    found: Match,
    family: Family,
    sizes: Mapping[str, int],
    stated_by: str,
    untied: Mapping[str, str],
) -> list[Problem]:
    """Return what speaks against the tensors.

    ``untied`` is, by the name of one that is missing, why another does not take its place.
    """
    linear = is_linear(found, sizes)
    texts: list[str] = []
    for slot in family.slots(found.n_layer, found.spelling):
        _, tensor = found.tensors.get(slot.name, (slot, None))
        like = tensor.shape if tensor else None
        expected = family.describe_shape(slot, found.spelling, sizes, like)
        if tensor is None:
            if slot.row.tied_to is None:
                name = quote(found.spell(slot))
                why = untied.get(slot.name, "")
                texts.append(f"{name} is missing; its shape would be {expected}{why}")
            continue
        shape = family.squeeze(slot, tensor.shape, found.spelling)
        right = slot.shape(sizes)
        if not tensor.dtype.is_floating:
            texts.append(f"{quote(tensor.name)} is {tensor.dtype}; weights are {WEIGHT_DTYPES}")
        elif shape != (right[::-1] if linear and right and slot.row.conv1d else right):
            text = f"{quote(tensor.name)} is {list(tensor.shape)}, expected {expected}"
            text += f" by {stated_by}"
            if slot.row.conv1d and right and shape == right[::-1]:
                text += "; it is transposed as nn.Linear's are, and other matrices are not"
            texts.append(text)
    return [Problem(text) for text in texts]
