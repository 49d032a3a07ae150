"""PyTorch files since torch 1.6: zip files around a pickle.

The members of a file ``x.pt``, all of them stored and none deflated::

    x/data.pkl       the pickle of what was saved, in which each storage has a key
    x/byteorder      "little" or "big"; absent before torch 2.1, when it was the machine's
    x/data/<key>     the numbers of a storage
    x/version        of the format: up to 10
    x/…              what torch does not need to load it

The first name up to its slash is that of the whole. Sources: torch/serialization.py,
caffe2/serialize/inline_container.cc.

zipfile finds the members; where each begins is read from its own header
(:mod:`..npz.directory`), since the headers are padded so that the numbers begin at multiples of 64
bytes. A CRC-32 is stored for each member. It is 0 for all where torch was told to compute none
(set_crc32_options): then nothing is compared, and a note says so. Refused: deflated members and
TorchScript archives, which are programs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...errors import ChecksumError, FormatError, UnsupportedError
from ...quoting import quote
from ..limits import check_count
from ..npz.crc32 import crc32
from ..npz.directory import check_flags, find_data, open_archive
from .budget import RECORD
from .interpreter import MAX_PICKLE, interpret
from .names import SAVE_WEIGHTS
from .records import Contents, Record

if TYPE_CHECKING:
    import zipfile
    from typing import Final

    from ...io.source import SourceFile
    from .budget import Budget

PICKLE: Final = "data.pkl"
_LAST_VERSION: Final = 10
_OTHERS: Final = 16
"""Members that are no storage: torch writes up to seven, and folders may stand among them."""
_MOST_TEXT: Final = 64
"""Bytes of the members that are a word or a number."""
_ORDERS: Final = {b"little": False, b"big": True}


def open_zip(file: SourceFile, budget: Budget) -> Contents:
    """Read the pickle of a zip file, and find its storages; no numbers are read.

    Raises:
        FormatError: the zip file or the pickle is damaged, or they contradict each other.
        UnsupportedError: it is of another kind, or asks for what no weights need.
        UnreadableError: it cannot be read.
    """
    members = _Members.find(file, budget)
    if "constants.pkl" in members.found:
        raise UnsupportedError(
            f"{file.path}: a TorchScript archive, which is a program with weights; {SAVE_WEIGHTS}"
        )
    version = members.read("version", _MOST_TEXT)
    if version is not None and not _is_known(version):
        raise UnsupportedError(
            f"{file.path}: version {version!r} of the format, where the last one known is "
            f"{_LAST_VERSION}"
        )
    order = members.read("byteorder", _MOST_TEXT)
    if order is not None and order not in _ORDERS:
        raise FormatError(f"{file.path}: byteorder: little or big expected, found {order!r}")
    data = members.read(PICKLE, MAX_PICKLE)
    if data is None:
        raise FormatError(f"{file.path}: no {PICKLE} among its members, so torch did not save it")
    budget.add_header(len(data))
    pickle = interpret(data, f"{file.path}: {PICKLE}", budget=budget)
    if left := len(data) - pickle.end:
        raise FormatError(
            f"{file.path}: {PICKLE}: {left:,} bytes after its end belong to nothing; fetch it again"
        )
    check_count(len(pickle.storages), str(file.path))
    return Contents(
        value=pickle.value,
        records={
            key: members.find_record(f"data/{key}", storage.numel * (storage.dtype.itemsize or 1))
            for key, storage in pickle.storages.items()
        },
        swap=order is not None and _ORDERS[order],
        notes=() if members.checksums else ("the file has no checksums: torch was told so",),
    )


def _is_known(version: bytes) -> bool:
    digits = version.strip()
    return digits.isdigit() and 1 <= int(digits) <= _LAST_VERSION


@dataclass(frozen=True, slots=True)
class _Members:
    """The members of a file by their names within it."""

    file: SourceFile
    found: dict[str, zipfile.ZipInfo]
    checksums: bool

    @classmethod
    def find(cls, file: SourceFile, budget: Budget) -> _Members:
        """List them.

        Raises:
            FormatError: the directory is damaged, or names a member twice.
            UnsupportedError: it is larger than the budget allows.
        """
        members = open_archive(file, _OTHERS).infolist()
        budget.add_header(sum(RECORD + len(member.filename) for member in members))
        first = members[0].filename if members else ""
        folder = first[: first.find("/") + 1]
        found: dict[str, zipfile.ZipInfo] = {}
        for member in members:
            name = member.filename.removeprefix(folder)
            if name in found:
                raise FormatError(f"{file.path}: {quote(member.filename)} stands twice")
            found[name] = member
        return cls(file, found, any(member.CRC for member in members))

    def read(self, name: str, most: int) -> bytes | None:
        """Return all of a small member, None if there is none.

        Raises:
            FormatError: it is damaged, or has more bytes than make sense.
        """
        member = self.found.get(name)
        if member is None:
            return None
        if member.file_size > most:
            raise FormatError(
                f"{self.file.path}: {quote(member.filename)}: {member.file_size:,} bytes, where at "
                f"most {most:,} make sense"
            )
        record = self.find_record(name, member.file_size)
        data = record.read(0, record.nbytes, record.name)
        if record.crc is not None and crc32(data) != record.crc:
            raise ChecksumError(
                f"{self.file.path}: {record.name}: CRC-32 {record.crc:#010x} expected from the zip "
                f"directory, found {crc32(data):#010x}: the data is corrupt; fetch it again"
            )
        return data

    def find_record(self, name: str, nbytes: int) -> Record:
        """Return where the bytes of a member are.

        Raises:
            FormatError: there is none, it has another length, or its header is damaged.
            UnsupportedError: it is deflated or encrypted.
        """
        path, member = self.file.path, self.found.get(name)
        if member is None:
            raise FormatError(f"{path}: {quote(name)} is missing; fetch the file again")
        place = f"{path}: {quote(member.filename)}"
        check_flags(member, place, "torch")
        if member.compress_type:
            raise UnsupportedError(
                f"{place}: zip compression {member.compress_type}, where torch.save has none; "
                "unpack it and zip it again without compression (zip -0 -r)"
            )
        if member.file_size != nbytes or member.compress_size != nbytes:
            raise FormatError(
                f"{place}: {nbytes:,} bytes expected by {PICKLE}, found {member.compress_size:,} "
                f"of {member.file_size:,}"
            )
        start = find_data(self.file, member, place)
        if start + nbytes > self.file.size:
            raise FormatError(
                f"{place}: truncated: needs bytes {start:,} to {start + nbytes:,}, but the file "
                f"has {self.file.size:,}"
            )
        crc = member.CRC if self.checksums else None
        return Record(self.file, quote(member.filename), start, nbytes, crc)
