"""The SHA-256 of every file of a target, taken before the target has its name."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

from ..io.source import SourceFile
from ..reports.sums import WrittenFile

if TYPE_CHECKING:
    from pathlib import Path

    from ..progress import Progress


def hash_target(made: Path, target: Path, progress: Progress) -> tuple[WrittenFile, ...]:
    """Return the files at ``made``, a file or a folder of files, by the paths of ``target``.

    Raises:
        UnreadableError, FormatError: one cannot be read to its end.
    """
    names = sorted(each.name for each in made.iterdir()) if made.is_dir() else [""]
    total, done = sum((made / name).stat().st_size for name in names), 0
    written: list[WrittenFile] = []
    for name in names:
        file = SourceFile(made / name)
        running = hashlib.sha256()
        try:
            for chunk in file.chunks(0, file.size, "the file"):
                running.update(chunk)
                done += len(chunk)
                progress("hashing", done, total)
        finally:
            file.close()
        written.append(WrittenFile(os.fspath(target / name), file.size, running.hexdigest()))
    return tuple(written)
