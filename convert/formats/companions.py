"""Companions: the files beside the weights that travel with a model from folder to folder.

Where the folder was named, every visible regular file directly in it does: the tokenizer's files of
any kind, templates, the generation config, model card, licence, code, which is copied and never
run. Left behind, and named, are folders, weights in other containers and what trainers keep for
themselves. A file that was named alone may lie anywhere, beside scripts and keys: with it travels
what has one of the names that a model's files have, and nothing else is looked at or listed.
The configuration is no companion, since it is read and written (:mod:`.statements`).

OpenAI's names of the tokenizer's files become Hugging Face's: ``encoder.json`` is ``vocab.json``
and ``vocab.bpe`` is ``merges.txt``, byte for byte. In a target of OpenAI's layout they have
OpenAI's.

A link leads to a file of the same folder, or to the blobs of the Hugging Face Hub's cache
(``snapshots/<commit>/…`` links to ``blobs/<hash>`` in the folder of the model). Any other is
refused where a tokenizer would be missing without it, and else left behind. What a companion is
looked at for: :mod:`.companion_kinds`.
"""

from __future__ import annotations

import os
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import Advice, SourceNotFoundError, UnreadableError, UnsupportedError
from ..io.os_errors import os_errors_as
from ..io.source import SourceFile
from ..reports.conversion import CopiedFile, LeftFile
from .companion_kinds import belongs_to_weights, check_contents, find_reason_to_leave
from .folders import list_names
from .limits import MAX_LOOKUPS
from .statements import CONFIG, HPARAMS

if TYPE_CHECKING:
    import hashlib
    from collections.abc import Iterator
    from typing import Final

    from ..checkpoint.raw import RawCheckpoint
    from ..io.json_scan import Allowance

_TRANSLATED: Final = {"encoder.json": "vocab.json", "vocab.bpe": "merges.txt"}
"""OpenAI's names, and Hugging Face's for the same bytes."""
OPENAI_NAMES: Final = {theirs: openai for openai, theirs in _TRANSLATED.items()}
MAX_NAMES_A_FILE: Final = 16
"""Names of a file in a folder, by links: of some in the Hub's cache, whose contents are equal."""
_NOWHERE: Final = "a link that leads nowhere"
_OUTSIDE: Final = "a link that leads out of its folder"
_LEAVE: Final = Advice("or leave them behind with {}", "weights_only", True)
_LEAVE_ALL: Final = Advice("{} leaves all files beside the weights behind", "weights_only", True)


@dataclass(frozen=True, slots=True)
class Companion:
    """A file that travels: where it lies, and its name in a Hugging Face folder or in a target."""

    path: Path
    name: str


@dataclass(frozen=True, slots=True)
class Beside:
    """What lies beside the weights of a checkpoint."""

    companions: tuple[Companion, ...] = ()
    left: tuple[LeftFile, ...] = ()


def list_beside(raw: RawCheckpoint, *, travel: bool = True) -> Beside:
    """Return what lies beside the weights, in the order of the names.

    Where none of it is to ``travel``, no more of a large folder are opened than may be.

    Raises:
        UnreadableError: the folder cannot be listed.
        UnsupportedError: it has more names or files than a model's, or one under many names.
    """
    if raw.folder is None:
        return Beside()
    own = {Path(file.path).name for file in raw.files} | {CONFIG, HPARAMS}
    with os_errors_as(UnreadableError, raw.folder):
        names = [name for name in list_names(raw.folder) if not name.startswith(".")]
    names = [name for name in names if name not in own]
    if not raw.folder_named:
        names = [name for name in names if belongs_to_weights(name)]
    reasons = {name: find_reason_to_leave(raw.folder / name, look=False) for name in names}
    unknown = [name for name, reason in reasons.items() if reason is None]
    if travel:
        _check_number(unknown, raw.folder)
    reasons |= {name: find_reason_to_leave(raw.folder / name) for name in unknown[:MAX_LOOKUPS]}
    companions: list[Companion] = []
    left: list[LeftFile] = []
    for name, reason in reasons.items():
        twin = _TRANSLATED.get(name, name)
        if reason is None and twin != name and reasons.get(twin, "absent") is None:
            reason = f"{twin} goes in its place"
        if reason is None and not belongs_to_weights(name):
            reason = _find_fault_of_link(raw.folder / name)
        if reason is None:
            companions.append(Companion(raw.folder / name, twin))
        else:
            left.append(LeftFile(name, reason))
    return Beside(tuple(companions), tuple(left))


def _check_number(names: list[str], folder: Path) -> None:
    """Refuse more files than a model's folder has, and one of them under many names.

    Raises:
        UnsupportedError: there are.
    """
    if len(names) > MAX_LOOKUPS:
        raise UnsupportedError(
            f"{folder}: more than {MAX_LOOKUPS:,} files beside the weights; put the model into a "
            "folder of its own",
            _LEAVE,
        )
    files: Counter[tuple[int, int]] = Counter()
    for name in names if len(names) > MAX_NAMES_A_FILE else ():
        with suppress(OSError):  # which is said of it when it is opened
            status = os.stat(folder / name)
            files[status.st_dev, status.st_ino] += 1
            if files[status.st_dev, status.st_ino] > MAX_NAMES_A_FILE:
                raise UnsupportedError(
                    f"{folder / name}: a file that has more than {MAX_NAMES_A_FILE} names in this "
                    "folder, and would be copied as often",
                    _LEAVE,
                )


def check_companion(
    companion: Companion, n_vocab: int, allowance: Allowance | None = None
) -> list[str]:
    """Look whether a companion is what its name says, and return notes of it.

    ``allowance`` is for all companions of a model together.

    Raises:
        SourceNotFoundError, UnreadableError: it is a link that leads nowhere, or no regular file.
        UnsupportedError: it is a link that leads out of its folder.
        FormatError: it is something else than its name says.
    """
    file = _open(companion.path)
    try:
        return check_contents(file, n_vocab, allowance)
    finally:
        file.close()


def copy_companion(
    companion: Companion, folder: Path, n_vocab: int, allowance: Allowance | None = None
) -> CopiedFile:
    """Copy a companion into ``folder`` under the name that it has there.

    It is looked at once more, since another file may stand there by now.

    Raises:
        Gpt2ConvertError: as check_companion.
        OSError: the copy cannot be written.
    """
    running = _start_hash()
    source = _open(companion.path)
    try:
        check_contents(source, n_vocab, allowance)
        with open(folder / companion.name, "xb") as target:
            for chunk in _chunks(source):
                running.update(chunk)
                target.write(chunk)
        return _describe(companion, source.size, running.hexdigest())
    finally:
        source.close()


def compare_companion(companion: Companion, target: Path) -> CopiedFile | None:
    """Read a companion and ``target`` afresh; None if they differ.

    Raises:
        Gpt2ConvertError: one of them cannot be read, or is a link that leads out of its folder.
    """
    running = _start_hash()
    first = _open(companion.path)
    try:
        second = _open(target)
        try:
            if first.size != second.size:
                return None
            for ours, theirs in zip(_chunks(first), _chunks(second), strict=True):
                if ours != theirs:
                    return None
                running.update(theirs)
        finally:
            second.close()
        return _describe(companion, first.size, running.hexdigest())
    finally:
        first.close()


def _start_hash() -> hashlib._Hash:
    import hashlib  # slow to import, and a list of the companions has no need of it

    return hashlib.sha256()


def _describe(companion: Companion, nbytes: int, sha256: str) -> CopiedFile:
    return CopiedFile(companion.name, companion.path.name, nbytes, sha256)


def _chunks(file: SourceFile) -> Iterator[bytes]:
    return file.chunks(0, file.size, "the file")


def _open(path: Path) -> SourceFile:
    if path.is_symlink() and not os.path.exists(path):
        raise SourceNotFoundError(f"{path}: {_NOWHERE}", _LEAVE_ALL)
    try:
        file = SourceFile(path)
    except UnreadableError as error:
        raise UnreadableError(str(error), _LEAVE_ALL) from None
    if fault := _find_fault_of_link(path):
        file.close()
        raise UnsupportedError(
            f"{path}: {fault}, which is not followed; put the file itself there", _LEAVE
        )
    return file


def _find_fault_of_link(path: Path) -> str | None:
    """Return what is wrong with a link; None if nothing is, or it is none."""
    if not path.is_symlink():
        return None
    if not os.path.exists(path):
        return _NOWHERE
    folder, final = Path(os.path.realpath(path.parent)), Path(os.path.realpath(path))
    # Of a model in a folder of the repository, the snapshot is further up.
    caches = [each.parent for each in folder.parents if each.name == "snapshots"]
    if final.parent != folder and final.parent not in [cache / "blobs" for cache in caches]:
        return _OUTSIDE
    return None
