"""Tensors of one source by name, of whatever model: what writers and comparisons receive."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self

    from ..tensors.tensor import LazyTensor
    from .raw import RawCheckpoint


@dataclass(frozen=True, slots=True)
class Dropped:
    """A source tensor that is not carried over, and why."""

    source_name: str
    reason: str


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class TensorCollection(Mapping[str, "LazyTensor"]):
    """A mapping of name to lazy tensor: of a checkpoint that is taken as it is, the file's names.

    Every tensor of the source is either in the mapping or in ``dropped``; ``notes`` are what else a
    user should know of them. It is a context manager; without ``with``, its files are closed when
    the last reference goes.
    """

    raw: RawCheckpoint
    tensors: Mapping[str, LazyTensor]
    dropped: tuple[Dropped, ...]
    notes: tuple[str, ...] = ()

    @property
    def format(self) -> str:
        """The source's container, a key of READERS."""
        return self.raw.format

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__} {self.raw.where!r} ({self.format}): "
            f"{len(self.tensors)} tensors>"
        )

    def __getitem__(self, name: str) -> LazyTensor:
        return self.tensors[name]

    # A mapping would be equal to another of the same names and shapes, whatever the weights are.
    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)

    def __iter__(self) -> Iterator[str]:
        return iter(self.tensors)

    def __len__(self) -> int:
        return len(self.tensors)

    def close(self) -> None:
        """Close the files; tensors cannot be read any more."""
        self.raw.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
