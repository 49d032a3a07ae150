"""PyTorch files of before torch 1.6: pickles, and the storages behind them.

::

    a pickle of the number MAGIC
    a pickle of the number 1001, the version
    a pickle of a dict, which says how large the machine's numbers were
    a pickle of what was saved, in which each storage has a key
    a pickle of a list of the keys, in the order of the storages
    of each storage the number of its elements (int64), and these

All numbers are little-endian, whatever the machine was. There are no checksums. Source:
torch/serialization.py, torch/csrc/serialization.cpp.

Not read: what torch wrote before 0.1.10, a tar file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...errors import FormatError, UnsupportedError
from ...quoting import quote
from ..limits import check_count
from .interpreter import MAX_PICKLE, interpret
from .machine import TruncatedError
from .records import Contents, Record
from .signature import MAGIC
from .values import Kind, Node, describe

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Final

    from ...io.source import SourceFile
    from .budget import Budget
    from .interpreter import Pickle
    from .values import Storage

_VERSION: Final = 1001
_LENGTH: Final = 8
"""Bytes of the number in front of each storage."""
_FIRST: Final = 256 << 10
"""Bytes that are read at first: the pickles of any model, and few enough for shards by the
thousand."""


def open_legacy(file: SourceFile, budget: Budget) -> Contents:
    """Read the pickles at the start of a file, and find its storages; no numbers are read.

    Raises:
        FormatError: a pickle is damaged, or the storages are not those that it mentions.
        UnsupportedError: it is of another version, or asks for what no weights need.
        UnreadableError: it cannot be read.
    """
    for most in (_FIRST, MAX_PICKLE):
        head = file.read(0, min(file.size, most), "the pickles")
        left = budget.opcodes
        try:
            return _open(file, head, budget)
        except TruncatedError:
            budget.opcodes = left  # the same ones follow
    raise UnsupportedError(
        f"{file.path}: its pickles have more than {MAX_PICKLE:,} bytes, where those of a GPT-2 are "
        "some tens of thousands"
    )


def _open(file: SourceFile, head: bytes, budget: Budget) -> Contents:
    """Read the pickles in the first bytes of a file.

    Raises:
        TruncatedError: they go on behind these.
    """
    path, end = file.path, 0

    def read(what: str) -> Pickle:
        nonlocal end
        whole = len(head) == file.size
        found = interpret(head, f"{path}: {what}", end, whole=whole, budget=budget)
        end = found.end
        return found

    if read("magic number").value != MAGIC:
        raise FormatError(f"{path}: magic number: {MAGIC:#x} expected, found another")
    version = read("version").value
    if version != _VERSION:
        raise UnsupportedError(
            f"{path}: version {describe(version)} of the format, where {_VERSION} is the one "
            "that is known"
        )
    read("system")
    saved = read("pickle")
    keys = read("storage keys")
    budget.add_header(end)
    check_count(len(saved.storages), str(path))
    names = _parse_keys(keys.value, saved.storages, f"{path}: storage keys")
    records, fault = _find_records(file, end, [saved.storages[name] for name in names])
    return Contents(saved.value, records, fault=fault)


def _parse_keys(value: object, storages: Mapping[str, Storage], place: str) -> list[str]:
    if not isinstance(value, Node) or value.kind is not Kind.LIST:
        raise FormatError(f"{place}: a list expected, found {describe(value)}")
    names = [key for key in value if isinstance(key, str)]
    for key in value:
        if not isinstance(key, str) or key not in storages:
            raise FormatError(f"{place}: {describe(key)} is the key of no storage of a tensor")
    if len(set(names)) < len(names):
        raise FormatError(f"{place}: one stands twice")
    if absent := storages.keys() - set(names):
        raise FormatError(f"{place}: the storage {quote(min(absent))} of a tensor is missing")
    return names


def _find_records(
    file: SourceFile, start: int, storages: list[Storage]
) -> tuple[dict[str, Record], FormatError | None]:
    """Return where each storage is, and the error of a file that ends before the last one does.

    Raises:
        FormatError: a storage has another length than the pickle says, or bytes are left over.
    """
    records: dict[str, Record] = {}
    fault: FormatError | None = None
    for storage in storages:
        name = f"the storage {quote(storage.key)}"
        nbytes = storage.numel * (storage.dtype.itemsize or 1)
        if fault is None and start + _LENGTH <= file.size:
            numel = int.from_bytes(file.read(start, _LENGTH, name), "little", signed=True)
            if numel != storage.numel:
                raise FormatError(
                    f"{file.path}: {name}: {storage.numel:,} elements expected by the pickle, "
                    f"found {numel:,}"
                )
        start += _LENGTH
        records[storage.key] = Record(file, name, start, nbytes, None)
        start += nbytes
        if fault is None and start > file.size:
            fault = FormatError(
                f"{file.path}: truncated: {name} needs bytes {start - nbytes:,} to {start:,}, but "
                f"the file has {file.size:,}; fetch it again"
            )
    if start < file.size:
        raise FormatError(
            f"{file.path}: {file.size - start:,} bytes after the last storage belong to nothing; "
            "fetch it again"
        )
    return records, fault
