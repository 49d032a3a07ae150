"""Names of tensors as names of members, which is ``<name>.npy``: what a zip file cannot say.

A name may have slashes, dots and whatever else there is: nothing unpacks it. zipfile cuts a name at
a NUL, holds 65,535 bytes of it and wants it in Unicode. NumPy takes ``x.npy`` for the name of the
member, where there is one, and else for that of the tensor.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...errors import UnsupportedError
from ...quoting import quote

if TYPE_CHECKING:
    from collections.abc import Collection
    from typing import Final

SUFFIX: Final = ".npy"
_MOST: Final = 0xFFFF
"""Bytes of a member's name."""


def check_names(names: Collection[str], where: str) -> None:
    """Refuse names of tensors that cannot be those of members; ``where`` is the source.

    Raises:
        UnsupportedError: there is one, or NumPy would mistake one for another.
    """
    for name in names:
        fault = _find_fault(name)
        if fault is not None:
            raise UnsupportedError(f"{where}: {quote(name)}: {fault}, so npz cannot hold it")
        if name + SUFFIX in names:
            raise UnsupportedError(
                f"{where}: {quote(name)} and {quote(name + SUFFIX)}: NumPy takes the second for "
                "the member of the first, so npz cannot hold both"
            )


def _find_fault(name: str) -> str | None:
    try:
        size = len(name.encode()) + len(SUFFIX)
    except UnicodeEncodeError:
        return "not Unicode"
    if "\0" in name:
        return "there is a NUL in it"
    return f"a name of {size:,} bytes" if size > _MOST else None
