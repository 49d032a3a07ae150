"""A GPT-2 in memory, which says what would come next and how a text goes on."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ..checkpoint.params import (
    AttentionParams,
    BlockParams,
    LayerNormParams,
    LinearParams,
    MLPParams,
)
from ..errors import ComputationError, UsageError
from .attention import Cache
from .behaviour import read_behaviour
from .forward import embed, read_out, run_blocks
from .sampling import Sampling, seed_random
from .threads import computing

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any, TypeAlias

    import numpy.typing as npt

    from ..checkpoint.config import Config
    from ..checkpoint.params import ModelParams

    Ids: TypeAlias = Sequence[int] | npt.NDArray[np.integer[Any]]
    Logits: TypeAlias = npt.NDArray[np.float32]


class Model:
    """A GPT-2 ready to run, in float32 arithmetic.

    ``params`` are its weights, those that are float32 already the very arrays it was made of;
    ``config`` is its configuration, ``where`` the file that it is from, and ``notes`` are what
    should be known of it.
    """

    __slots__ = ("_behaviour", "config", "notes", "params", "where")

    def __init__(
        self,
        params: ModelParams,
        config: Config,
        *,
        where: str = "the model",
        notes: tuple[str, ...] = (),
    ) -> None:
        """Make a model of weights and their configuration; ``where`` names it in errors.

        Raises:
            UnsupportedError: the configuration states no n_head, or an unknown activation.
        """
        self._behaviour = read_behaviour(config, where)
        self.where = where
        self.config = config
        self.notes = notes
        self.params = _as_float32(params)

    def __repr__(self) -> str:
        return f"<Model {self.where!r}: {self.config.hparams}>"

    def logits(self, ids: Ids) -> Logits:
        """Return what the model says after each of ``ids``: float32, [len(ids), n_vocab].

        Raises:
            UsageError: there are no ids, more than n_ctx, or some that are not in the vocabulary.
            ComputationError: the weights, or what came of them, are not finite.
        """
        checked = self._check(ids)
        with computing():
            x = embed(self.params.wte, self.params.wpe, checked)
            return self._read_out(run_blocks(x, self.params, self._behaviour))

    def generate(
        self,
        ids: Ids,
        n: int,
        temperature: float = 0.0,
        top_k: int | None = None,
        top_p: float | None = None,
        seed: int | None = None,
    ) -> Iterator[int]:
        """Return an iterator over the ``n`` ids with which the model goes on after ``ids``.

        At ``temperature`` 0 each is the likeliest one. Else it is drawn: the higher the
        temperature, the more evenly, and only from the ``top_k`` likeliest ids, and of those from
        the likeliest whose probabilities reach ``top_p``. The same ``seed`` draws the same ids.
        The end of a text is an id like any other; who wants to stop there stops the iteration.

        Raises:
            UsageError: as in :meth:`logits`; ``ids`` and ``n`` more together have no room in
                n_ctx; or a keyword makes no sense.
            ComputationError: (from the iterator) the logits are not finite.
        """
        checked = self._check(ids)
        sampling = Sampling(temperature, top_k, top_p)
        random = seed_random(seed)
        if n < 0:
            raise UsageError(f"n: a number of ids expected, found {n!r}")
        if len(checked) + n > self.config.n_ctx:
            raise UsageError(
                f"{self.where}: {len(checked):,} ids and {n:,} more are past n_ctx "
                f"{self.config.n_ctx:,}; n can be {self.config.n_ctx - len(checked):,} at most"
            )
        return self._go_on(checked, n, sampling, random)

    def _go_on(
        self,
        ids: npt.NDArray[np.integer[Any]],
        n: int,
        sampling: Sampling,
        random: np.random.Generator,
    ) -> Iterator[int]:
        config = self.config
        cache = Cache(config.n_layer, self._behaviour.n_head, config.n_embd, len(ids) + n)
        for _ in range(n):
            chosen = sampling.choose(self._step(ids, cache), random)
            yield chosen
            ids = np.array([chosen])

    def _step(self, ids: npt.NDArray[np.integer[Any]], cache: Cache) -> Logits:
        """Run new tokens; return the logits after the last of them, [n_vocab]."""
        with computing():
            x = embed(self.params.wte, self.params.wpe, ids, cache.length)
            last = run_blocks(x, self.params, self._behaviour, cache, last_only=True)
            logits: Logits = self._read_out(last)[0]
            return logits

    def _read_out(self, x: Logits) -> Logits:
        """Return the logits of tokens that went through all blocks."""
        params = self.params
        logits: Logits = read_out(x, params.wte if params.lm_head is None else params.lm_head)
        # A NaN is the largest of its row, and so is an infinity.
        if not np.isfinite(logits.max(axis=1)).all():
            raise ComputationError(
                f"{self.where}: its logits are not finite; weights are NaN or infinite, or too "
                "large to compute with in float32"
            )
        return logits

    def _check(self, ids: Ids) -> npt.NDArray[np.integer[Any]]:
        """Return ids as an array.

        Raises:
            UsageError: as in :meth:`logits`.
        """
        try:
            found = np.asarray(ids)
        except ValueError:  # lists of several lengths
            found = np.empty((0, 0))
        if found.ndim == 1 and not found.size:
            raise UsageError(f"{self.where}: no ids; it takes at least one")
        if found.ndim != 1 or found.dtype.kind not in "iu":
            raise UsageError(f"{self.where}: the ids have to be whole numbers in one list")
        n_vocab, n_ctx = self.config.n_vocab, self.config.n_ctx
        outside = np.flatnonzero((found < 0) | (found >= n_vocab))
        if outside.size:
            at = int(outside[0])
            raise UsageError(
                f"{self.where}: id {int(found[at])} at place {at} is not in the vocabulary, whose "
                f"ids are 0 to {n_vocab - 1}"
            )
        if len(found) > n_ctx:
            raise UsageError(f"{self.where}: {len(found):,} ids are past n_ctx {n_ctx:,}")
        return found.astype(np.intp, copy=False)


def _as_float32(params: ModelParams) -> ModelParams:
    """Return the weights as float32; arrays of that type stay as they are."""

    def convert(array: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.floating[Any]]:
        return np.asarray(array, np.float32)

    def norm(each: LayerNormParams) -> LayerNormParams:
        return LayerNormParams(convert(each.g), convert(each.b))

    def linear(each: LinearParams) -> LinearParams:
        return LinearParams(convert(each.w), convert(each.b))

    with np.errstate(over="ignore"):  # what is infinite then shows in the logits
        return replace(
            params,
            wte=convert(params.wte),
            wpe=convert(params.wpe),
            blocks=tuple(
                BlockParams(
                    norm(block.ln_1),
                    AttentionParams(linear(block.attn.c_attn), linear(block.attn.c_proj)),
                    norm(block.ln_2),
                    MLPParams(linear(block.mlp.c_fc), linear(block.mlp.c_proj)),
                )
                for block in params.blocks
            ),
            ln_f=norm(params.ln_f),
            lm_head=None if params.lm_head is None else convert(params.lm_head),
        )
