"""Names of tensors as paths of datasets: which group holds which.

The canonical ``blocks[0].attn.c_attn.w`` is ``/blocks/0/attn/c_attn/w``. A tensor under its own
name, ``bert/encoder/layer_0/kernel``, is in a group for each part before a slash, so that some
names have no place: a tensor cannot be the group of another, and no link has the name ``.`` or
none. ``..`` would be a link like any other for the library, and for no program that takes it for a
path.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from ...errors import UnsupportedError
from ...quoting import quote

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Final

Path: TypeAlias = tuple[str, ...]
"""The groups from the root on, and the dataset."""
MAX_OBJECTS: Final = 8_000
"""Groups and datasets, each of which takes the library a tenth of a millisecond: more than twice
what a GPT-2 of 48 layers has with the moments of its optimizer."""
MAX_DEPTH: Final = 32
"""Groups within groups: a GPT-2 needs four."""
_NO_NAMES: Final = ("", ".", "..")


def split_canonical(name: str) -> Path:
    """Return the path of a tensor by its canonical name."""
    return tuple(name.replace("[", ".").replace("]", "").split("."))


def split_own_names(names: Iterable[str], where: str) -> Mapping[str, Path]:
    """Return the path of each tensor by its own name; ``where`` is the source.

    Raises:
        UnsupportedError: there is none for one of them, one is in the way of another, or there are
            more than is read.
    """
    paths = {name: tuple(name.split("/")) for name in names}
    groups: dict[Path, str] = {}
    for name, path in paths.items():
        fault = _find_fault(name, path)
        if fault is not None:
            raise UnsupportedError(f"{where}: {quote(name)}: {fault}, so HDF5 cannot hold it")
        for end in range(1, len(path)):
            groups.setdefault(path[:end], name)
    for name, path in paths.items():
        if path in groups:
            raise UnsupportedError(
                f"{where}: {quote(name)} and {quote(groups[path])}: the first would be the group "
                "of the second, so HDF5 cannot hold both; npz and safetensors can"
            )
    if len(paths) + len(groups) >= MAX_OBJECTS:
        raise UnsupportedError(
            f"{where}: {len(paths) + len(groups):,} groups and datasets, where fewer than "
            f"{MAX_OBJECTS:,} are read again; npz and safetensors have no groups"
        )
    return paths


def _find_fault(name: str, path: Path) -> str | None:
    if "\0" in name:
        return "there is a NUL in it"
    odd = next((part for part in path if part in _NO_NAMES), None)
    if odd is not None:
        return f"a part of it is {quote(odd)}" if odd else "a part of it is empty"
    if len(path) > MAX_DEPTH:
        return f"{len(path) - 1:,} groups within each other"
    return None
