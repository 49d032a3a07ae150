"""Text to token ids and back, with the face of OpenAI's encoder that picoGPT has, too."""

from __future__ import annotations

import operator
from functools import cached_property
from typing import TYPE_CHECKING

from ..errors import FormatError, UnsupportedError, UsageError
from .added import END_OF_TEXT
from .build import NO_TOKEN
from .byte_level import find_missing
from .library import failures_as_errors, load_library
from .streaming import decode_bytes, decode_windows
from .vocabulary import MAX_ID

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tokenizers import Tokenizer


class Encoder:
    """A tokenizer: text to the ids of its tokens, and ids to text.

    >>> encoder.encode("Not all heroes wear capes.")
    [3673, 477, 10281, 5806, 1451, 274, 13]
    >>> encoder.decode([3673, 477])
    'Not all'
    >>> encoder.encoder["Ġall"], encoder.decoder[477]
    (477, 'Ġall')

    It can be pickled, and used by several threads.
    """

    def __init__(self, tokenizer: Tokenizer, where: str) -> None:
        self._where = where
        self._tokenizer = tokenizer
        # Their texts are encoded as any other is. A pickle of the library leaves this out.
        tokenizer.encode_special_tokens = True

    def __setstate__(self, state: dict[str, object]) -> None:
        vars(self).update(state)
        self._tokenizer.encode_special_tokens = True

    def __repr__(self) -> str:
        return f"<Encoder {self._where!r}: {self._tokenizer.get_vocab_size():,} tokens>"

    @cached_property
    def encoder(self) -> dict[str, int]:
        """The id of each token, sorted by id; tokens are spelled as the vocabulary has them."""
        found = self._tokenizer.get_vocab(with_added_tokens=True)
        return dict(sorted(found.items(), key=operator.itemgetter(1)))

    @cached_property
    def decoder(self) -> dict[int, str]:
        """The token of each id; an id that is missing has none."""
        return {number: token for token, number in self.encoder.items()}

    @property
    def end_of_text(self) -> int | None:
        """The id of ``<|endoftext|>``; None where the vocabulary has no such token."""
        number: int | None = self._tokenizer.token_to_id(END_OF_TEXT)
        return number

    def encode(self, text: str, *, allow_special: bool = False) -> list[int]:
        """Return the ids of the tokens of ``text``; nothing is added that is not in it.

        ``<|endoftext|>`` and other special tokens are text like any other, unless
        ``allow_special``: then each of them becomes its id.

        Raises:
            UsageError: it is no text, or holds half a surrogate pair, which no UTF-8 spells.
            UnsupportedError: it holds something that the vocabulary has no token for.
            FormatError: the tokenizers library cannot apply the tokenizer to it.
        """
        if not isinstance(text, str):
            raise UsageError(f"a text to encode is a str, found {type(text).__name__}")
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise UsageError(
                f"the text has half a surrogate pair, {text[error.start]!r}, at character "
                f"{error.start:,}"
            ) from None
        tokenizer = self._with_special if allow_special else self._tokenizer
        try:
            with failures_as_errors(self._where):
                ids: list[int] = tokenizer.encode(text, add_special_tokens=False).ids
        except FormatError as error:
            if NO_TOKEN not in str(error):
                raise
            missing = self._is_byte_level and find_missing(text, self._has)
            raise UnsupportedError(
                f"{self._where}: no token for {missing or 'a character of the text'}"
            ) from None
        return ids

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text of the tokens with these ids; bytes that are no UTF-8 become U+FFFD.

        Raises:
            UsageError: one of them is no id of the vocabulary.
            FormatError: the tokenizers library cannot apply the tokenizer to them.
        """
        return self._decode([number for number, _ in self._look_up(ids)])

    def decode_each(self, ids: Iterable[int]) -> Iterator[str]:
        """Yield the text of tokens as they come, as soon as it is whole; raises as :meth:`decode`.

        Joined it is what :meth:`decode` returns for all of them. Where a token ends inside a
        character, the rest comes with the next; a character that never ends becomes U+FFFD.
        """
        tokens = self._look_up(ids)
        if self._is_byte_level:
            return decode_bytes(token for _, token in tokens)
        return decode_windows(tokens, self._decode)

    @cached_property
    def _with_special(self) -> Tokenizer:
        """The same tokenizer, to which a special token is one."""
        with failures_as_errors(self._where):
            twin: Tokenizer = load_library().Tokenizer.from_str(self._tokenizer.to_str())
        return twin

    @property
    def _is_byte_level(self) -> bool:
        return isinstance(self._tokenizer.decoder, load_library().decoders.ByteLevel)

    def _has(self, token: str) -> bool:
        return self._tokenizer.token_to_id(token) is not None

    def _decode(self, ids: list[int]) -> str:
        with failures_as_errors(self._where):
            text: str = self._tokenizer.decode(ids, skip_special_tokens=False)
        return text

    def _look_up(self, ids: Iterable[int]) -> Iterator[tuple[int, str]]:
        """Yield each id as a plain number, and its token."""
        if not hasattr(ids, "__iter__"):
            raise UsageError(f"the ids of tokens expected, found {type(ids).__name__}")
        for each in ids:
            try:
                number = operator.index(each)
            except TypeError:
                raise UsageError(f"an id is a whole number, found {type(each).__name__}") from None
            token = self._tokenizer.id_to_token(number) if 0 <= number <= MAX_ID else None
            if token is None:
                bits = number.bit_length()
                told = f"the id {number:,}" if bits <= 64 else f"an id of {bits:,} bits"
                raise UsageError(
                    f"{self._where}: no token has {told}; the largest is {max(self.decoder):,}"
                )
            yield number, token
