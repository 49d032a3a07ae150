"""The cache of the Hugging Face Hub: which folder of it is the model.

huggingface_hub keeps a model in a folder whose name is "models", the owner and the model, joined by
two dashes each (its documentation, "Understand caching")::

    blobs/248dfc39…          the files, by their hashes
    refs/main                the commit that a branch is at, and nothing else
    snapshots/607a30d7…/     a commit: links with the files' names to the blobs
"""

from __future__ import annotations

import string
from typing import TYPE_CHECKING

from ..errors import FormatError, SourceNotFoundError
from ..io.source import read_small
from ..quoting import quote, quote_some
from .folders import list_names

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Final

_PREFIX: Final = "models--"
_SNAPSHOTS: Final = "snapshots"
_MAX_COMMIT: Final = 64


def find_snapshot(path: Path) -> Path:
    """Return the snapshot that is meant by the folder of a model in the cache, else ``path``.

    It is the one that ``refs/main`` names.

    Raises:
        SourceNotFoundError: that is not there, or there is no such reference.
        FormatError: the reference is no commit.
        UnreadableError: it cannot be read.
    """
    snapshots = path / _SNAPSHOTS
    if not path.absolute().name.startswith(_PREFIX) or not snapshots.is_dir():
        return path
    commits = list_names(snapshots)
    there_are = f"; there are: {quote_some(commits)}" if commits else ""
    reference = path / "refs" / "main"
    try:
        text = read_small(reference, 2 * _MAX_COMMIT).decode("ascii", "replace").strip()
    except SourceNotFoundError:
        raise SourceNotFoundError(
            f"{reference}: no such file, so it is not said which snapshot is meant; name one in "
            f"{snapshots}{there_are}"
        ) from None
    if not text or len(text) > _MAX_COMMIT or not set(text) <= set(string.hexdigits):
        raise FormatError(
            f"{reference}: the hash of a commit expected, found {quote(text)}; name the snapshot"
            f"{there_are}"
        )
    if text not in commits:
        raise SourceNotFoundError(
            f"{snapshots / text}: named by refs/main, and not here; fetch it again{there_are}"
        )
    return snapshots / text
