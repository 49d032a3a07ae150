"""TensorFlow checkpoints of any version, read by TensorFlow itself (tf.train.load_checkpoint).

Two uses: what the native reader declines, V1 checkpoints that is, and the witness: a source listed
and read a second time by a program that takes no name, shape or value from the native reader, only
how the files are found and whether they are fit to be opened. TensorFlow runs in a process of its
own (:mod:`.process`), and only when it is asked for.

A tensor is loaded whole, so that process needs memory for TensorFlow (half a gigabyte) and for the
largest tensors, one for each thread that reads; for V1, whose tensors are protobuf messages, three
times as much. This one holds a chunk.

Before TensorFlow sees a file, every block of its table is compared with its checksum, because
TensorFlow ends its process on some corrupt tables and silently lists less on others. An index is
read to its end by the native reader, for the sake of its bounds: names that share their beginnings
take 200 KB there and gigabytes in TensorFlow. All files that it would open have to be regular ones,
because it waits at a named pipe for ever; and no tensor may have more elements than they have
bytes. What passes and ends that process all the same, as a file made for the purpose can, is a
FormatError.

Limits: strings, resources and variants are listed and not read; TensorFlow does not say how many
bytes they take. It cannot read all that it writes: float16, uint16 and complex numbers in V1, and
slices of float16 in V2. Names that are not UTF-8 are refused.
"""

from __future__ import annotations

import math
import os
import re
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING

from ....checkpoint.raw import FileInfo, RawCheckpoint
from ....errors import (
    ChecksumError,
    FormatError,
    Gpt2ConvertError,
    SourceNotFoundError,
    UnreadableError,
    UnsupportedError,
    UsageError,
)
from ....io.source import CHUNK, SourceFile
from ....quoting import clip, quote
from ....tensors.dtype import DType
from ....tensors.tensor import LazyTensor
from ... import limits
from ..index import read_index
from ..locate import find_prefix, index_path, list_checkpoint_file, list_data_files
from ..reader import NAME
from ..table import check_blocks
from ..v1 import is_v1, list_files, list_lookalikes
from .process import Connection, EngineDiedError, EngineError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import Any, Final

_NEWEST_PYTHON: Final = (3, 13)
"""The newest for which TensorFlow has wheels."""
_GLOB: Final = re.compile(rb"([*?\[\\])")
_ERRORS: Final[dict[str, type[Gpt2ConvertError]]] = {
    "DataLossError": ChecksumError,
    "NotFoundError": SourceNotFoundError,
    "PermissionDeniedError": UnreadableError,
    "MemoryError": UnreadableError,
    "ResourceExhaustedError": UnreadableError,
    "UnimplementedError": UnsupportedError,
}
"""What TensorFlow's exceptions are here; any other is a FormatError."""
_WORDS: Final[dict[str, type[Gpt2ConvertError]]] = {
    "Checksum does not match": ChecksumError,
    "No such file or directory": SourceNotFoundError,
    "not found in checkpoint file": FormatError,
    "Please upgrade TensorFlow": UnsupportedError,
}
"""What its messages are here where the exception's type says something else, or nothing."""


def require() -> None:
    """Make sure that TensorFlow is there, without importing it.

    Raises:
        UnsupportedError: it is not installed; the message says how to install it.
    """
    import sys

    try:
        spec = find_spec("tensorflow")
    except ValueError:  # somebody put None in its place
        spec = None
    # A folder that an uninstallation left behind has no origin.
    if spec is not None and spec.origin is not None:
        return
    newest, version = (".".join(map(str, each[:2])) for each in (_NEWEST_PYTHON, sys.version_info))
    too_new = f", with a Python up to {newest}, as this is {version}"
    raise UnsupportedError(
        "TensorFlow is not installed: pip install 'gpt2-convert[tensorflow]'"
        + (too_new if sys.version_info[:2] > _NEWEST_PYTHON else "")
    )


def open_through_tensorflow(path: Path, step: int | None = None) -> RawCheckpoint:
    """Open the checkpoint that ``path`` means, as the native reader finds it.

    Raises:
        SourceNotFoundError, UsageError, UnreadableError: there is no such checkpoint.
        FormatError, ChecksumError: it is corrupt.
        UnsupportedError: TensorFlow cannot be started or imported, or cannot read it.
    """
    prefix = find_prefix(path, step)
    where = str(prefix)
    v1 = not os.path.isfile(index_path(prefix)) and is_v1(prefix)
    files = _check_v1(prefix) if v1 else _check_bundle(prefix)
    if prefix.is_dir():
        raise UsageError(
            f"{where}: a folder as well as a checkpoint's prefix, and TensorFlow would look for "
            "another checkpoint in the folder; rename one of the two"
        )
    connection = Connection()
    try:
        answer, _ = _ask(
            connection,
            where,
            do="open",
            path=_pattern(prefix, v1=v1).hex(),
            limit=limits.MAX_TENSORS,
        )
        limits.check_count(answer.get("count", 0), where)
        opened = _Opened(connection, answer["id"])
        room = sum(file.nbytes or 0 for file in files)
        tensors = tuple(
            _describe_tensor(opened, where, name, dtype, tuple(shape), room)
            for name, dtype, shape in answer["tensors"]
        )
    except BaseException:
        connection.close()
        raise
    return RawCheckpoint(
        format=NAME,
        where=where,
        tensors=tensors,
        files=(*files, *list_checkpoint_file(prefix)),
        open_files=(opened,),
        folder=prefix.parent,
        engine=f"TensorFlow {connection.version}",
    )


def _check_v1(prefix: Path) -> list[FileInfo]:
    for lookalike in list_lookalikes(prefix):
        raise UsageError(
            f"{lookalike}: none of the checkpoint's shards, and TensorFlow would read it as one; "
            "move or rename it"
        )
    return [_check_file(each, check_blocks) for each in list_files(prefix)]


def _check_bundle(prefix: Path) -> list[FileInfo]:
    index = _check_file(index_path(prefix), read_index)
    return [index, *(_check_file(each) for each in list_data_files(prefix))]


def _check_file(path: Path, check: Callable[[SourceFile], object] | None = None) -> FileInfo:
    """Make sure that it is a regular file, at which TensorFlow does not look, and passes ``check``.

    ``check`` raises where it does not.
    """
    file = SourceFile(path)
    try:
        if check is not None:
            check(file)
        return FileInfo(str(path), file.size)
    finally:
        file.close()


def _pattern(prefix: Path, *, v1: bool) -> bytes:
    """Return what TensorFlow calls the checkpoint. For V1 that is a pattern of file names."""
    name = os.fsencode(prefix)
    if not os.path.isabs(name):
        # That process may have been started in another folder.
        name = os.path.join(os.getcwdb(), name)
    if not v1:
        return name
    stem, shards, count = name.rpartition(b"-?????-of-")
    return _GLOB.sub(rb"\\\1", stem) + shards + count if shards else _GLOB.sub(rb"\\\1", name)


@dataclass(frozen=True, slots=True)
class _Opened:
    """A checkpoint that is open in the other process, by its number there."""

    connection: Connection
    number: int

    def close(self) -> None:
        self.connection.forget(checkpoint=self.number)
        self.connection.close()


def _describe_tensor(
    opened: _Opened, where: str, name: str, dtype_name: str, shape: tuple[int, ...], room: int
) -> LazyTensor:
    """Return the tensor as the package knows tensors; the files have ``room`` bytes."""
    place = f"{where}: {quote(name)}"
    if dtype_name not in list(DType):
        raise UnsupportedError(f"{place}: elements of type {clip(dtype_name)} are not known here")
    dtype = DType(dtype_name)
    elements = math.prod(shape)
    if dtype.itemsize is not None and elements > room:
        raise FormatError(
            f"{place}: shape {clip(str(list(shape)))} has more elements than the files have "
            f"bytes, which are {room:,}"
        )
    return LazyTensor(
        name=name,
        shape=shape,
        dtype=dtype,
        nbytes=elements * (dtype.itemsize or 0),
        read=partial(_read, opened, place, name, dtype, elements),
        source_name=name,
    )


def _read(opened: _Opened, place: str, name: str, dtype: DType, elements: int) -> Iterator[bytes]:
    """Have a tensor loaded, which compares its checksum, and yield its bytes."""
    if dtype.itemsize is None:
        raise UnsupportedError(f"{place} holds {dtype} elements, not numbers")
    nbytes = elements * dtype.itemsize
    connection = opened.connection
    answer, _ = _ask(connection, place, do="read", id=opened.number, name=name)
    if answer["nbytes_in_all"] != nbytes:
        raise FormatError(
            f"{place}: TensorFlow announced {nbytes:,} bytes and gives {answer['nbytes_in_all']:,}"
        )
    try:
        for _ in range(0, nbytes, CHUNK):
            _, piece = _ask(connection, place, do="next", read=answer["read"], size=CHUNK)
            yield piece
    finally:
        connection.forget(read=answer["read"])


def _ask(connection: Connection, place: str, **request: object) -> tuple[dict[str, Any], bytes]:
    """Ask the other process; what goes wrong there becomes an error of this package's."""
    try:
        return connection.ask(**request)
    except EngineError as error:
        kind = _ERRORS.get(error.kind, FormatError)
        said = clip(" ".join(str(error).split())) or error.kind
        for words, other in _WORDS.items():
            if words in said:
                kind = other
        raise kind(f"{place}: TensorFlow refuses it: {said}") from None
    except EngineDiedError as error:
        raise FormatError(
            f"{place}: TensorFlow {error} while reading it, as it may where a file is corrupt or "
            "memory is short"
        ) from None
