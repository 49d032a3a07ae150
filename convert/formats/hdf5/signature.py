"""The signature of HDF5, which stands at byte 0, 512 or any doubling of that.

Whether a file has it is asked of each file that is looked at, so this module loads nothing of what
reads one.

Format: The HDF Group, HDF5 File Format Specification 3.0, II.A.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...io.source import SourceFile

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Final

NAME: Final = "hdf5"
_SIGNATURE: Final = b"\x89HDF\r\n\x1a\n"
_FIRST_USER_BLOCK: Final = 512


def recognises(path: Path) -> bool:
    """Whether ``path`` has the signature of HDF5 where the format allows it."""
    if not path.is_file():
        return False
    file = SourceFile(path)
    try:
        return find_signature(file) is not None
    finally:
        file.close()


def find_signature(file: SourceFile) -> int | None:
    """Return where in ``file`` the signature is, which is where HDF5 begins; None without one."""
    offset = 0
    while offset + len(_SIGNATURE) <= file.size:
        if file.read(offset, len(_SIGNATURE), "the signature") == _SIGNATURE:
            return offset
        offset = offset * 2 or _FIRST_USER_BLOCK
    return None
