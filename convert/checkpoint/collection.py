"""Tensors of one source by name, of whatever model: what writers and comparisons receive."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..display.line import count
from ..display.table import draw_facts, draw_rows
from ..quoting import quote
from .lookup import Items, Names, Tensors, UnknownTensorError

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
    the last reference goes. A name that is not there is a KeyError, which says what may be meant.
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
        return f"<{type(self).__name__} {self._describe()}>"

    def _describe(self) -> str:
        return f"{quote(self.raw.where)} ({self.format}): {count(len(self.tensors), 'tensor')}"

    def _repr_html_(self) -> str:
        facts = [*self._list_facts(), *(("note", note) for note in self.notes)]
        rows = [
            (name, list(tensor.shape), tensor.dtype, f"{tensor.nbytes:,}")
            for name, tensor in self.tensors.items()
        ]
        caption = f"{type(self).__name__} {self.raw.where} ({self.format})"
        return draw_facts(caption, facts) + draw_rows(
            "tensors", ("name", "shape", "dtype", "bytes"), rows
        )

    def _list_facts(self) -> Iterator[tuple[str, str]]:
        """Yield what a notebook shows of it as a whole."""
        yield "tensors", f"{len(self.tensors):,}"
        yield "parameters", f"{sum(tensor.size for tensor in self.tensors.values()):,}"
        yield "bytes", f"{sum(tensor.nbytes for tensor in self.tensors.values()):,}"
        if self.dropped:
            yield "dropped", count(len(self.dropped), "tensor")

    def __getitem__(self, name: str) -> LazyTensor:
        try:
            return self.tensors[name]
        except KeyError:
            pass
        names = ((known, tensor.source_name) for known, tensor in self.tensors.items())
        raise UnknownTensorError(name, names)

    def __contains__(self, name: object) -> bool:
        return name in self.tensors

    def keys(self) -> Names:
        """Return the names, in their order."""
        return Names(self.tensors)

    def values(self) -> Tensors:
        """Return the tensors, in their order."""
        return Tensors(self.tensors)

    def items(self) -> Items:
        """Return the names with their tensors, in their order."""
        return Items(self.tensors)

    def _ipython_key_completions_(self) -> list[str]:
        return list(self.tensors)

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
