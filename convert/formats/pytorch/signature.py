"""The two signatures of PyTorch files: a zip file of a pickle, and a pickle of a magic number.

Whether a file has one is asked of each file that is looked at, so this module loads nothing of what
reads one.
"""

from __future__ import annotations

import struct
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
HEAD: Final = 1024
"""Bytes in which the name of the first member of a zip file ends, which begins with that of the
file; folders may stand in front."""
_PICKLED: Final = b"\x8a\x0a" + MAGIC.to_bytes(10, "little") + b"."
_PROTOCOL: Final = b"\x80"
_LOCAL: Final = b"PK\x03\x04"
_LOCAL_SIZE: Final = 30
_LENGTHS: Final = struct.Struct("<HH")
_LENGTHS_AT: Final = 26
"""Where in a member's header the lengths of its name and of its extra field are."""
_MEMBERS: Final = (b"data.pkl", b"constants.pkl", b"version", b"byteorder", b".format_version",
                   b".storage_alignment", b".data/serialization_id")  # fmt: skip
_STORAGES: Final = b"data/"


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

    In TorchScript archives it is a storage, ``<name>/data/0``. Where somebody unpacked a file and
    zipped it again, folders come first, and then any member of ``<name>``.
    """
    at = 0
    while head.startswith(_LOCAL, at):
        size, extra = _LENGTHS.unpack_from(head.ljust(at + _LOCAL_SIZE), at + _LENGTHS_AT)
        start = at + _LOCAL_SIZE
        _, slash, name = head[start : start + size].partition(b"/")
        if slash and (name in _MEMBERS or _is_storage(name)):
            return True
        if not slash or (name and not name.endswith(b"/")):
            return False
        at = start + size + extra
    return False


def _is_storage(name: bytes) -> bool:
    return name.startswith(_STORAGES) and name[len(_STORAGES) :].isdigit()
