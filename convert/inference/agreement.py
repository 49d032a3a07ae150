"""How far two models agree: their logits compared, token by token, without holding them.

The logits of a thousand tokens and OpenAI's vocabulary take 200 MB a model, and the head that makes
them 320 MB at 1558M. So the heads are read some rows of the vocabulary at a time, and all that is
kept of a token are sums, from which the results follow at the end. Of logits a and b they are

    logsumexp(a)   m + log(sum of exp(a - m)), with m the largest of a
    divergence     sum of p (a - b) - logsumexp(a) + logsumexp(b), with p = exp(a - logsumexp(a))

and a sum that was made with a smaller m is multiplied by exp(m before - m). Logits are float32, and
the sums float64.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..errors import ComputationError
from .streamed import read_rows
from .threads import share

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, Final

    import numpy.typing as npt

    from ..tensors.tensor import LazyTensor

    Array = npt.NDArray[Any]

FIRST: Final = 5
"""The likeliest ids of which it is asked how many both models have."""
NO_ID: Final = -1
"""What comes after the last token of a text."""
_TOKENS: Final = 128
"""Tokens whose logits a thread holds at a time."""
_LEAST: Final = 16
"""Tokens that are worth a thread."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far the logits of two models agree after each of ``tokens`` tokens.

    ``max_abs_diff`` and ``mean_abs_diff`` are of all logits. The Kullback-Leibler divergence, in
    nats, is that of the target's probabilities from the source's, a number a token: the mean, the
    99th percentile and the largest. ``top1`` is the share of tokens after which both find the same
    id likeliest; ``top5`` is the share that both have of the five likeliest. ``text`` is the file
    that the tokens are of, None where they were drawn at random; the perplexities are of that text,
    None without one and where they are beyond all numbers.
    """

    tokens: int
    max_abs_diff: float
    mean_abs_diff: float
    kl_mean: float
    kl_p99: float
    kl_max: float
    top1: float
    top5: float
    text: str | None = None
    perplexity_source: float | None = None
    perplexity_target: float | None = None

    def as_json(self) -> dict[str, object]:
        """Return the agreement as it stands in a report."""
        perplexity = {"source": self.perplexity_source, "target": self.perplexity_target}
        return {
            "tokens": self.tokens,
            "text": self.text,
            "max_abs_diff": self.max_abs_diff,
            "mean_abs_diff": self.mean_abs_diff,
            "kl": {"mean": self.kl_mean, "p99": self.kl_p99, "max": self.kl_max},
            "top1": self.top1,
            "top5": self.top5,
            "perplexity": None if self.text is None else perplexity,
        }


@dataclass(frozen=True, slots=True)
class Output:
    """What a model has made of some tokens, [tokens, n_embd], and the head that is still to come.

    ``head`` is float32, [n_vocab, n_embd]; ``where`` is the model, for errors.
    """

    hidden: Array
    head: LazyTensor
    where: str


@dataclass(frozen=True, slots=True)
class Compared:
    """The logits of two models after some tokens, compared; the arrays have a number a token.

    ``surprises`` are minus the logarithms of the probabilities that source and target give to the
    id that does come next, NaN where none does. ``sum_abs_diff`` is of ``logits`` logits.
    """

    divergences: Array
    same_first: Array
    shared: Array
    surprises: tuple[Array, Array]
    max_abs_diff: float
    sum_abs_diff: float
    logits: int


def compare_outputs(source: Output, target: Output, following: Array) -> Compared:
    """Read both heads, and compare the logits; ``following`` are the ids that come next, or NO_ID.

    Raises:
        ComputationError: logits are not finite.
        Gpt2ConvertError: a head cannot be read.
    """
    comparison = _Comparison(source, target, following)
    start = 0
    for ours, theirs in zip(read_rows(source.head), read_rows(target.head), strict=True):
        comparison.add(ours, theirs, start)
        start += len(ours)
    return comparison.finish()


def sum_up_agreement(parts: Sequence[Compared], text: str | None) -> Agreement:
    """Return the agreement over all tokens of a text, or of none."""
    divergences = np.concatenate([part.divergences for part in parts])
    perplexities = [
        _find_perplexity(np.concatenate([part.surprises[side] for part in parts]))
        for side in range(2)
    ]
    return Agreement(
        tokens=len(divergences),
        max_abs_diff=max(part.max_abs_diff for part in parts),
        mean_abs_diff=sum(part.sum_abs_diff for part in parts) / sum(part.logits for part in parts),
        kl_mean=float(divergences.mean()),
        kl_p99=float(np.percentile(divergences, 99)),
        kl_max=float(divergences.max()),
        top1=float(np.concatenate([part.same_first for part in parts]).mean()),
        top5=float(np.concatenate([part.shared for part in parts]).mean()),
        text=text,
        perplexity_source=None if text is None else perplexities[0],
        perplexity_target=None if text is None else perplexities[1],
    )


def _find_perplexity(surprises: Array) -> float | None:
    """Return what the surprises amount to; None if it is beyond all numbers, or nothing follows."""
    known = surprises[~np.isnan(surprises)]
    if not known.size or (mean := float(known.mean())) > math.log(np.finfo(np.float64).max):
        return None
    return math.exp(mean)


class _Comparison:
    """What is kept of both models' logits; the sums have a number a token."""

    def __init__(self, source: Output, target: Output, following: Array) -> None:
        self.source, self.target = source, target
        self.tokens, self.n_vocab = len(following), source.head.shape[0]
        self.ours = _Sums(source.where, following, self.n_vocab)
        self.theirs = _Sums(target.where, following, self.n_vocab)
        self.weighted = np.zeros(self.tokens)
        self.largest = np.zeros(self.tokens)
        self.total = np.zeros(self.tokens)

    def add(self, our_rows: Array, their_rows: Array, start: int) -> None:
        """Take in the logits that rows of the heads make, those of the ids from ``start`` on."""

        def compare(part: slice) -> None:
            for at in range(part.start, part.stop, _TOKENS):
                rows = slice(at, min(at + _TOKENS, part.stop))
                ours = self.source.hidden[rows] @ our_rows.T
                theirs = self.target.hidden[rows] @ their_rows.T
                weights, scale = self.ours.add(rows, ours, start)
                self.theirs.add(rows, theirs, start)
                differences = ours.astype(np.float64) - theirs
                weights *= differences
                self.weighted[rows] = self.weighted[rows] * scale + weights.sum(axis=1)
                np.abs(differences, out=differences)
                largest = self.largest[rows]
                np.maximum(largest, differences.max(axis=1), out=largest)
                self.total[rows] += differences.sum(axis=1)
                self.ours.choose(rows, ours, start)
                self.theirs.choose(rows, theirs, start)

        share(self.tokens, compare, _LEAST)

    def finish(self) -> Compared:
        """Return what follows from the sums."""
        ours, theirs = self.ours, self.theirs
        divergences = self.weighted / ours.sum - ours.log_sum() + theirs.log_sum()
        pairs = ours.choices[:, :, None] == theirs.choices[:, None, :]
        return Compared(
            divergences=np.maximum(divergences, 0),  # by rounding, it may come out below
            same_first=ours.choices[:, 0] == theirs.choices[:, 0],
            shared=pairs.sum(axis=(1, 2)) / ours.choices.shape[1],
            surprises=(ours.surprises(), theirs.surprises()),
            max_abs_diff=float(self.largest.max()),
            sum_abs_diff=float(self.total.sum()),
            logits=self.tokens * self.n_vocab,
        )


class _Sums:
    """What is kept of one model's logits: a number a token, or the ids of the largest."""

    def __init__(self, where: str, following: Array, n_vocab: int) -> None:
        tokens = len(following)
        self.where = where
        self.following = following
        self.largest = np.full(tokens, -np.inf)
        self.sum = np.zeros(tokens)
        self.expected = np.full(tokens, np.nan)
        self.choices = np.full((tokens, min(FIRST, n_vocab)), NO_ID)
        self.scores = np.full(self.choices.shape, -np.inf, np.float32)

    def add(self, rows: slice, logits: Array, start: int) -> tuple[Array, Array]:
        """Take in the logits of ids from ``start`` on; they are [tokens, ids], of some tokens.

        Returns exp(logits - the largest so far), and the factor of sums of such made before.
        """
        if not np.isfinite(logits).all():
            raise ComputationError(
                f"{self.where}: its logits are not finite; weights are NaN or infinite, or too "
                "large to compute with in float32"
            )
        before = self.largest[rows]
        largest = np.maximum(before, logits.max(axis=1))
        scale = np.exp(before - largest)
        weights = logits.astype(np.float64)
        weights -= largest[:, None]
        np.exp(weights, out=weights)
        self.largest[rows] = largest
        self.sum[rows] = self.sum[rows] * scale + weights.sum(axis=1)
        here = self.following[rows] - start
        found = np.flatnonzero((here >= 0) & (here < logits.shape[1]) & (here + start != NO_ID))
        self.expected[rows][found] = logits[found, here[found]]
        return weights, scale

    def choose(self, rows: slice, logits: Array, start: int) -> None:
        """Keep the ids of the largest logits, of equal ones the lower; uses the logits up."""
        every = np.arange(len(logits))
        scores, choices = [self.scores[rows]], [self.choices[rows]]
        for _ in range(min(self.choices.shape[1], logits.shape[1])):
            at = logits.argmax(axis=1)
            scores.append(logits[every, at, None])
            choices.append(at[:, None] + start)
            logits[every, at] = -np.inf
        all_scores, all_choices = np.hstack(scores), np.hstack(choices)
        order = np.argsort(-all_scores, axis=1, kind="stable")[:, : self.choices.shape[1]]
        self.scores[rows] = np.take_along_axis(all_scores, order, 1)
        self.choices[rows] = np.take_along_axis(all_choices, order, 1)

    def log_sum(self) -> Array:
        """Return the logarithm of the sum of all exponentials, a number a token."""
        logarithms: Array = self.largest + np.log(self.sum)
        return logarithms

    def surprises(self) -> Array:
        """Return minus the logarithm of the probability of the id that comes next."""
        surprises: Array = self.log_sum() - self.expected
        return surprises
