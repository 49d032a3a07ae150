r"""SHA-256 sums of files, in the format that sha256sum prints and ``sha256sum -c`` reads.

A line a file: 64 hexadecimal digits, two spaces and the name, as bytes. A name with a backslash, a
newline or a carriage return has these as ``\\``, ``\n`` and ``\r``, and its line starts with a
backslash. The lines stand in the order of the names' bytes, whatever the locale.

Source: the manual of GNU coreutils, "md5sum invocation".
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Final

    from .summary import Json

_ESCAPES: Final = ((b"\\", b"\\\\"), (b"\n", b"\\n"), (b"\r", b"\\r"))
_LINE: Final = re.compile(rb"\\?[0-9a-f]{64} [ *][^\n]")


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """A file that was written: its path as the target was named, its bytes, and their SHA-256."""

    path: str
    nbytes: int
    sha256: str

    def as_json(self) -> Json:
        """Return it as it stands in a report."""
        return {"path": self.path, "bytes": self.nbytes, "sha256": self.sha256}


def list_sums(files: Iterable[WrittenFile]) -> Iterator[bytes]:
    """Yield the line of each file."""
    for name, sha256 in sorted((os.fsencode(each.path), each.sha256) for each in files):
        spelt = name
        for byte, escape in _ESCAPES:
            spelt = spelt.replace(byte, escape)
        mark = b"" if spelt == name else b"\\"
        yield b"%s%s  %s\n" % (mark, sha256.encode(), spelt)


def starts_as_sums(beginning: bytes) -> bool:
    """Whether a file with that beginning is a list of SHA-256 sums."""
    return _LINE.match(beginning) is not None
