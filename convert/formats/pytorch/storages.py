"""The storages that a pickle mentions: where tensors keep their numbers.

torch has the pickler put in the place of each storage a persistent id, which is a tuple::

    ("storage", torch.FloatStorage, key, location, numel)                   zip files
    ("storage", torch.FloatStorage, key, location, numel, view_metadata)    before torch 1.6

``location`` is the device that it was on, which is nothing to us. ``view_metadata`` is None, or in
files of torch before 0.4 the key, the offset and the length of a storage that is a part of this
one. Source: torch/serialization.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...errors import FormatError, UnsupportedError
from .dtypes import STORAGES
from .values import Kind, Name, Node, Storage, describe

if TYPE_CHECKING:
    from typing import Final

_STORAGE: Final = "storage"
_MAX: Final = (1 << 63) - 1


def parse_storage(persistent_id: object, place: str) -> tuple[Storage, Storage]:
    """Return the storage under the key that is mentioned, and the part of it that is meant.

    Raises:
        FormatError: it is no storage, or the part does not lie in it.
        UnsupportedError: it is something else, or its dtype is not handled.
    """
    fields = persistent_id if isinstance(persistent_id, Node) else Node(Kind.TUPLE)
    if not fields or fields[0] != _STORAGE:
        found = describe(fields[0] if fields else persistent_id)
        raise UnsupportedError(f"{place}: a storage expected, found {found}, which no tensor needs")
    if len(fields) not in (5, 6):
        raise FormatError(f"{place}: 5 or 6 fields of a storage expected, found {len(fields)}")
    kind, key, _, numel = fields[1:5]
    if not isinstance(kind, Name) or kind.full not in STORAGES:
        raise FormatError(f"{place}: the type of a storage expected, found {describe(kind)}")
    if not isinstance(key, str):
        raise FormatError(f"{place}: the key of a storage expected, found {describe(key)}")
    root = Storage(key, STORAGES[kind.full], _parse_number(numel, "numel", place))
    view = fields[5] if len(fields) == 6 else None
    if view is None:
        return root, root
    if not isinstance(view, Node) or len(view) != 3:
        raise FormatError(f"{place}: the part of a storage: found {describe(view)}")
    offset = _parse_number(view[1], "offset", place)
    size = _parse_number(view[2], "length", place)
    if offset + size > root.numel:
        raise FormatError(
            f"{place}: the elements {offset:,} to {offset + size:,} of a storage of {root.numel:,}"
        )
    return root, Storage(key, root.dtype, size, offset)


def _parse_number(value: object, what: str, place: str) -> int:
    if type(value) is not int or not 0 <= value <= _MAX:
        raise FormatError(f"{place}: the {what} of a storage: found {describe(value)}")
    return value
