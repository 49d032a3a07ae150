"""The two signatures of PyTorch files: a zip file of a pickle, and a pickle of a magic number.

Whether a file has one is asked of each file that is looked at, so this module loads nothing of what
reads one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...io.source import SourceFile

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Final

NAME: Final = "pytorch"
INDEX: Final = ".bin.index.json"
"""What ends the name of the index of a model in several files."""
MAGIC: Final = 0x1950A86A20F9469CFC6C
"""What a file of before torch 1.6 begins with, pickled as LONG1 in whichever protocol."""
HEAD: Final = 512
"""Bytes in which the name of a zip file's first member ends: it begins with that of the file."""
_PICKLED: Final = b"\x8a\x0a" + MAGIC.to_bytes(10, "little") + b"."
_PROTOCOL: Final = b"\x80"
_LOCAL: Final = b"PK\x03\x04"
_MEMBERS: Final = (b"data.pkl", b"data/0", b"constants.pkl", b"version", b"byteorder")


def recognises(path: Path) -> bool:
    """Whether ``path`` is a PyTorch file, or the index of several."""
    if not path.is_file():
        return False
    if path.name.endswith(INDEX):
        return True
    file = SourceFile(path)
    try:
        return has_signature(file.read(0, min(file.size, HEAD), "the signature"))
    finally:
        file.close()


def has_signature(head: bytes) -> bool:
    """Whether the first bytes of a file, HEAD or all of them, are those of a PyTorch file."""
    return is_zip(head) or (head.startswith(_PROTOCOL) and _PICKLED in head)


def is_zip(head: bytes) -> bool:
    """Whether it is a zip file whose first member is one that torch writes: ``<name>/data.pkl``.

    In TorchScript archives it is a storage, ``<name>/data/0``.
    """
    size = int.from_bytes(head[26:28], "little")
    _, slash, name = head[30 : 30 + size].partition(b"/")
    return head.startswith(_LOCAL) and bool(slash) and name in _MEMBERS
