"""Which container is this? By magic bytes and siblings, never only by the suffix."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import (
    FormatError,
    Gpt2ConvertError,
    SourceNotFoundError,
    UnreadableError,
    UnsupportedError,
    UsageError,
)
from ..io.source import SourceFile, os_reason
from ..quoting import quote_some
from .engines import NATIVE, DeclinedError
from .foreign import explain_file, explain_folder
from .readers import READERS

if TYPE_CHECKING:
    from typing import Final

    from ..checkpoint.canonical import RawCheckpoint
    from .engines import Engine
    from .readers import Reader

_MOST_FOLDERS: Final = 100
"""Folders that are looked into where the one that was named holds no checkpoint."""


def open_raw(
    source: str | os.PathLike[str],
    step: int | None = None,
    format: str | None = None,
    engine: str | None = None,
) -> RawCheckpoint:
    """Open any container that the tool reads; ``step`` chooses in a folder of checkpoints.

    ``format`` is the key of READERS that alone will do. ``engine`` is NATIVE or one of that
    reader's engines; None means the native reader, and an engine for what that declines.

    Raises:
        SourceNotFoundError, UnreadableError: there is nothing to open.
        FormatError: no reader recognises it, or its reader finds it corrupt.
        UnsupportedError, UsageError: as the container's reader says.
    """
    path = checked_path(source)
    try:
        readers = [name for name, reader in READERS.items() if reader.recognises(path)]
        if not readers:
            raise _explain(path)
        if format in readers:
            readers = [format]
        titles = " and a ".join(READERS[name].title for name in readers)
        if format not in (None, *readers):
            wanted = READERS[format].title if format in READERS else format
            raise UsageError(f"{path}: a {titles}, not a {wanted}; 'convert' takes any")
        if len(readers) > 1:
            raise UsageError(f"{path}: holds a {titles}; name the file that is meant")
        reader = READERS[readers[0]]
        if step is not None and not reader.has_steps:
            raise UsageError(f"{path}: --step chooses within a folder of checkpoints")
        if engine in (None, NATIVE):
            return _open_or_hand_over(reader, path, step, hand_over=engine is None)
        return find_engine(readers[0], engine, str(path)).open(path, step)
    except Gpt2ConvertError:
        raise  # some are OSErrors
    except OSError as error:
        raise UnreadableError(f"{path}: {os_reason(error)}") from None


def find_engine(format: str, engine: str, where: str) -> Engine:
    """Return that engine for a container of ``format``, if it is installed.

    Raises:
        UsageError: there is none of that name.
        UnsupportedError: it is not installed.
    """
    known = {name: found for reader in READERS.values() for name, found in reader.engines.items()}
    if engine not in known:
        raise UsageError(f"no such engine: {engine!r}; there are: {', '.join([NATIVE, *known])}")
    reader = READERS[format]
    if engine not in reader.engines:
        raise UsageError(f"{where}: {known[engine].title} does not read a {reader.title}")
    try:
        reader.engines[engine].require()
    except UnsupportedError as error:
        raise UnsupportedError(f"{where}: {error}") from None
    return reader.engines[engine]


def _open_or_hand_over(
    reader: Reader, path: Path, step: int | None, *, hand_over: bool
) -> RawCheckpoint:
    try:
        return reader.open(path, step)
    except DeclinedError as error:
        declined = str(error)
    for name, engine in reader.engines.items():
        if not hand_over:
            raise UnsupportedError(f"{declined}, which {engine.title} alone reads: --engine {name}")
        try:
            engine.require()
        except UnsupportedError as error:
            raise UnsupportedError(
                f"{declined}, which {engine.title} alone reads; {error}"
            ) from None
        raw = engine.open(path, step)
        return replace(raw, notes=(*raw.notes, f"{declined}: read by {raw.engine}"))
    raise UnsupportedError(declined)


def checked_path(given: str | os.PathLike[str], what: str = "source") -> Path:
    """Return the path, checked for what no file name can be; ``what`` is said in the error.

    Raises:
        UsageError: it is empty or holds a zero byte.
    """
    text = os.fspath(given)
    if not text:
        raise UsageError(f"the {what} is an empty path")
    try:
        encoded = os.fsencode(text)
    except UnicodeEncodeError:
        raise UsageError(f"{text!r}: holds a character that no file name can hold") from None
    if 0 in encoded:
        raise UsageError(f"{text!r}: a path cannot hold a zero byte")
    return Path(text)


def _explain(path: Path) -> Gpt2ConvertError:
    """Return the error for a path that no reader recognises."""
    known = ", ".join(reader.title for reader in READERS.values())
    if path.is_dir():
        entries = sorted(path.iterdir())
        for each in entries:
            if each.is_file() and _is_recognised(each):
                return SourceNotFoundError(f"{path}: holds {each.name!r}; name that file")
        if stranger := explain_folder(path):
            return stranger
        folders = [each.name for each in entries if each.is_dir()][:_MOST_FOLDERS]
        found = [name for name in folders if _is_recognised(path / name)]
        way = f"there is one in {quote_some(found)}; name that" if found else f"known are: {known}"
        return SourceNotFoundError(f"{path}: no checkpoint in this folder; {way}")
    file = SourceFile(path)
    try:
        unknown = explain_file(file)
        head = file.read(0, min(file.size, 8), "the magic")
    finally:
        file.close()
    return unknown or FormatError(f"{path}: starts with {head!r}, unknown here; known are: {known}")


def _is_recognised(path: Path) -> bool:
    """Whether a reader may open what is there; what cannot be listed or read is nobody's."""
    try:
        return any(reader.recognises(path) for reader in READERS.values())
    except (Gpt2ConvertError, OSError):
        return False
