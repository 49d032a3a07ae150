"""What a file should hold, and whether it does: its size and its digest, read from the disk.

A digest is a SHA-256, or the SHA-1 that git gives a file: of ``blob <size>``, a zero byte and the
bytes (git-scm.com/book, "Git Objects"). The Hugging Face Hub states the first of large files and
the second of small ones.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..io.source import SourceFile

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Final

    from ..progress import Progress

SHA256: Final = "SHA-256"
GIT_SHA1: Final = "git SHA-1"
VERIFYING: Final = "verifying"
"""The phase in which files are read again."""
_DIGESTS: Final = {64: SHA256, 40: GIT_SHA1}
_HEXADECIMAL: Final = re.compile("[0-9a-f]+")


@dataclass(frozen=True, slots=True)
class Digest:
    """A hash, in hexadecimal, and of which kind it is."""

    kind: str
    value: str

    def __str__(self) -> str:
        return f"{self.kind} {self.value}"


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a file before it is there; None for what is not."""

    nbytes: int | None = None
    digest: Digest | None = None


@dataclass(frozen=True, slots=True)
class Content:
    """What a file holds: its size, its SHA-256, and the digest of the kind that was asked for."""

    nbytes: int
    sha256: str
    digest: Digest

    def difference(self, known: Known) -> str | None:
        """Return how it differs from what is known; None if it does not."""
        if known.nbytes not in (None, self.nbytes):
            return f"{self.nbytes:,} bytes, where {known.nbytes:,} are expected"
        if known.digest not in (None, self.digest):
            return f"{self.digest}, where {known.digest} is expected"
        return None


def parse_digest(text: str | None) -> Digest | None:
    """Return the digest that an entity tag such as ``"607a30d7…"`` is; None if it is none."""
    value = (text or "").removeprefix("W/").strip('"')
    kind = _DIGESTS.get(len(value))
    return Digest(kind, value) if kind and _HEXADECIMAL.fullmatch(value) else None


def hash_bytes(data: bytes, kind: str) -> Digest:
    """Return the digest of ``data`` of that kind."""
    running = _start_hash(kind, len(data))
    running.update(data)
    return Digest(kind, running.hexdigest())


def read_content(path: Path, known: Known, progress: Progress) -> Content:
    """Read a file to its end; ``known`` says of which kind the digest is to be.

    Raises:
        SourceNotFoundError, UnreadableError, FormatError: it cannot be read.
    """
    file = SourceFile(path)
    try:
        running = _start_hash(SHA256, file.size)
        kind = known.digest.kind if known.digest is not None else SHA256
        also = running if kind == SHA256 else _start_hash(kind, file.size)
        done = 0
        progress(VERIFYING, done, file.size)
        for chunk in file.chunks(0, file.size, "the file"):
            running.update(chunk)
            if also is not running:
                also.update(chunk)
            done += len(chunk)
            progress(VERIFYING, done, file.size)
    finally:
        file.close()
    return Content(file.size, running.hexdigest(), Digest(kind, also.hexdigest()))


def compare_content(path: Path, known: Known, progress: Progress) -> tuple[Content | None, str]:
    """Return what a file holds, and how it differs from what is known: "" if it does not.

    A file of another size is not read: there is no content then.

    Raises:
        Gpt2ConvertError: it cannot be read.
    """
    file = SourceFile(path)
    file.close()
    if known.nbytes not in (None, file.size):
        return None, f"{file.size:,} bytes, where {known.nbytes:,} are expected"
    content = read_content(path, known, progress)
    return content, content.difference(known) or ""


def _start_hash(kind: str, nbytes: int) -> hashlib._Hash:
    """Return a hash of that kind, of nothing yet, for so many bytes."""
    if kind == SHA256:
        return hashlib.sha256()
    # The Hub has no better digest of small files; nobody's safety rests on it alone.
    return hashlib.sha1(b"blob %d\0" % nbytes, usedforsecurity=False)
