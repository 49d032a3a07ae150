"""Where a conversion goes: the format, what may be replaced, and the room there is."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import Advice, Gpt2ConvertError, UsageError
from ..formats.companion_kinds import is_replaceable
from ..formats.writers import WRITERS
from ..io.atomic import blame, check_target, partial_file, protect
from ..io.atomic_folder import check_folder_target, partial_folder
from ..io.free_space import check_free_space

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Final

    from ..checkpoint.collection import TensorCollection
    from ..formats.companions import Beside
    from ..formats.writers import Compression, TargetFormat, Writer
    from ..io.atomic import Partial

_FOLDER: Final = "/"
"""The end of the name of a folder, which need not be there if the folder is."""


def choose_format(
    target: str | os.PathLike[str],
    to: TargetFormat | None,
    compress: Compression | None,
    *,
    as_is: bool = False,
) -> str:
    """Return the key of WRITERS that ``to``, or else the end of the target's name, asks for.

    Raises:
        UsageError: there is none, or it is a file where a folder is named, or it is not compressed
            in this way, or has room for a GPT-2 alone.
    """
    named = os.fspath(target)
    into = to or _format_of(named)
    if into not in WRITERS:
        raise UsageError(f"no such format: {into!r}; there are: {', '.join(WRITERS)}")
    writer = WRITERS[into]
    if as_is and writer.folder_of:
        files = ", ".join(name for name, each in WRITERS.items() if not each.folder_of)
        raise UsageError(
            f"{named}: a {writer.title} has the names and the configuration of a GPT-2, and a "
            f"checkpoint that is taken as it is has its own; it goes into {files}"
        )
    if named.endswith("/") and not writer.folder_of:
        raise UsageError(f"{named}: names a folder, and {into} is one file")
    if compress is not None and compress not in writer.compressed:
        raise UsageError(f"{writer.title} cannot be compressed with {compress!r} here")
    return into


@contextmanager
def partial_target(
    target: Path,
    writer: Writer,
    checkpoint: TensorCollection,
    beside: Beside,
    nbytes: int,
    *,
    force: bool,
) -> Iterator[Partial]:
    """Yield what becomes ``target`` when the block ends well, if it may be written.

    It will hold ``nbytes`` of weights at least, and copies of the companions.

    Raises:
        TargetExistsError, TargetError, UsageError: as in :mod:`..io.atomic`; or there is no room.
    """
    sources = protect(Path(file.path) for file in checkpoint.raw.files if file.nbytes is not None)
    if writer.folder_of:
        names = writer.folder_of | {each.name for each in beside.companions}

        def replaceable(name: str) -> bool:
            return name in names or is_replaceable(name)

        final = check_folder_target(target, force=force, sources=sources, replaceable=replaceable)
        made = partial_folder(final, force=force, sources=sources, replaceable=replaceable)
    else:
        final = check_target(target, force=force, sources=sources)
        made = partial_file(final, force=force, sources=sources)
    nbytes += sum(os.path.getsize(each.path) for each in beside.companions)
    with blame(target):
        check_free_space(final.parent, nbytes, os.fspath(target))
    with made as partial:
        try:
            yield partial
        except Gpt2ConvertError as error:
            # People know the target by its name, and not by the one that it is made under.
            error.replace(os.fspath(partial.path), os.fspath(target))
            raise


def _format_of(target: str) -> str:
    """Return the format that the end of a target's name asks for."""
    for name, writer in WRITERS.items():
        if target.lower().endswith(writer.suffixes):
            return name
        if _FOLDER in writer.suffixes and os.path.isdir(target):
            return name
    known = ", ".join(
        f"{writer.suffixes[0]!r} ({name})" for name, writer in WRITERS.items() if writer.suffixes
    )
    raise UsageError(
        f"{target}: which format? its name ends with none of {known}",
        Advice("say it with {}", "to"),
    )
