"""The tokenizer of a model, from whatever files its folder has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import UnreadableError
from ..formats.hub_cache import find_snapshot
from ..io.os_errors import os_errors_as
from ..io.source import check_path
from ..tokenizer.build import build_tokenizer
from ..tokenizer.encoder import Encoder
from ..tokenizer.locate import find_tokenizer

if TYPE_CHECKING:
    import os


def load_encoder(source: str | os.PathLike[str]) -> Encoder:
    """Load the tokenizer in a model's folder, or of one file such as a tokenizer.json.

    Read are ``tokenizer.json``, or ``vocab.json`` with ``merges.txt``, or ``encoder.json`` with
    ``vocab.bpe``. A folder may have more than one; they have to say the same, and the path of a
    file chooses it. Needs ``pip install 'gpt2-convert[tokenizer]'``.

    ::

        encoder = gpt2_convert.load_encoder("models/124M")
        encoder.encode("Not all heroes wear capes.")  # [3673, 477, 10281, 5806, 1451, 274, 13]

    Raises:
        SourceNotFoundError, UnreadableError: there is no tokenizer, or a file of it is missing.
        FormatError: a file is damaged, or two of them contradict each other.
        UnsupportedError: the tokenizers library is not installed, or the tokenizer is of another
            kind, of which a tokenizer.json can be made.
    """
    path = check_path(source, "tokenizer")
    with os_errors_as(UnreadableError, path):
        path = find_snapshot(path)
    return Encoder(build_tokenizer(find_tokenizer(path)), str(path))
