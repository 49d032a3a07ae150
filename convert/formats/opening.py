"""From a path to a raw checkpoint: its container's reader, or another engine, opens it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ..errors import Advice, UnreadableError, UnsupportedError, UsageError
from ..io.os_errors import os_errors_as
from ..io.source import check_path
from .detect import detect
from .engines import NATIVE, DeclinedError
from .hub_cache import find_snapshot
from .readers import READERS
from .statements import read_beside

if TYPE_CHECKING:
    import os
    from pathlib import Path

    from ..checkpoint.raw import RawCheckpoint
    from .engines import Engine
    from .readers import Reader


def open_raw(
    source: str | os.PathLike[str],
    step: int | None = None,
    format: str | None = None,
    engine: str | None = None,
    *,
    beside: bool = True,
) -> RawCheckpoint:
    """Open any container that the tool reads; ``step`` chooses in a folder of checkpoints.

    ``format`` is the key of READERS that alone will do. ``engine`` is NATIVE or one of that
    reader's engines; None means the native reader, and an engine for what that declines. What is
    stated in files ``beside`` the weights is read, unless that is False.

    Raises:
        SourceNotFoundError, UnreadableError: there is nothing to open.
        FormatError: no reader recognises it, or its reader finds it corrupt.
        UnsupportedError, UsageError: as the container's reader says.
    """
    path = check_path(source)
    with os_errors_as(UnreadableError, path):
        path = find_snapshot(path)
        name = detect(path, format)
        reader = READERS[name]
        if step is not None and not reader.has_steps:
            raise UsageError(f"{path}: a step chooses within a folder of checkpoints")
        if engine in (None, NATIVE):
            raw = _open_or_hand_over(reader, path, step, hand_over=engine is None)
        else:
            raw = find_engine(name, engine, str(path)).open(path, step)
        raw = replace(raw, folder_named=path.is_dir())
        return read_beside(raw) if beside else raw


def open_written(path: Path, format: str) -> RawCheckpoint:
    """Open what this tool has just written, with a word of the container's official library.

    Raises:
        FormatError: it is refused, by this reader or by that library, or they disagree.
    """
    reader = READERS[format]
    raw = (reader.reopen or reader.open)(path, None)
    return read_beside(replace(raw, folder_named=path.is_dir()))


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
            raise UnsupportedError(
                f"{declined}, which {engine.title} alone reads",
                Advice("allow it with {}", "engine", name),
            )
        try:
            engine.require()
        except UnsupportedError as error:
            raise UnsupportedError(
                f"{declined}, which {engine.title} alone reads; {error}"
            ) from None
        raw = engine.open(path, step)
        return replace(raw, notes=(*raw.notes, f"{declined}: read by {raw.engine}"))
    raise UnsupportedError(declined)
