"""Hugging Face's tokenizers library: imported when it is first needed, its failures told as ours.

It is written in Rust. What it refuses is an Exception of no class of its own; what it was not made
for is a panic, which reaches Python as a BaseException and has been printed to stderr by then. So
the files are looked at before it sees them (:mod:`.document`, :mod:`.vocabulary`), and what gets
through all the same becomes an error here.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from ..errors import FormatError, Gpt2ConvertError, UnsupportedError
from ..quoting import quote

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType


def load_library() -> ModuleType:
    """Return the library.

    Raises:
        UnsupportedError: it is not installed.
    """
    try:
        import tokenizers
    except ImportError:
        raise UnsupportedError(
            "tokenizers is not installed: pip install 'gpt2-convert[tokenizer]'"
        ) from None
    module: ModuleType = tokenizers
    return module


@contextmanager
def failures_as_errors(where: str) -> Iterator[None]:
    """Turn what the library raises in the block into a FormatError that begins with ``where``."""
    try:
        yield
    except (Gpt2ConvertError, MemoryError):
        raise
    except Exception as error:  # noqa: BLE001 - the library raises the bare class
        raise FormatError(f"{where}: the tokenizers library says {quote(str(error))}") from None
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise FormatError(f"{where}: the tokenizers library fails: {quote(str(error))}") from None
