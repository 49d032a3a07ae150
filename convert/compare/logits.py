"""Two checkpoints compared by what they say: their logits after the same tokens.

Both models are run over the tokens, block by block from their files (:mod:`..inference.streamed`),
so that memory is that of a few tensors, whatever the models' size. Tokens are taken in windows as
long as both contexts allow. What decides are the bounds that the caller sets; without one, nothing
that the models say is a finding.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import UsageError
from ..model.config import state_heads
from ..progress import ignore_progress
from ..reports.findings import Finding, Kind
from ..reports.summary import Side, sum_up
from ..reports.verification import VerificationReport
from ..tensors.casting import cast_tensors
from ..tensors.dtype import DType
from ..tensors.watched import watch_tensors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Any, Final

    import numpy as np
    import numpy.typing as npt

    from ..checkpoint.canonical import Checkpoint
    from ..inference.agreement import Agreement, Output
    from ..progress import Progress
    from ..tensors.loss import CastLoss
    from ..tensors.tensor import LazyTensor

    Ids = npt.NDArray[np.integer[Any]]

TOKENS: Final = 1024
"""Tokens that are compared where nobody says how many."""
_AT_ONCE: Final = 4096
"""Tokens that are run at once: more are run in turns, and for each both models are read again."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How little two models may agree: findings are what lies beyond.

    ``max_kl`` is for the largest divergence of a token, in nats; ``min_agreement`` is for the share
    of tokens with the same first choice.

    Raises:
        UsageError: one of them makes no sense.
    """

    max_kl: float | None = None
    min_agreement: float | None = None

    def __post_init__(self) -> None:
        if self.max_kl is not None and not 0 <= self.max_kl < float("inf"):
            raise UsageError(
                f"max_kl: a number that is not negative expected, found {self.max_kl!r}"
            )
        if self.min_agreement is not None and not 0 <= self.min_agreement <= 1:
            raise UsageError(
                f"min_agreement: a share from 0 to 1 expected, found {self.min_agreement!r}"
            )

    def check(self, agreement: Agreement) -> Iterator[Finding]:
        """Yield a finding for each bound that is missed."""
        if self.max_kl is not None and agreement.kl_max > self.max_kl:
            text = f"{agreement.kl_max:.6g} after one token, where {self.max_kl:g} is allowed"
            yield Finding(Kind.LOGITS, "kl", text)
        if self.min_agreement is not None and agreement.top1 < self.min_agreement:
            text = f"{agreement.top1:.6g} of the tokens, where {self.min_agreement:g} are wanted"
            yield Finding(Kind.LOGITS, "top1", text)


def draw_ids(n_vocab: int, count: int) -> Ids:
    """Return the tokens that are compared where there is no text: the same ones each time."""
    import numpy as np

    # The raw numbers, because NumPy promises that they stay the same from release to release.
    raw = np.random.PCG64(0).random_raw(count)
    return (raw % np.uint64(n_vocab)).astype(np.intp)


def compare_logits(
    source: Checkpoint,
    target: Checkpoint,
    ids: Sequence[int] | Ids,
    *,
    text: str | None = None,
    bounds: Bounds | None = None,
    loss: CastLoss | None = None,
    progress: Progress | None = None,
) -> VerificationReport:
    """Compare what two models say after each of ``ids``, which are those of ``text`` if of any.

    Raises:
        UsageError: the models have not the same vocabulary, or an id is not in it.
        UnsupportedError: a model cannot be computed, as :class:`..inference.model.Model` says.
        ComputationError: logits are not finite.
        Gpt2ConvertError: a tensor cannot be read.
    """
    import numpy as np

    from ..inference.agreement import NO_ID, compare_outputs, sum_up_agreement
    from ..inference.threads import computing

    source, target, notes = _share_heads(source, target)
    tokens = np.asarray(ids)
    _check_ids(tokens, source, target)
    window = min(source.config.n_ctx, target.config.n_ctx, _AT_ONCE)
    turn = _AT_ONCE // window * window
    starts = range(0, len(tokens), turn)
    advance = _count(source, target, len(starts), progress or ignore_progress)
    first, second = (_Run(each, advance) for each in (source, target))
    following = np.append(tokens[1:], NO_ID)
    parts = []
    with computing():
        for at in starts:
            part = slice(at, at + turn)
            ours, theirs = (each.run(tokens[part], window) for each in (first, second))
            parts.append(compare_outputs(ours, theirs, following[part]))
    agreement = sum_up_agreement(parts, text)
    return VerificationReport(
        source=Side(source.raw.where, source.format),
        target=Side(target.raw.where, target.format),
        totals=sum_up(list(source.values())),
        findings=tuple((bounds or Bounds()).check(agreement)),
        loss=loss,
        engine=source.raw.engine,
        notes=(*source.notes, *notes),
        max_abs_diff=None,
        logits=agreement,
    )


class _Run:
    """A model ready to be run from its files."""

    def __init__(self, checkpoint: Checkpoint, advance: Callable[[int], None]) -> None:
        from ..inference.behaviour import read_behaviour

        self.where = checkpoint.raw.where
        self.behaviour = read_behaviour(checkpoint.config, self.where)
        self.tensors = cast_tensors(
            watch_tensors(checkpoint.tensors, advance), DType.FLOAT32, where=self.where
        )

    def run(self, ids: Ids, window: int) -> Output:
        """Run tokens through all blocks."""
        from ..inference.agreement import Output
        from ..inference.streamed import run_streamed

        hidden = run_streamed(self.tensors, self.behaviour, ids, window)
        return Output(hidden, self.tensors[_find_head(self.tensors)], self.where)


def _find_head(tensors: Mapping[str, LazyTensor]) -> str:
    return "lm_head.w" if "lm_head.w" in tensors else "wte"


def _share_heads(
    source: Checkpoint, target: Checkpoint
) -> tuple[Checkpoint, Checkpoint, list[str]]:
    """Return both with a number of heads, if one of them states it, and a note if it is but one."""
    ours, theirs = source.config.n_head, target.config.n_head
    if ours is not None and theirs is None:
        note = f"n_head {ours} is stated for the source alone; the target was run with it, too"
        return source, state_heads(target, ours), [note]
    if ours is None and theirs is not None:
        note = f"n_head {theirs} is stated for the target alone; the source was run with it, too"
        return state_heads(source, theirs), target, [note]
    return source, target, []


def _check_ids(ids: Ids, source: Checkpoint, target: Checkpoint) -> None:
    """Refuse tokens that one of the models does not know.

    Raises:
        UsageError: there are none, or the vocabularies differ, or they lack one.
    """
    n_vocab = source.config.n_vocab
    if target.config.n_vocab != n_vocab:
        raise UsageError(
            f"the logits of two vocabularies cannot be compared: n_vocab is {n_vocab:,} in "
            f"{source.raw.where} and {target.config.n_vocab:,} in {target.raw.where}"
        )
    if not len(ids):
        raise UsageError("there are no tokens to compare the models by")
    if not 0 <= ids.min() <= ids.max() < n_vocab:
        wrong = int(ids.min() if ids.min() < 0 else ids.max())
        raise UsageError(
            f"{source.raw.where}: id {wrong} is not in the vocabulary, whose ids are 0 to "
            f"{n_vocab - 1}; is the tokenizer the model's?"
        )


def _count(
    source: Checkpoint, target: Checkpoint, turns: int, progress: Progress
) -> Callable[[int], None]:
    """Return what is told of every chunk, and tells of the bytes of all that is to be read."""
    done = total = 0
    for checkpoint in (source, target):
        tensors = list(checkpoint.values())
        if "lm_head.w" not in checkpoint:
            tensors.append(checkpoint["wte"])  # once for the embeddings, and once as the head
        total += turns * sum(tensor.nbytes for tensor in tensors)

    def advance(nbytes: int) -> None:
        nonlocal done
        done += nbytes
        progress("running", done, total)

    return advance
