"""Tensors whose reading is told to whoever watches."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from .tensor import LazyTensor


def watch_tensors(
    tensors: Mapping[str, LazyTensor], advance: Callable[[int], None]
) -> dict[str, LazyTensor]:
    """Return the tensors; ``advance`` is called with the bytes of each chunk that was used."""

    def watch(tensor: LazyTensor) -> LazyTensor:
        def read() -> Iterator[bytes]:
            for chunk in tensor.chunks():
                yield chunk
                advance(len(chunk))

        return replace(tensor, read=read)

    return {name: watch(tensor) for name, tensor in tensors.items()}
