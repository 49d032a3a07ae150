"""Tensors as a pickle describes them, checked before anything is read.

torch pickles a tensor as a call of a function of ``torch._utils`` with these arguments::

    _rebuild_tensor     storage, offset, size, stride
    _rebuild_tensor_v2  … and requires_grad, backward_hooks[, metadata]
    _rebuild_tensor_v3  … and requires_grad, backward_hooks, dtype[, metadata]
    _rebuild_parameter  tensor, requires_grad, backward_hooks

Offset and strides count elements. The third is for the dtypes that never had a storage of their
own, so its storage is one of bytes. What gradients need is not looked at, unless tensors are in it.
Metadata says of a number that it is meant conjugated or negated: such a tensor is refused, for its
values are not those that are stored. Sources: torch/_utils.py and torch/_tensor.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...errors import FormatError, UnsupportedError
from ...quoting import clip, quote
from ..limits import check_rank
from .dtypes import DTYPES
from .values import Kind, Name, Node, Storage, Tensor, describe

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Final

    from ...tensors.dtype import DType

_BASIC: Final = 4
"""Arguments that every tensor has."""
_MAX: Final = (1 << 63) - 1


def rebuild_tensor(args: Node, place: str) -> Tensor:
    """Return the tensor of a call without anything about gradients; for the errors see `_build`."""
    _check_count(args, (_BASIC,), place)
    return _build(args, None, place)


def rebuild_tensor_v2(args: Node, place: str) -> Tensor:
    """Return the tensor of a call of the usual function; for the errors see `_build`."""
    _check_count(args, (_BASIC + 2, _BASIC + 3), place)
    _check_metadata(args[_BASIC + 2 :], place)
    return _build(args, None, place)


def rebuild_tensor_v3(args: Node, place: str) -> Tensor:
    """Return the tensor of a call that names the dtype; for the errors see `_build`."""
    _check_count(args, (_BASIC + 3, _BASIC + 4), place)
    _check_metadata(args[_BASIC + 3 :], place)
    dtype = args[_BASIC + 2]
    if not isinstance(dtype, Name) or dtype.full not in DTYPES:
        raise FormatError(f"{place}: a dtype of torch expected, found {describe(dtype)}")
    return _build(args, DTYPES[dtype.full], place)


def rebuild_parameter(args: Node, place: str) -> Tensor:
    """Return the tensor that is a parameter.

    Raises:
        FormatError: it is no tensor.
        UnsupportedError: there are tensors in its attributes.
    """
    if not args or not isinstance(args[0], Tensor):
        raise FormatError(f"{place}: a tensor to be a parameter expected, found {describe(args)}")
    check_attributes(args[1:], place)
    return args[0]


def check_attributes(values: Sequence[object], place: str) -> None:
    """Refuse hooks and attributes that mean something.

    Raises:
        UnsupportedError: tensors are in them, or attributes that Python gives a meaning to.
    """
    refuse_hidden(values, place)
    refuse_special(values, place)


def refuse_hidden(values: Sequence[object], place: str) -> None:
    """Refuse tensors in hooks and attributes: none of a state dict's names is theirs.

    Raises:
        UnsupportedError: there are some.
    """
    if any(isinstance(each, Tensor) or getattr(each, "tensors", 0) for each in values):
        raise UnsupportedError(
            f"{place}: tensors as attributes of others, which no state dict has; save it without"
        )


def refuse_special(states: Sequence[object], place: str) -> None:
    """Refuse attributes such as ``__class__``, by which an object would become another.

    A state is a dict, or a tuple in which there are some.

    Raises:
        UnsupportedError: there are some.
    """
    for state in states:
        parts = state if isinstance(state, Node) and state.kind is Kind.TUPLE else [state]
        dicts = (each for each in parts if isinstance(each, Node) and each.kind is Kind.DICT)
        for name in (key for each in dicts for key in each[::2]):
            if isinstance(name, str) and name.startswith("__") and name.endswith("__"):
                raise UnsupportedError(
                    f"{place}: sets the attribute {quote(name)}, which no weights need"
                )


def _check_count(args: Node, counts: tuple[int, ...], place: str) -> None:
    if len(args) not in counts:
        expected = " or ".join(map(str, counts))
        raise FormatError(f"{place}: {expected} arguments of a tensor expected, found {len(args)}")


def _check_metadata(metadata: list[object], place: str) -> None:
    for each in metadata:
        if each is None:
            continue
        if not isinstance(each, Node) or each.kind is not Kind.DICT:
            raise FormatError(f"{place}: a tensor's metadata: found {describe(each)}")
        for key, value in each.pairs():
            if value is not False:
                raise UnsupportedError(
                    f"{place}: a tensor that is marked {describe(key)}, so that its values are "
                    "others than those stored; save what its resolve_conj() and resolve_neg() give"
                )


def _build(args: Node, dtype: DType | None, place: str) -> Tensor:
    """Build a tensor of its first four arguments; ``dtype`` is None where the storage's counts.

    Raises:
        FormatError: they are not what they should be, or lead out of the storage.
        UnsupportedError: the tensor has too many axes.
    """
    storage, offset, size, stride = args[:_BASIC]
    if not isinstance(storage, Storage):
        raise FormatError(f"{place}: a tensor's storage expected, found {describe(storage)}")
    check_attributes(args[_BASIC:], place)
    dtype = dtype or storage.dtype
    shape, strides = _parse_numbers(size, "size", place), _parse_numbers(stride, "stride", place)
    if len(shape) != len(strides):
        raise FormatError(
            f"{place}: a tensor of {len(shape)} axes has strides for {len(strides)} of them"
        )
    check_rank(len(shape), place)
    if type(offset) is not int or not 0 <= offset <= _MAX:
        raise FormatError(f"{place}: a tensor's offset: found {describe(offset)}")
    itemsize = dtype.itemsize or 1
    most = itemsize
    for dim in shape:
        # A zero elsewhere in the shape would hide a size that no program can count to.
        most *= dim or 1
        if most > _MAX:
            raise FormatError(
                f"{place}: shape {clip(str(list(shape)))} has more elements than can exist"
            )
    if 0 not in shape:
        last = offset + sum((dim - 1) * step for dim, step in zip(shape, strides, strict=True))
        stored = storage.numel * (storage.dtype.itemsize or 1)
        if (last + 1) * itemsize > stored:
            raise FormatError(
                f"{place}: a tensor of shape {clip(str(list(shape)))} and strides "
                f"{clip(str(list(strides)))} from element {offset:,} on ends at byte "
                f"{(last + 1) * itemsize:,} of a storage of {stored:,}"
            )
    return Tensor(storage, offset, shape, strides, dtype)


def _parse_numbers(value: object, what: str, place: str) -> tuple[int, ...]:
    numbers = value if isinstance(value, Node) and value.kind is Kind.TUPLE else [None]
    if not all(type(each) is int and 0 <= each <= _MAX for each in numbers):
        found = clip(str(list(map(describe, numbers[:9])))) if value is numbers else describe(value)
        raise FormatError(
            f"{place}: a tensor's {what}: a tuple of whole numbers expected, found {found}"
        )
    return tuple(each for each in numbers if type(each) is int)
