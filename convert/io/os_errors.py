"""What the operating system refuses, as an error of this package."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from ..errors import Gpt2ConvertError
from ..quoting import os_reason

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator


@contextmanager
def os_errors_as(kind: type[Gpt2ConvertError], where: str | os.PathLike[str]) -> Iterator[None]:
    """Turn an OSError of the block into a ``kind`` that begins with ``where``."""
    try:
        yield
    except Gpt2ConvertError:
        raise  # some are OSErrors themselves
    except OSError as error:
        ours = kind(f"{where}: {os_reason(error)}")
        for note in getattr(error, "__notes__", ()):
            ours.add_note(note)
        raise ours from None
