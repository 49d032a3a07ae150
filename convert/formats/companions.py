"""Companions: the files beside the weights that travel with a model from folder to folder.

Every visible regular file directly beside the weights does: the tokenizer's files of any kind,
templates, the generation config, model card, licence, code, which is copied and never run. Left
behind, and named, are folders, weights in other containers and what trainers keep for themselves.
The configuration is no companion, since it is read and written (:mod:`.statements`).

OpenAI's names of the tokenizer's files become Hugging Face's: ``encoder.json`` is ``vocab.json``
and ``vocab.bpe`` is ``merges.txt``, byte for byte.

A link must lead to a file of the same folder, or to the blobs of the Hugging Face Hub's cache
(``snapshots/<commit>/…`` links to ``blobs/<hash>`` in the folder of the model). What a companion
is looked at for: :mod:`.companion_kinds`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import SourceNotFoundError, UnreadableError, UnsupportedError
from ..io.os_errors import os_errors_as
from ..io.source import SourceFile
from ..reports.conversion import CopiedFile, LeftFile
from .companion_kinds import check_contents, find_reason_to_leave
from .statements import CONFIG, HPARAMS

if TYPE_CHECKING:
    import hashlib
    from collections.abc import Iterator
    from typing import Final

    from ..checkpoint.raw import RawCheckpoint

_TRANSLATED: Final = {"encoder.json": "vocab.json", "vocab.bpe": "merges.txt"}
"""OpenAI's names, and Hugging Face's for the same bytes."""


@dataclass(frozen=True, slots=True)
class Companion:
    """A file that travels: where it lies, and the name that it has in a Hugging Face folder."""

    path: Path
    name: str


@dataclass(frozen=True, slots=True)
class Beside:
    """What lies beside the weights of a checkpoint."""

    companions: tuple[Companion, ...] = ()
    left: tuple[LeftFile, ...] = ()


def list_beside(raw: RawCheckpoint) -> Beside:
    """Return what lies beside the weights, in the order of the names.

    Raises:
        UnreadableError: the folder cannot be listed.
    """
    if raw.folder is None:
        return Beside()
    own = {Path(file.path).name for file in raw.files} | {CONFIG, HPARAMS}
    with os_errors_as(UnreadableError, raw.folder):
        names = [name for name in sorted(os.listdir(raw.folder)) if not name.startswith(".")]
    reasons = {name: find_reason_to_leave(raw.folder / name) for name in names if name not in own}
    companions: list[Companion] = []
    left: list[LeftFile] = []
    for name, reason in reasons.items():
        twin = _TRANSLATED.get(name, name)
        if reason is None and twin != name and reasons.get(twin, "absent") is None:
            reason = f"{twin} goes in its place"
        if reason is None:
            companions.append(Companion(raw.folder / name, twin))
        else:
            left.append(LeftFile(name, reason))
    return Beside(tuple(companions), tuple(left))


def check_companion(companion: Companion, n_vocab: int) -> list[str]:
    """Look whether a companion is what its name says, and return notes of it.

    Raises:
        SourceNotFoundError, UnreadableError: it is a link that leads nowhere, or no regular file.
        UnsupportedError: it is a link that leads out of its folder.
        FormatError: it is something else than its name says.
    """
    file = _open(companion)
    try:
        return check_contents(file, n_vocab)
    finally:
        file.close()


def copy_companion(companion: Companion, folder: Path, n_vocab: int) -> CopiedFile:
    """Copy a companion into ``folder`` under the name that it has there.

    It is looked at once more, since another file may stand there by now.

    Raises:
        Gpt2ConvertError: as check_companion.
        OSError: the copy cannot be written.
    """
    running = _start_hash()
    source = _open(companion)
    try:
        check_contents(source, n_vocab)
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
        Gpt2ConvertError: one of them cannot be read.
    """
    running = _start_hash()
    first = SourceFile(companion.path)
    try:
        second = SourceFile(target)
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


def _open(companion: Companion) -> SourceFile:
    path = companion.path
    if path.is_symlink() and not os.path.exists(path):
        raise SourceNotFoundError(f"{path}: a link that leads nowhere")
    file = SourceFile(path)
    try:
        if path.is_symlink():
            _check_link(path)
    except BaseException:
        file.close()
        raise
    return file


def _check_link(path: Path) -> None:
    folder, final = Path(os.path.realpath(path.parent)), Path(os.path.realpath(path))
    # Of a model in a folder of the repository, the snapshot is further up.
    caches = [each.parent for each in folder.parents if each.name == "snapshots"]
    if final.parent != folder and final.parent not in [cache / "blobs" for cache in caches]:
        raise UnsupportedError(
            f"{path}: a link that leads out of its folder, which is not followed; put the file "
            "itself there"
        )
