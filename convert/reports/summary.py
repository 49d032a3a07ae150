"""What every report says of a checkpoint: its path and format, and how much is in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..quoting import quote

if TYPE_CHECKING:
    from typing import Any

    from ..tensors.tensor import LazyTensor

    Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Totals:
    """How many tensors, parameters and bytes, and of which dtype ("mixed" if of several)."""

    tensors: int
    parameters: int
    nbytes: int
    dtype: str

    def list_facts(self) -> list[tuple[str, str]]:
        """Return the totals as they stand in a notebook's table."""
        numbers = {
            "tensors": self.tensors, "parameters": self.parameters, "bytes": self.nbytes
        }  # fmt: skip
        return [*((name, f"{n:,}") for name, n in numbers.items()), ("dtype", self.dtype)]

    def as_json(self) -> Json:
        """Return the totals as they stand in a report."""
        return {"parameters": self.parameters, "bytes": self.nbytes, "dtype": self.dtype}


def sum_up(tensors: list[LazyTensor]) -> Totals:
    """Add up ``tensors``."""
    dtypes = sorted({tensor.dtype.value for tensor in tensors})
    return Totals(
        tensors=len(tensors),
        parameters=sum(tensor.size for tensor in tensors),
        nbytes=sum(tensor.nbytes for tensor in tensors),
        dtype=dtypes[0] if len(dtypes) == 1 else "mixed" if dtypes else "none",
    )


@dataclass(frozen=True, slots=True)
class Side:
    """The source or the target of a job."""

    path: str
    format: str

    def __str__(self) -> str:
        return f"{quote(self.path)} ({self.format})"

    def as_json(self) -> Json:
        """Return the side as it stands in a report."""
        return {"path": self.path, "format": self.format}
