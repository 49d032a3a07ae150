"""Which files are the tokenizer at a path.

``tokenizer.json`` is one by itself; ``encoder.json`` with ``vocab.bpe`` (OpenAI's names) and
``vocab.json`` with ``merges.txt`` (Hugging Face's for the same) are a vocabulary and the merges of
its byte-level BPE. A folder may have several; then the first of these is read, and the others are
there to agree with it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from ..errors import SourceNotFoundError, UnreadableError, UnsupportedError
from ..io.os_errors import os_errors_as

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Final

DOCUMENT: Final = "tokenizer.json"
PAIRS: Final = (("vocab.json", "merges.txt"), ("encoder.json", "vocab.bpe"))
"""A vocabulary and the merges that belong to it, by name."""
_OTHERS: Final = {
    "vocab.txt": "a WordPiece vocabulary",
    "*.model": "a SentencePiece model",
    "*.spm": "a SentencePiece model",
    "*.tiktoken": "a tiktoken vocabulary",
}
"""What is a tokenizer's, and not all of it: the rest stands in the code of its program."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A vocabulary and its list of merges."""

    vocabulary: Path
    merges: Path


@dataclass(frozen=True, slots=True)
class TokenizerFiles:
    """What is at a path: the file or the pair to read first, and those that have to agree."""

    document: Path | None
    pairs: tuple[Pair, ...]


def find_tokenizer(path: Path) -> TokenizerFiles:
    """Return the files of the tokenizer that is at ``path``, a folder or one of the files.

    Raises:
        SourceNotFoundError: there is none, or half of a pair is missing.
        UnsupportedError: there is one of another kind, without a tokenizer.json.
        UnreadableError: the folder cannot be listed.
    """
    with os_errors_as(UnreadableError, path):
        names = set(os.listdir(path)) if path.is_dir() else None
    if names is None:
        if pairs := [pair for pair in PAIRS if path.name in pair]:
            return TokenizerFiles(None, (_pair_in(path.parent, *pairs[0]),))
        _refuse_others([path])
        return TokenizerFiles(path, ())
    document = path / DOCUMENT if DOCUMENT in names else None
    begun = [pair for pair in PAIRS if names & {*pair}]
    if document is None and not begun:
        _refuse_others(sorted(path / name for name in names))
        raise SourceNotFoundError(
            f"{path}: no tokenizer in it: neither tokenizer.json, nor encoder.json and vocab.bpe, "
            "nor vocab.json and merges.txt"
        )
    whole = [pair for pair in begun if names >= {*pair}]
    if document is None and not whole:
        whole = begun[:1]  # to say what is missing
    return TokenizerFiles(document, tuple(_pair_in(path, *pair) for pair in whole))


def _pair_in(folder: Path, vocabulary: str, merges: str) -> Pair:
    pair = Pair(folder / vocabulary, folder / merges)
    for path, other in ((pair.vocabulary, merges), (pair.merges, vocabulary)):
        if not os.path.lexists(path):
            raise SourceNotFoundError(f"{path}: no such file; {other} is of no use without it")
    return pair


def _refuse_others(paths: list[Path]) -> None:
    for path in paths:
        for pattern, what in _OTHERS.items():
            if fnmatchcase(path.name.lower(), pattern):
                raise UnsupportedError(
                    f"{path}: {what} without a tokenizer.json, which says how it is applied; "
                    "AutoTokenizer.from_pretrained(...).save_pretrained(...) of transformers "
                    "writes one"
                )
