"""How far two values may lie apart and still count as equal; by default not at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import UsageError

if TYPE_CHECKING:
    from typing import Final

    import numpy as np
    import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class Tolerance:
    """``|source - target| <= atol + rtol * |source|`` counts as equal, as does NaN with NaN."""

    atol: float = 0.0
    rtol: float = 0.0

    def __post_init__(self) -> None:
        for name, value in (("atol", self.atol), ("rtol", self.rtol)):
            if not 0 <= value < float("inf"):
                raise UsageError(f"{name}: a number that is not negative expected, found {value}")

    @property
    def exact(self) -> bool:
        """Whether every bit counts."""
        return self.atol == 0 == self.rtol

    def exceeded(
        self, source: npt.NDArray[np.float64], target: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.bool_]:
        """Return where two arrays of float64 lie further apart."""
        import numpy as np

        with np.errstate(all="ignore"):
            distance = np.abs(source - target)
            near = np.isfinite(distance) & (distance <= self.atol + self.rtol * np.abs(source))
        # An infinity is near to nothing but itself.
        equal: npt.NDArray[np.bool_] = near | (source == target)
        return ~(equal | (np.isnan(source) & np.isnan(target)))


EXACT: Final = Tolerance()
