"""Which token comes next: the likeliest, or one drawn from what the logits make likely.

In this order, which is that of transformers: the logits are divided by the temperature; all but the
``top_k`` likeliest tokens are left out; of these, the likeliest are kept whose probabilities add up
to ``top_p``, the one that reaches it included. Of equally likely tokens the lower id goes first.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..errors import UsageError

if TYPE_CHECKING:
    from typing import Any, Final

    import numpy.typing as npt

    Array = npt.NDArray[Any]

_FEW: Final = 1024
"""Tokens among which those that add up to ``top_p`` are looked for first."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How tokens are chosen. At temperature 0 it is the likeliest, whatever the other two say.

    Raises:
        UsageError: one of them makes no sense.
    """

    temperature: float = 0.0
    top_k: int | None = None
    top_p: float | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.temperature < math.inf:
            raise UsageError(
                f"temperature: a number that is not negative expected, found {self.temperature!r}"
            )
        if self.top_k is not None and self.top_k < 1:
            raise UsageError(f"top_k: a number of tokens expected, found {self.top_k!r}")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise UsageError(f"top_p: a number in (0, 1] expected, found {self.top_p!r}")

    def choose(self, logits: Array, random: np.random.Generator) -> int:
        """Return the id that comes next; ``logits`` are [n_vocab] and finite.

        Draws one number from ``random`` unless the temperature is 0.
        """
        if self.temperature == 0:
            return int(logits.argmax())
        ids, weights = self._weigh(logits)
        sums = np.cumsum(weights)
        at = int(np.searchsorted(sums, random.random() * sums[-1], side="right"))
        # By rounding, the product may reach the sum.
        return int(ids[min(at, len(ids) - 1)])

    def _weigh(self, logits: Array) -> tuple[Array, Array]:
        """Return the ids that may come next, and what each weighs."""
        size = logits.size
        count = min(self.top_k or size, size)
        if self.top_p is None:
            ids = np.arange(size) if count == size else _find_likeliest(logits, count)
            return ids, self._weigh_some(logits, ids)
        # Sorting a whole vocabulary takes a fifth of the time of a token, and few are needed.
        few = min(_FEW, size) if count == size else count
        total = self._weigh_some(logits, np.arange(size)).sum() if count == size else None
        while True:
            ids = _find_likeliest(logits, few)
            weights = self._weigh_some(logits, ids)
            sums = np.cumsum(weights)
            wanted = self.top_p * (sums[-1] if total is None else total)
            if sums[-1] >= wanted or few == count:
                kept = int(np.searchsorted(sums, wanted)) + 1
                return ids[:kept], weights[:kept]
            few = min(8 * few, count)

    def _weigh_some(self, logits: Array, ids: Array) -> Array:
        """Return numbers in the proportion of the probabilities of these ids."""
        scores = logits[ids].astype(np.float64)
        # The largest is 0 before the division, so that no temperature is too small.
        scores -= logits.max()
        with np.errstate(over="ignore"):
            scores /= self.temperature
        weights: Array = np.exp(scores, out=scores)
        return weights


def _find_likeliest(logits: Array, count: int) -> Array:
    """Return the ids of the ``count`` largest logits, the largest first."""
    least = np.partition(logits, -count)[-count]
    ids = np.flatnonzero(logits >= least)
    likeliest: Array = ids[np.argsort(-logits[ids], kind="stable")][:count]
    return likeliest


def seed_random(seed: int | None) -> np.random.Generator:
    """Return the source of random numbers: the same ones for a seed, others each time without.

    Raises:
        UsageError: the seed is negative.
    """
    if seed is not None and seed < 0:
        raise UsageError(f"seed: a number that is not negative expected, found {seed!r}")
    return np.random.Generator(np.random.PCG64(seed))
