"""``tokenizer.json``: a whole tokenizer in one document, as the tokenizers library writes it.

    {"version": "1.0", "truncation": …, "padding": …, "added_tokens": [{"id", "content", …}],
     "normalizer": …, "pre_tokenizer": …, "post_processor": …, "decoder": …,
     "model": {"type": "BPE", "vocab": {token: id}, "merges": [[token, token] or "token token"]}}

The library reads it and says what is wrong with it. Looked at here is what it takes without a word,
such as an id that two tokens have, and what it would tell by a panic alone or by the end of the
process. Documentation of the parts: huggingface.co/docs/tokenizers, Components.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import FormatError
from ..io.strict_json import describe, parse_object
from .components import check_components
from .vocabulary import check_merges, check_vocabulary, read_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from typing import Final

    from .vocabulary import Merge

_MAX_DOCUMENT: Final = 32 << 20
"""Bytes: a vocabulary, its merges, and the spaces and escapes of both."""
_PARTS: Final = ("normalizer", "pre_tokenizer", "post_processor", "decoder")


@dataclass(frozen=True, slots=True)
class Document:
    """A tokenizer.json that was looked at. ``merges`` is None where its model has none."""

    where: str
    text: bytes
    added: Mapping[str, int]
    merges: tuple[Merge, ...] | None


def read_document(path: Path) -> Document:
    """Return the document at ``path``.

    Raises:
        SourceNotFoundError, UnreadableError: it cannot be read.
        FormatError: it is no tokenizer, or one that is damaged.
    """
    where = str(path)
    text = read_text(path, _MAX_DOCUMENT)
    if not text.lstrip().startswith(b"{"):
        raise FormatError(
            f"{where}: a tokenizer.json or the folder of one expected, found a file that starts "
            f"with {text[:16]!r}"
        )
    fields = parse_object(text, where)
    model = fields.get("model")
    if not isinstance(model, dict):
        raise FormatError(f"{where}: no tokenizer: there is no 'model' in it")
    added = _read_added(fields.get("added_tokens"), where)
    vocabulary = _read_vocabulary(model.get("vocab"))
    # Where the ids have holes, an added token takes the id of another without a word.
    check_vocabulary({**vocabulary, **added}, where)
    merges = None
    if isinstance(listed := model.get("merges"), list):
        merges = tuple(_read_merges(listed, where))
        prefix = model.get("continuing_subword_prefix")
        check_merges(merges, vocabulary, where, prefix if isinstance(prefix, str) else "")
    for part in _PARTS:
        check_components(fields.get(part), f"{where}: {part}")
    return Document(where, text, added, merges)


def _read_added(listed: object, where: str) -> dict[str, int]:
    added: dict[str, int] = {}
    for node in listed if isinstance(listed, list) else []:
        fields = node if isinstance(node, dict) else {}
        content, number = fields.get("content"), fields.get("id")
        if not isinstance(content, str) or type(number) is not int:
            raise FormatError(f"{where}: an added token expected, found {describe(node)}")
        added[content] = number
    return added


def _read_vocabulary(vocabulary: object) -> dict[str, object]:
    """Return the ids of the tokens; in a list, as Unigram has it, they are the positions."""
    if isinstance(vocabulary, dict):
        return vocabulary
    pieces = [
        piece[0] if isinstance(piece, list) and piece else None
        for piece in (vocabulary if isinstance(vocabulary, list) else [])
    ]
    return {piece: number for number, piece in enumerate(pieces) if isinstance(piece, str)}


def _read_merges(listed: list[object], where: str) -> Iterator[Merge]:
    for number, entry in enumerate(listed, 1):
        tokens = entry.split(" ") if isinstance(entry, str) else entry
        if isinstance(tokens, list) and len(tokens) == 2:
            first, second = tokens
            if isinstance(first, str) and isinstance(second, str):
                yield first, second
                continue
        raise FormatError(
            f"{where}: merge {number:,}: two tokens expected, found {describe(entry)}"
        )
