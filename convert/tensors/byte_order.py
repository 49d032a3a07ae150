"""Numbers whose bytes stand the other way around: turned while they are streamed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .dtype import DType

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Final

_COMPLEX: Final = (DType.COMPLEX64, DType.COMPLEX128)
"""Two numbers each, of which either is turned."""


def swap_bytes(chunks: Iterable[bytes], dtype: DType) -> Iterator[bytes]:
    """Yield the chunks of a tensor of ``dtype`` with the bytes of each number turned around.

    No number may lie in two of them: CHUNK is a multiple of every size. What ``chunks`` raise after
    the last one is raised after the last one here.
    """
    import numpy as np

    itemsize = dtype.itemsize or 1
    size = itemsize // 2 if dtype in _COMPLEX else itemsize
    for chunk in chunks:
        yield chunk if size == 1 else np.frombuffer(chunk, f"u{size}").byteswap().tobytes()
