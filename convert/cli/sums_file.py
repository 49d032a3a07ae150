"""The file that --sums names: the SHA-256 of every file that the job has written."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from ..reports.sums import list_sums, starts_as_sums
from .side_files import SideFile
from .streams import escape

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..reports.sums import WrittenFile


def sums_file(path: str) -> SideFile:
    """Return the file of that path, which replaces no other than a list of sums."""
    return SideFile(path, "list of SHA-256 sums", starts_as_sums)


def print_sums(files: Iterable[WrittenFile]) -> None:
    """Print the list: a pipe gets the bytes of the names, and a terminal what is safe for it."""
    if sys.stdout.isatty():
        for line in list_sums(files):
            text = line.decode("utf-8", "surrogateescape").removesuffix("\n")
            sys.stdout.write(f"{escape(text, sys.stdout)}\n")
        return
    sys.stdout.flush()
    sys.stdout.buffer.writelines(list_sums(files))
