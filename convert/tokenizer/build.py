"""From files to a tokenizer of the library that applies what they say, and does nothing else.

Texts are not truncated and not padded, and no merge is left out at random: that is for training. A
BPE without an unknown token, as byte-level ones are, drops what it has no token for without a word;
it gets an unknown token that does not exist, so that the library refuses instead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import FormatError
from ..quoting import quote
from .added import read_beside
from .document import read_document
from .library import failures_as_errors, load_library
from .vocabulary import check_merges, check_vocabulary, read_merges, read_vocabulary

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import Final

    from tokenizers import Tokenizer
    from tokenizers.models import BPE

    from .locate import Pair, TokenizerFiles
    from .vocabulary import Merge

NO_TOKEN: Final = "<there is no such token>"  # noqa: S105 - of a vocabulary
"""Stands for what a vocabulary lacks; the library names it in its error."""


def build_tokenizer(files: TokenizerFiles) -> Tokenizer:
    """Return the tokenizer that the files describe.

    Raises:
        UnsupportedError: the tokenizers library is not installed.
        SourceNotFoundError, UnreadableError: a file cannot be read.
        FormatError: a file is damaged, or two of them contradict each other.
    """
    load_library()  # before anything is read
    merges: Sequence[Merge] | None
    others: Sequence[Pair]
    if files.document is not None:
        tokenizer, merges = _build_document(files.document)
        where, others = files.document, files.pairs
    else:
        pair, *others = files.pairs
        merges = read_merges(pair.merges)
        tokenizer = _build_pair(pair, merges)
        where = pair.vocabulary
    for other in others:
        _compare(other, tokenizer, merges, where.name)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def _build_document(path: Path) -> tuple[Tokenizer, Sequence[Merge] | None]:
    library, document = load_library(), read_document(path)
    with failures_as_errors(str(path)):
        tokenizer: Tokenizer = library.Tokenizer.from_buffer(document.text)
        if isinstance(tokenizer.model, library.models.BPE):
            tokenizer.model.dropout = None
            if tokenizer.model.unk_token is None:
                _refuse_missing(tokenizer.model)
    for token, number in document.added.items():
        if (found := tokenizer.token_to_id(token)) != number:
            raise FormatError(
                f"{path}: the added token {quote(token)} has the id {number:,}, but the "
                f"tokenizers library gives it {found}"
            )
    return tokenizer, document.merges


def _build_pair(pair: Pair, merges: Sequence[Merge]) -> Tokenizer:
    library, vocabulary = load_library(), read_vocabulary(pair.vocabulary)
    beside = read_beside(pair.vocabulary.parent, vocabulary)
    # The library would give a token that is not in it the next id, whatever is stated.
    added = {token.content: token.id for token in beside.added}
    if added.keys() - vocabulary:
        vocabulary = check_vocabulary({**vocabulary, **added}, str(pair.vocabulary))
    check_merges(merges, vocabulary, str(pair.merges))
    with failures_as_errors(str(pair.vocabulary)):
        tokenizer: Tokenizer = library.Tokenizer(library.models.BPE(vocabulary, merges))
        _refuse_missing(tokenizer.model)
        tokenizer.pre_tokenizer = library.pre_tokenizers.ByteLevel(
            add_prefix_space=beside.prefix_space
        )
        tokenizer.decoder = library.decoders.ByteLevel()
        tokenizer.add_tokens(
            [
                library.AddedToken(
                    token.content,
                    special=token.special,
                    single_word=token.single_word,
                    lstrip=token.lstrip,
                    rstrip=token.rstrip,
                    normalized=token.normalized,
                )
                for token in beside.added
            ]
        )
    return tokenizer


def _refuse_missing(model: BPE) -> None:
    name = NO_TOKEN
    while model.token_to_id(name) is not None:
        name += ">"
    model.unk_token = name


def _compare(pair: Pair, tokenizer: Tokenizer, merges: Sequence[Merge] | None, first: str) -> None:
    """See that a vocabulary and merges say what the tokenizer of the file ``first`` does.

    Raises:
        FormatError: they do not.
    """
    advice = "name the file that is to be used, or remove the other"
    for token, number in read_vocabulary(pair.vocabulary).items():
        if (found := tokenizer.token_to_id(token)) != number:
            said = "no token" if found is None else f"{found:,}"
            raise FormatError(
                f"{pair.vocabulary}: {quote(token)} is {number:,}, but {said} in {first}; {advice}"
            )
    theirs = read_merges(pair.merges)
    if merges is not None and _sort_by_rank(theirs) != _sort_by_rank(merges):
        raise FormatError(f"{pair.merges}: other merges than {first} has; {advice}")


def _sort_by_rank(merges: Sequence[Merge]) -> list[Merge]:
    """Return each merge once, where it stands last: that rank counts."""
    return list(dict.fromkeys(reversed(merges)))
