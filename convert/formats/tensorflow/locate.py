"""From what people pass to the prefix of a bundle.

Accepted: a directory, the prefix, the ``.index``, one of the ``.data-XXXXX-of-YYYYY`` files, and
the text file ``checkpoint``. That file is a text-format proto (checkpoint_state.proto)::

    model_checkpoint_path: "model.ckpt-2000"
    all_model_checkpoint_paths: "model.ckpt-1000"

Its strings are quoted with " or ' and escaped as in C. Paths in it are relative to its folder or
foreign: absolute, a URL, or of Windows. Such a path usually names a folder of the machine that
trained the model; a bundle of that name beside the ``checkpoint`` file is meant then. A relative
path that climbs out of the folder is refused.

The folder of a SavedModel, ``saved_model.pb``, means the bundle in its ``variables/``.

A V1 checkpoint (:mod:`.v1`) has no index, and its file, or the pattern of its files, is the prefix.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ...checkpoint.raw import FileInfo
from ...errors import Advice, FormatError, SourceNotFoundError, UnreadableError, UsageError
from ...io.os_errors import os_errors_as
from ...io.source import SourceFile, read_small
from ...quoting import quote
from ..folders import check_lookups, list_names
from ..foreign import explain_page
from .v1 import is_v1, whole_name

if TYPE_CHECKING:
    from typing import Final

CHECKPOINT: Final = "checkpoint"
INDEX: Final = ".index"
_DATA: Final = ".data-"
META: Final = ".meta"
SAVED_MODEL: Final = ("saved_model.pb", "saved_model.pbtxt")
VARIABLES: Final = "variables"
MAX_CHECKPOINT_BYTES: Final = 1 << 20
_HEAD: Final = 1024
_CHOOSE: Final = Advice("choose with {} or name one", "step")
_DRIVE: Final = re.compile(rb"[A-Za-z]:\\[^\\]")
"""The start of a path of Windows that nobody has escaped."""
_FOREIGN: Final = re.compile(r"[A-Za-z]:[/\\]|[A-Za-z][A-Za-z0-9+.-]*://|[/\\]")
"""The start of a path that is not relative: a drive or the scheme of a URL, or a separator."""
_STRING: Final = re.compile(rb"""(["'])((?:(?!\1)[^\\]|\\.)*)\1""")
_ESCAPE: Final = re.compile(rb"\\(?:([0-7]{1,3})|[xX]([0-9a-fA-F]{1,2})|(.?))", re.DOTALL)
_ESCAPES: Final = dict(
    zip(
        (bytes([c]) for c in b"nrtabfv\\'\"?"),
        (bytes([c]) for c in b"\n\r\t\a\b\f\v\\'\"?"),
        strict=True,
    )
)


def shard_path(prefix: Path, shard: int, num_shards: int) -> Path:
    """Return the path of a data file."""
    return prefix.with_name(f"{prefix.name}.data-{shard:05d}-of-{num_shards:05d}")


def index_path(prefix: Path) -> Path:
    """Return the path of the index file."""
    return prefix.with_name(prefix.name + INDEX)


def prefix_of_index(path: Path) -> Path | None:
    """Return the prefix if ``path`` is named like an index file."""
    stem = path.name.removesuffix(INDEX)
    return path.with_name(stem) if stem != path.name and _can_name(stem) else None


def prefix_of_shard(path: Path) -> Path | None:
    """Return the prefix if ``path`` is named like a data file."""
    stem, _, suffix = path.name.rpartition(_DATA)
    shard, _, count = suffix.partition("-of-")
    if _can_name(stem) and len(shard) == len(count) == 5 and (shard + count).isdigit():
        return path.with_name(stem)
    return None


def is_named_as_bundle(name: str) -> bool:
    """Whether a file of that name is a bundle's."""
    # Most names of a large folder are neither, and a Path takes long to make.
    if name.endswith(INDEX):
        return prefix_of_index(Path(name)) is not None
    return _DATA in name and prefix_of_shard(Path(name)) is not None


def list_data_files(prefix: Path) -> list[Path]:
    """Return the files that are named like a shard of the bundle."""
    start = prefix.name + _DATA
    named = (prefix.with_name(name) for name in list_names(prefix.parent) if name.startswith(start))
    return [path for path in named if prefix_of_shard(path) == prefix]


def list_checkpoint_file(prefix: Path) -> list[FileInfo]:
    """Return the file ``checkpoint`` beside a bundle, if there is one."""
    path = prefix.with_name(CHECKPOINT)
    return [FileInfo(str(path), path.stat().st_size)] if path.is_file() else []


def _can_name(stem: str) -> bool:
    """Whether a prefix can be called that; the others are the folder itself and its parent."""
    return stem not in ("", os.curdir, os.pardir)


def find_prefix(path: Path, step: int | None) -> Path:
    """Return the prefix of the bundle that ``path`` means.

    ``step`` chooses among several bundles of a folder: the one whose name ends in ``-<step>``.

    Raises:
        SourceNotFoundError: there is no such bundle.
        UsageError: several bundles could be meant, or ``step`` is given with a single bundle.
        UnsupportedError: the folder has too many files.
        FormatError: the ``checkpoint`` file cannot be understood.
    """
    if path.is_dir():
        return _find_in_folder(saved_variables(path) or path, step)
    if path.name == CHECKPOINT and path.is_file():
        return _find_in_folder(path.parent, step)
    if step is not None:
        raise UsageError(
            f"{path}: a step chooses within a folder of checkpoints, and this path names one"
        )
    prefix = prefix_of_index(path) or prefix_of_shard(path) or path
    return prefix if os.path.isfile(index_path(prefix)) else whole_name(prefix)


def saved_variables(folder: Path) -> Path | None:
    """Return the folder of the variables of a SavedModel; None where ``folder`` is no such."""
    names = list_names(folder)
    if VARIABLES not in names or not any(name in names for name in SAVED_MODEL):
        return None
    if any(name.endswith(INDEX) and prefix_of_index(Path(name)) for name in names):
        return None  # which is nearer
    inside = folder / VARIABLES
    return inside if inside.is_dir() and any(map(is_named_as_bundle, list_names(inside))) else None


@dataclass(frozen=True, slots=True)
class _Folder:
    """A folder and the prefixes in it, by name; V1 checkpoints only where nothing has an index."""

    path: Path
    names: tuple[str, ...]

    def listing(self) -> str:
        shown = ", ".join(self.names[:8])
        return shown + (f", ... ({len(self.names)} in all)" if len(self.names) > 8 else "")


def _find_in_folder(path: Path, step: int | None) -> Path:
    with os_errors_as(UnreadableError, path):
        entries = list_names(path)
    prefixes = (prefix_of_index(path / name) for name in entries if name.endswith(INDEX))
    names = {prefix.name for prefix in prefixes if prefix}
    if not names:
        v1 = {whole_name(path / name) for name in entries if name != CHECKPOINT}
        check_lookups(len(v1), path)
        names = {prefix.name for prefix in v1 if is_v1(prefix)}
    folder = _Folder(path, tuple(sorted(names, key=_step_order)))
    if not folder.names:
        if CHECKPOINT in entries and not (path / CHECKPOINT).is_dir():
            _refuse_page(path / CHECKPOINT)
        stray = next(
            (name for name in entries if prefix_of_shard(Path(name)) or name.endswith(META)), None
        )
        found = f"{quote(stray)} stands alone: its .index is missing" if stray else "no .index file"
        raise SourceNotFoundError(
            f"{path}: no TensorFlow checkpoint here: {found}; "
            "a checkpoint is model.ckpt.index and model.ckpt.data-00000-of-00001"
        )
    if step is not None:
        chosen = [name for name in folder.names if step_of(name) == step]
        if not chosen:
            raise SourceNotFoundError(f"{path}: no step {step}; there are: {folder.listing()}")
        if len(chosen) > 1:
            raise UsageError(f"{path}: step {step} is ambiguous: {', '.join(chosen)}; name one")
        return path / chosen[0]
    if CHECKPOINT in entries and not (path / CHECKPOINT).is_dir():
        return path / _named_by_checkpoint(folder)
    if len(folder.names) > 1:
        raise UsageError(
            f"{path}: {len(folder.names)} checkpoints and no 'checkpoint' file that names one: "
            f"{folder.listing()}",
            _CHOOSE,
        )
    return path / folder.names[0]


def step_of(name: str) -> int | None:
    """Return the training step at the end of a prefix such as ``model.ckpt-2000``."""
    _, dash, digits = name.partition("-?????-of-")[0].rpartition("-")
    return int(digits) if dash and digits.isascii() and digits.isdigit() else None


def _step_order(name: str) -> tuple[str, int]:
    step = step_of(name)
    return (name, -1) if step is None else (name.rpartition("-")[0], step)


def _named_by_checkpoint(folder: _Folder) -> str:
    """Return the prefix, as a path within the folder, that the ``checkpoint`` file names."""
    file = folder.path / CHECKPOINT
    _refuse_page(file)
    named = latest_checkpoint(read_small(file, MAX_CHECKPOINT_BYTES), str(file))
    choices = f"there are: {folder.listing()}"
    inside = os.path.normpath(named)
    beside = re.split(r"[/\\]", named.rstrip("/\\"))[-1]
    if _FOREIGN.match(named):
        inside = beside
    elif re.split(r"[/\\]", inside)[0] == os.pardir:
        raise UsageError(
            f"{file}: names {quote(named)}, which lies outside its folder; {choices}", _CHOOSE
        )
    # A backslash may be part of a name here, too.
    for name in dict.fromkeys((inside, beside) if "\\" in named else (inside,)):
        prefix = folder.path / name
        if _can_name(name) and (os.path.exists(index_path(prefix)) or is_v1(prefix)):
            return name
    raise SourceNotFoundError(
        f"{file}: names {quote(named)}, which is not here; {choices}", _CHOOSE
    )


def _refuse_page(path: Path) -> None:
    """Refuse a ``checkpoint`` file that is something else, such as a server's error page.

    Raises:
        FormatError: its first bytes say what it is.
    """
    file = SourceFile(path)
    try:
        page = explain_page(file.read(0, min(file.size, _HEAD), "the file"))
    finally:
        file.close()
    if page:
        raise FormatError(f"{path}: {page}")


def latest_checkpoint(text: bytes, where: str) -> str:
    """Return ``model_checkpoint_path`` from the text of a ``checkpoint`` file.

    Raises:
        FormatError: there is none, or it is not a quoted string.
    """
    found = b""
    for number, line in enumerate(text.split(b"\n"), 1):
        key, colon, value = line.partition(b":")
        if key.strip() == b"model_checkpoint_path" and colon:
            found = _unquote(value.strip(), f"{where}: line {number}")
    if not found or 0 in found:
        raise FormatError(
            f"{where}: no line 'model_checkpoint_path: \"…\"'; name the checkpoint itself instead"
        )
    return os.fsdecode(found)


def _unquote(value: bytes, place: str) -> bytes:
    """Undo the quotes and C escapes of a text-format string."""

    def undo(match: re.Match[bytes]) -> bytes:
        octal, hexadecimal, char = match.groups()
        if octal is not None:
            return bytes([int(octal, 8) & 0xFF])
        if hexadecimal is not None:
            return bytes([int(hexadecimal, 16)])
        if char not in _ESCAPES:
            raise FormatError(f"{place}: unknown escape {match[0]!r}")
        return _ESCAPES[char]

    string = _STRING.fullmatch(value)
    if string is None:
        raise FormatError(f"{place}: a quoted path expected, found {value[:80]!r}")
    return string[2] if _DRIVE.match(string[2]) else _ESCAPE.sub(undo, string[2])
