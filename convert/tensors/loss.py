"""What casts have lost, tensor by tensor."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..display.line import count

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any, Final

    import numpy.typing as npt

    from .dtype import DType

    Array = npt.NDArray[Any]


_SLACK: Final = 1 - 2.0**-20
"""What a product may be rounded up by, with much to spare."""


_FIRST: Final = 4096
"""Elements whose largest ratio serves the others of the first chunk as one to be compared with."""


@dataclass(slots=True)
class TensorLoss:
    """What a cast has done to the elements of one tensor.

    Elements that are NaN or infinite before or after count in no error. The absolute error is
    ``|after - before|``; the relative one is that divided by ``|before|``, among the elements that
    did not become zero: of those, ``zeroed``, it would be 1. Both are None until a finite element
    was cast. ``overflows`` are the finite elements that became infinite.
    """

    max_abs_error: float | None = None
    max_rel_error: float | None = None
    zeroed: int = 0
    overflows: int = 0

    def add(self, before: Array, after: Array, room: Array | None = None) -> None:
        """Take in the magnitudes of elements as they were and as they are.

        ``room`` is memory for as many of the wider type, and is overwritten.
        """
        import numpy as np

        # In the wider of the two types the difference is exact: it is a multiple of the smaller
        # number's last place, and of fewer bits than that.
        with np.errstate(all="ignore"):
            errors: Array = np.subtract(after, before, out=room)
            np.abs(errors, out=errors)
        largest = float(errors.max(initial=0.0))
        if not math.isfinite(largest):
            finite = np.isfinite(errors)
            errors, before, after = errors[finite], before[finite], after[finite]
            largest = float(errors.max(initial=0.0))
        if not errors.size:
            return
        self.max_abs_error = max(self.max_abs_error or 0.0, largest)
        self.max_rel_error = self.max_rel_error or 0.0
        if not largest:
            return
        # To multiply by the largest ratio so far, a little less for the rounding, and to compare
        # takes a third of the time of dividing, and next to no element is left to be divided.
        floor = self.max_rel_error or _find_largest_ratio(
            *(values[:_FIRST].astype("<f8") for values in (errors, before, after))
        )
        with np.errstate(under="ignore"):
            bound = np.multiply(before, errors.dtype.type(floor * _SLACK))
        reach = errors >= bound
        if not reach.any():
            return
        found = np.flatnonzero(reach)
        errors, before, after = (values[found].astype("<f8") for values in (errors, before, after))
        self.zeroed += int(np.count_nonzero(before[after == 0]))
        self.max_rel_error = max(self.max_rel_error, _find_largest_ratio(errors, before, after))

    def as_json(self) -> dict[str, object]:
        """Return it as it stands in a report."""
        return {
            "max_abs_error": self.max_abs_error,
            "max_rel_error": self.max_rel_error,
            "zeroed": self.zeroed,
            "overflows": self.overflows,
        }


def _find_largest_ratio(errors: Array, before: Array, after: Array) -> float:
    """Return the largest relative error among the elements that are zero neither way."""
    kept = after != 0
    return float((errors[kept] / before[kept]).max(initial=0.0))


@dataclass(slots=True, repr=False)
class CastLoss:
    """What casts have lost, filled in while the cast tensors are read, by several threads or one.

    ``tensors`` has each that was read to its end, under its name; reading one again changes
    nothing. ``dtype`` is what they were cast to.
    """

    tensors: dict[str, TensorLoss] = field(default_factory=dict)
    dtype: DType | None = None

    def __repr__(self) -> str:
        return (
            f"<CastLoss of {count(len(self.tensors), 'tensor')} to {self.dtype}: "
            f"max_abs_error={self.max_abs_error}, max_rel_error={self.max_rel_error}, "
            f"zeroed={self.zeroed}, overflows={self.overflows}>"
        )

    @property
    def max_abs_error(self) -> float | None:
        """The largest absolute error; None if no finite element was cast."""
        return self._find("max_abs_error")[0]

    @property
    def max_abs_error_in(self) -> str | None:
        """The tensor that it is in, the first of several; None while the error is 0."""
        return self._find("max_abs_error")[1]

    @property
    def max_rel_error(self) -> float | None:
        """The largest relative error among what did not become zero; None as above."""
        return self._find("max_rel_error")[0]

    @property
    def max_rel_error_in(self) -> str | None:
        """The tensor that it is in, the first of several; None while the error is 0."""
        return self._find("max_rel_error")[1]

    @property
    def zeroed(self) -> int:
        """How many elements were rounded to zero that were not zero."""
        return sum(loss.zeroed for loss in self.tensors.values())

    @property
    def overflows(self) -> int:
        """How many finite elements became infinite."""
        return sum(loss.overflows for loss in self.tensors.values())

    def arrange(self, names: Iterable[str]) -> None:
        """Put the tensors into the order of ``names``, whichever were read to their end first."""
        self.tensors = {name: self.tensors[name] for name in names if name in self.tensors}

    def _find(self, error: str) -> tuple[float | None, str | None]:
        found: tuple[float | None, str | None] = None, None
        for name, loss in self.tensors.items():
            value = getattr(loss, error)
            if value is not None and (found[0] is None or value > found[0]):
                found = value, name if value else None
        return found

    def as_json(self) -> dict[str, object]:
        """Return the loss as it stands in a report."""
        return {
            "max_abs_error": self.max_abs_error,
            "max_abs_error_in": self.max_abs_error_in,
            "max_rel_error": self.max_rel_error,
            "max_rel_error_in": self.max_rel_error_in,
            "zeroed": self.zeroed,
            "overflows": self.overflows,
            "tensors": [{"name": name, **loss.as_json()} for name, loss in self.tensors.items()],
        }
