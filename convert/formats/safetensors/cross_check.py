"""The official library as the witness of a file that this tool has just written.

What is checked by whom: the library opens the file and so accepts its header, which includes that
the tensors cover the data without hole or overlap; names, order, dtypes, shapes and metadata must
be those that :mod:`.header` finds. The place of every tensor follows from these, so the bytes at
the offsets of our header are the ones that the library would hand out. To read and compare them
is the verification's part, with pread: the library maps files, and has no NumPy type for bfloat16.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...errors import FormatError
from ...io.source import SourceFile
from ...io.strict_json import describe
from ...quoting import clip
from .header import CODES, read_header

if TYPE_CHECKING:
    from pathlib import Path


def confirm(path: Path) -> None:
    """Compare our reading of the header of the file at ``path`` with the safetensors library's.

    Raises:
        FormatError: the library refuses the file, or reads it differently.
    """
    from safetensors import SafetensorError, safe_open

    file = SourceFile(path)
    try:
        header = read_header(file)
    finally:
        file.close()
    ours = {entry.name: (CODES[entry.dtype], list(entry.shape)) for entry in header.entries}
    # Empty tensors begin where others do, and the library puts them in no fixed order.
    order = [entry.name for entry in header.entries if entry.begin != entry.end]
    try:
        with safe_open(path, framework="numpy") as library:
            slices = {name: library.get_slice(name) for name in library.offset_keys()}
            theirs = {name: (part.get_dtype(), part.get_shape()) for name, part in slices.items()}
            metadata = library.metadata() or {}
    except SafetensorError as error:
        raise FormatError(
            f"{path}: the safetensors library refuses it: {clip(str(error))}"
        ) from None
    for name in sorted(ours.keys() | theirs.keys()):
        if ours.get(name) != theirs.get(name):
            raise FormatError(
                f"{path}: {describe(name)}: {theirs.get(name)} by the safetensors library, "
                f"{ours.get(name)} by this tool"
            )
    if order != [name for name in theirs if 0 not in theirs[name][1]]:
        raise FormatError(f"{path}: the safetensors library finds the tensors in another order")
    if metadata != header.metadata:
        raise FormatError(
            f"{path}: the safetensors library finds other metadata: {clip(str(metadata))}"
        )
