"""Which container is this? By magic bytes and siblings, never only by the suffix."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import (
    FormatError,
    Gpt2ConvertError,
    SourceNotFoundError,
    UnsupportedError,
    UsageError,
)
from ..io.source import SourceFile
from ..quoting import quote_some
from .folders import list_names
from .foreign import explain_candidate, explain_file, explain_folder
from .foreign_kinds import describe_archive
from .huggingface.folder import find_other_container
from .limits import MAX_LOOKUPS
from .readers import READERS
from .safetensors import reader as safetensors

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Final


_HEAD: Final = 4096
_MOST_FOLDERS: Final = 20
"""Folders that are looked into where the one that was named holds no checkpoint."""


def detect(path: Path, format: str | None = None) -> str:
    """Return the key of READERS of the container at ``path``; ``format`` is the one that will do.

    Raises:
        SourceNotFoundError, UnreadableError: there is nothing, or it cannot be looked at.
        FormatError, UnsupportedError: no reader takes it.
        UsageError: several do, or it is none of ``format``.
    """
    found = [name for name, reader in READERS.items() if reader.recognises(path)]
    if not found:
        raise _explain(path)
    if format == safetensors.NAME and found == [find_other_container(path)]:
        return found[0]  # a Hugging Face model as much as one in safetensors
    if format in found:
        found = [format]
    titles = " and ".join(_name(READERS[name].title) for name in found)
    if format is not None and format not in found:
        wanted = READERS[format].title if format in READERS else format
        raise UsageError(f"{path}: {titles}, not {_name(wanted)}; 'convert' takes any")
    if len(found) > 1:
        raise UsageError(f"{path}: holds {titles}; name the file that is meant")
    return found[0]


def _name(title: str) -> str:
    return f"an {title}" if title.startswith("HDF5") else f"a {title}"


def _explain(path: Path) -> Gpt2ConvertError:
    """Return the error for a path that no reader recognises."""
    known = ", ".join(reader.title for reader in READERS.values())
    if path.is_dir():
        names = list_names(path)
        looked_at = [path / name for name in names[:MAX_LOOKUPS]]
        for each in looked_at:
            if each.is_file() and _is_recognised(each):
                if text := _describe_archive(each):
                    return UnsupportedError(f"{path}: holds {each.name!r}: {text}")
                return SourceNotFoundError(f"{path}: holds {each.name!r}; name that file")
        if known_as := explain_folder(path):
            return known_as
        if len(looked_at) < len(names):
            return SourceNotFoundError(
                f"{path}: no checkpoint among the first {MAX_LOOKUPS:,} of {len(names):,} names in "
                "this folder; name its file"
            )
        folders = [each.name for each in looked_at if each.is_dir()][:_MOST_FOLDERS]
        found = [name for name in folders if _is_recognised(path / name)]
        if not found and (foreign := _find_foreign(looked_at)):
            return foreign
        way = f"there is one in {quote_some(found)}; name that" if found else f"known are: {known}"
        return SourceNotFoundError(f"{path}: no checkpoint in this folder; {way}")
    file = SourceFile(path)
    try:
        unknown = explain_file(file)
        head = file.read(0, min(file.size, 8), "the magic")
    finally:
        file.close()
    return unknown or FormatError(f"{path}: starts with {head!r}, unknown here; known are: {known}")


def _describe_archive(path: Path) -> str | None:
    file = SourceFile(path)
    try:
        return describe_archive(file.read(0, min(file.size, _HEAD), "the start"))
    finally:
        file.close()


def _find_foreign(paths: list[Path]) -> Gpt2ConvertError | None:
    """Return the error of the first of these files that somebody may take for a checkpoint."""
    for path in paths:
        if path.is_file():
            try:
                error = explain_candidate(path)
            except Gpt2ConvertError:
                continue
            if error:
                return error
    return None


def _is_recognised(path: Path) -> bool:
    """Whether a reader may open what is there; False for what cannot be listed or read."""
    try:
        return any(reader.recognises(path) for reader in READERS.values())
    except (Gpt2ConvertError, OSError):
        return False
