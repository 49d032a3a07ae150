"""Where the bytes of a model are: a bar for each part of it, and for each type of its elements."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..kinds import name_part

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Final

    from ...tensors.tensor import LazyTensor

MOST: Final = 12
"""Bars; what is smaller than these is one more."""


@dataclass(frozen=True, slots=True)
class Share:
    """A bar: so many ``tensors`` with so many elements and bytes, and their ``share`` of all."""

    label: str
    tensors: int
    parameters: int
    nbytes: int
    share: float


def share_by_part(tensors: Iterable[LazyTensor]) -> tuple[Share, ...]:
    """Return the parts of a model, the largest first."""
    return _share(tensors, lambda tensor: name_part(tensor.name))


def share_by_dtype(tensors: Iterable[LazyTensor]) -> tuple[Share, ...]:
    """Return the types of elements, the one of most bytes first."""
    return _share(tensors, lambda tensor: tensor.dtype.value)


def _share(tensors: Iterable[LazyTensor], name: Callable[[LazyTensor], str]) -> tuple[Share, ...]:
    sums: dict[str, tuple[int, int, int]] = {}
    for tensor in tensors:
        label = name(tensor)
        count, size, nbytes = sums.get(label, (0, 0, 0))
        sums[label] = count + 1, size + tensor.size, nbytes + tensor.nbytes
    whole = sum(nbytes for _, _, nbytes in sums.values()) or 1
    ranked = sorted(sums.items(), key=lambda each: -each[1][2])
    if len(ranked) > MOST + 1:
        rest = [numbers for _, numbers in ranked[MOST:]]
        together = sum(a for a, _, _ in rest), sum(b for _, b, _ in rest), sum(c for *_, c in rest)
        ranked = [*ranked[:MOST], (f"{len(rest):,} others", together)]
    return tuple(
        Share(label, count, size, nbytes, nbytes / whole) for label, (count, size, nbytes) in ranked
    )
