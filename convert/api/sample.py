"""The tokens by which two models are compared: the start of a text, or drawn ones."""

from __future__ import annotations

from codecs import getincrementaldecoder
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..compare.logits import TOKENS, draw_ids
from ..errors import Advice, FormatError, SourceNotFoundError, UsageError
from ..io.source import SourceFile, check_path

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence
    from typing import Any, Final

    import numpy as np
    import numpy.typing as npt

    from ..checkpoint.canonical import Checkpoint
    from ..tokenizer.encoder import Encoder

_PER_TOKEN: Final = 16
"""Bytes of a token that are read at first; few texts have tokens that are longer."""
_MARGIN: Final = 64
"""Tokens at the end of a part of a text that may be others in the whole of it."""


@dataclass(frozen=True, slots=True)
class Sample:
    """The first tokens of the file ``text``, or, where that is None, drawn ones.

    ``tokenizer`` is the path of one, if it is not the one beside the model. ``count`` is their
    number; a text may have fewer.

    Raises:
        UsageError: it is to have no tokens.
    """

    text: str | os.PathLike[str] | None = None
    tokenizer: str | os.PathLike[str] | None = None
    count: int = TOKENS

    def __post_init__(self) -> None:
        if self.count < 1:
            raise UsageError(f"tokens: at least one expected, found {self.count!r}")
        if self.text is None and self.tokenizer is not None:
            raise UsageError(
                "a tokenizer is for a text, and there is none", Advice("name one with {}", "text")
            )

    def read(self, checkpoint: Checkpoint) -> Sequence[int] | npt.NDArray[np.integer[Any]]:
        """Return the ids of the tokens.

        Raises:
            UsageError: the text is empty.
            FormatError: it is no UTF-8.
            Gpt2ConvertError: it, or the tokenizer, cannot be read.
        """
        if self.text is None:
            return draw_ids(checkpoint.config.n_vocab, self.count)
        file = SourceFile(check_path(self.text, "text"))
        try:
            if not file.size:
                raise UsageError(f"{file.path}: there is no text in it")
            return _encode_start(self._load_encoder(checkpoint), file, self.count)
        finally:
            file.close()

    def _load_encoder(self, checkpoint: Checkpoint) -> Encoder:
        from .encoder import load_encoder

        if self.tokenizer is not None:
            return load_encoder(self.tokenizer)
        try:
            return load_encoder(checkpoint.raw.folder or Path(checkpoint.raw.where).parent)
        except SourceNotFoundError as error:
            advice = Advice("name one with {}", "tokenizer")
            raise SourceNotFoundError(str(error), advice) from None


def _encode_start(encoder: Encoder, file: SourceFile, count: int) -> list[int]:
    """Return the first ``count`` ids of a text, without reading all of it.

    Raises:
        FormatError: what was read is no UTF-8.
    """
    size = _PER_TOKEN * count
    while True:
        whole = size >= file.size
        data = file.read(0, min(size, file.size), "the text")
        try:
            text = getincrementaldecoder("utf-8")().decode(data, final=whole)
        except UnicodeDecodeError as error:
            raise FormatError(
                f"{file.path}: no UTF-8 text: {error.reason} at {error.start:,}"
            ) from None
        ids = encoder.encode(text)
        if whole or len(ids) >= count + _MARGIN:
            return ids[:count]
        size *= 4
