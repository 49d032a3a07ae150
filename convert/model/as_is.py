"""A checkpoint taken as it is: whatever model it is of, every tensor under the file's own name.

Nothing is known of such tensors but that they are numbers. So none is left out unless it is asked
for, but for the one entry that TensorFlow adds to each object graph and that is no variable. The
order is that of the names, and so the same in whatever container they lie.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from ..checkpoint.collection import Dropped, TensorCollection
from ..errors import Advice, Problem, SchemaError, UnsupportedError, UsageError
from ..quoting import quote, quote_some
from .drops import matches

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Final

    from ..checkpoint.raw import RawCheckpoint, Skipped
    from ..tensors.tensor import LazyTensor

OBJECT_GRAPH: Final = "_CHECKPOINTABLE_OBJECT_GRAPH"
NOTE: Final = "taken as it is: configuration and tokenizer are left out of account"
"""What is said of every checkpoint that is taken so, since a proof is of the tensors alone."""


def take_as_is(raw: RawCheckpoint, drop: Sequence[str] = ()) -> TensorCollection:
    """Return the tensors of ``raw`` under their own names; ``drop`` are patterns to leave out.

    Raises:
        UnsupportedError: some are no numbers, such as strings, or the reader cannot read them.
        SchemaError: a name stands twice, or nothing is left.
        FormatError: what the file states of itself is damaged.
        UsageError: a pattern of ``drop`` matches nothing.
    """
    for config in raw.configs:
        config.fields()  # which says nothing of a tensor, and has to be sound all the same
    kept, dropped = split(raw, drop)
    names = [tensor.name for tensor in raw.tensors] + [each.name for each in raw.skipped]
    for pattern in drop:
        if not any(matches(name, pattern) for name in names):
            raise UsageError(f"{raw.where}: the pattern {quote(pattern)} matches no tensor")
    unread = find_unread(raw, drop)
    if unread:
        more = f" (and {len(unread) - 1:,} more)" if len(unread) > 1 else ""
        raise UnsupportedError(
            f"{raw.where}: {quote(unread[0].name)}: {unread[0].reason}{more}",
            Advice("{} leaves it out", "drop", unread[0].name),
        )
    _refuse_no_numbers([tensor for tensor in kept if tensor.dtype.itemsize is None], raw.where)
    tensors = {tensor.name: tensor for tensor in kept}
    if len(tensors) < len(kept):
        stated = sorted(tensor.name for tensor in kept)
        twice = dict.fromkeys(a for a, b in pairwise(stated) if a == b)
        raise SchemaError(
            raw.where, tuple(Problem(f"{quote(name)} stands twice") for name in twice)
        )
    if not tensors:
        out = f", and {len(dropped):,} left out" if dropped else ""
        raise SchemaError(raw.where, (Problem(f"nothing to take: no tensors of numbers{out}"),))
    return TensorCollection(
        raw=raw,
        tensors={name: tensors[name] for name in sorted(tensors)},
        dropped=tuple(dropped),
        notes=(*raw.notes, NOTE),
    )


def split(raw: RawCheckpoint, drop: Sequence[str] = ()) -> tuple[list[LazyTensor], list[Dropped]]:
    """Return the tensors that are taken, and those that are left out, each in the file's order."""
    kept: list[LazyTensor] = []
    dropped: list[Dropped] = []
    for tensor in raw.tensors:
        pattern = next((each for each in drop if matches(tensor.name, each)), None)
        if pattern is not None:
            dropped.append(Dropped(tensor.name, f"asked for by the pattern {quote(pattern)}"))
        elif tensor.name == OBJECT_GRAPH and tensor.dtype.itemsize is None:
            reason = "the object graph of TensorFlow, whose paths are the names"
            dropped.append(Dropped(tensor.name, reason))
        else:
            kept.append(tensor)
    for each in raw.skipped:
        pattern = next((other for other in drop if matches(each.name, other)), None)
        if pattern is not None:
            dropped.append(Dropped(each.name, f"asked for by the pattern {quote(pattern)}"))
    return kept, dropped


def find_unread(raw: RawCheckpoint, drop: Sequence[str] = ()) -> list[Skipped]:
    """Return what may be a tensor, was not read as one, and is not to be left out."""
    return [
        each
        for each in raw.skipped
        if each.is_member and not any(matches(each.name, pattern) for pattern in drop)
    ]


def _refuse_no_numbers(tensors: Sequence[LazyTensor], where: str) -> None:
    """Refuse tensors whose elements have no fixed size.

    Raises:
        UnsupportedError: there are some.
    """
    if not tensors:
        return
    names = quote_some([tensor.name for tensor in tensors])
    kinds = " and ".join(sorted({tensor.dtype.value for tensor in tensors}))
    alone = tensors[0].name if len(tensors) == 1 else None
    are = "is" if alone is not None else "are"
    raise UnsupportedError(
        f"{where}: {names} {are} of dtype {kinds}, which no target holds as numbers",
        Advice(
            "{} leaves it out" if alone is not None else "leave them out with {}", "drop", alone
        ),
    )
