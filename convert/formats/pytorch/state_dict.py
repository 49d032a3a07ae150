"""Which tensors of a saved object are the model's.

A state dict is a dict of names and tensors, as Module.state_dict() of torch gives it. It is what
was saved, or it stands in a dict of a training checkpoint under one of WRAPPERS, perhaps within
another of them; beside it are the state of the optimizer and whatever else the trainer wants back.
That is left out, and a note says so, but for the ``model_args`` of nanoGPT, which state what the
model is. Plain data within a state dict are left out, too; tensors that
stand deeper are not, since they may be weights.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...errors import FormatError, UnsupportedError
from ...quoting import quote, quote_some
from ..limits import check_count
from .names import SAVE_WEIGHTS
from .objects import is_array
from .values import Kind, Node, Tensor, describe

if TYPE_CHECKING:
    from typing import Final

WRAPPERS: Final = ("model", "state_dict", "model_state_dict", "module")
"""The keys under which trainers keep a state dict: nanoGPT, Lightning, torch's own examples,
DeepSpeed."""
MODEL_ARGS: Final = "model_args"
_MOST_WRAPPERS: Final = 3
"""A dict in a dict in a dict."""
_MOST_HOLDERS: Final = 8
"""Names of what holds tensors beside a state dict: a trainer's have some three."""


@dataclass(frozen=True, slots=True)
class StateDict:
    """The names and the tensors of a model, and notes of what was left out.

    ``model_args`` are nanoGPT's as JSON, None where there are none.
    """

    tensors: list[tuple[str, Tensor]]
    notes: tuple[str, ...]
    model_args: bytes | None = None


def find_state_dict(value: object, where: str) -> StateDict:
    """Return the state dict in a saved object.

    Raises:
        FormatError: a tensor has no name that is text.
        UnsupportedError: there is no state dict, there are several, or it has too many tensors.
    """
    path: list[str] = []
    notes: list[str] = []
    model_args: bytes | None = None
    inner = _check_dict(value, where)
    for _ in range(_MOST_WRAPPERS):
        found = [(key, each) for key, each in _wrapped(inner) if each.tensors]
        if not found:
            break
        if len(found) > 1:
            raise UnsupportedError(
                f"{where}: {len(found)} dicts could be the state dict: "
                f"{quote_some([key for key, _ in found])}; save the one that is meant alone"
            )
        key, chosen = found[0]
        path.append(key)
        known = [key]
        if stated := _find_model_args(inner):
            model_args = _write_json(stated)
            known.append(MODEL_ARGS)
        if beside := _describe_rest(inner, known):
            notes.append(f"read from {'/'.join(path)}; left out beside it: {beside}")
        inner = chosen
    place = f"{where}: {'/'.join(path)}" if path else where
    tensors, plain = _list_tensors(inner, place)
    if plain:
        notes.append(f"left out, as it is no tensor: {quote_some(plain)}")
    return StateDict(tensors, tuple(notes), model_args)


def _find_model_args(node: Node) -> Node | None:
    """Return the dict under MODEL_ARGS, if there is one and no tensor is in it."""
    found = [
        value
        for key, value in node.pairs()
        if key == MODEL_ARGS
        and isinstance(value, Node)
        and value.kind is Kind.DICT
        and not value.tensors
    ]
    return found[-1] if found else None


def _write_json(node: Node) -> bytes:
    """Return a dict as JSON, in which what JSON has no word for is described."""
    fields = {
        _name(key): value
        if value is None or isinstance(value, bool | int | float | str)
        else describe(value)
        for key, value in node.pairs()
    }
    return json.dumps(fields).encode()


def _check_dict(value: object, where: str) -> Node:
    if isinstance(value, Node) and value.kind is Kind.DICT:
        return value
    raise UnsupportedError(
        f"{where}: a dict of names and tensors expected, found {describe(value)}; {SAVE_WEIGHTS}"
    )


def _wrapped(node: Node) -> list[tuple[str, Node]]:
    """Return the dicts that stand under one of WRAPPERS."""
    return [
        (key, value)
        for key, value in node.pairs()
        if isinstance(key, str)
        and key in WRAPPERS
        and isinstance(value, Node)
        and value.kind is Kind.DICT
    ]


def _describe_rest(node: Node, known: list[str]) -> str:
    """Return what stands in a dict beside keys that are known, what holds tensors first."""
    holders: list[tuple[str, int]] = []
    plain: list[str] = []
    for key, value in node.pairs():
        count = value.tensors if isinstance(value, Node) else isinstance(value, Tensor)
        if key not in known and count:
            holders.append((quote(_name(key)), count))
        elif key not in known:
            plain.append(_name(key))
    if unnamed := holders[_MOST_HOLDERS:]:
        total = sum(count for _, count in unnamed)
        holders[_MOST_HOLDERS:] = [(f"{len(unnamed):,} more", total)]
    told = [f"{name} ({_count_tensors(count)})" for name, count in holders]
    return ", ".join(told + ([quote_some(plain)] if plain else []))


def _count_tensors(count: int) -> str:
    return "1 tensor" if count == 1 else f"{count:,} tensors"


def _list_tensors(node: Node, place: str) -> tuple[list[tuple[str, Tensor]], list[str]]:
    """Return the tensors of a state dict, and the names of what else is in it."""
    tensors: list[tuple[str, Tensor]] = []
    plain: list[str] = []
    holders: list[str] = []
    arrays: list[str] = []
    for key, value in node.pairs():
        if is_array(value):
            arrays.append(_name(key))
        elif not isinstance(value, Tensor):
            (holders if isinstance(value, Node) and value.tensors else plain).append(_name(key))
        elif isinstance(key, str):
            tensors.append((key, value))
            check_count(len(tensors), place)
        else:
            raise FormatError(f"{place}: the name of a tensor expected, found {describe(key)}")
    if arrays:
        raise UnsupportedError(
            f"{place}: {quote_some(arrays)}: arrays of NumPy's and no tensors; save what "
            "torch.from_numpy() makes of them, or all of them with numpy.savez()"
        )
    if not tensors and holders:
        raise UnsupportedError(
            f"{place}: no state dict: tensors are in {quote_some(holders)}, and it is known by the "
            f"keys {quote_some(WRAPPERS)}; {SAVE_WEIGHTS}"
        )
    if holders:
        raise UnsupportedError(
            f"{place}: tensors are in {quote_some(holders)}, deeper than a state dict goes; "
            f"{SAVE_WEIGHTS}"
        )
    return tensors, plain


def _name(key: object) -> str:
    return key if isinstance(key, str) else describe(key)
