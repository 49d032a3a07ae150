"""Sentences that a report has in every form: text, Markdown, a page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..quoting import clip

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ..checkpoint.config import Config
    from ..checkpoint.hparams import HParams
    from ..errors import Spell
    from ..tensors.loss import CastLoss
    from .findings import Finding
    from .summary import Totals


def describe_totals(totals: Totals) -> str:
    """Return how many tensors there are, and how large they are."""
    tensors = "1 tensor" if totals.tensors == 1 else f"{totals.tensors:,} tensors"
    parameters = f"{totals.parameters:,} parameter" + ("" if totals.parameters == 1 else "s")
    return f"{tensors}, {parameters}, {totals.nbytes:,} bytes, {totals.dtype}"


def describe_hparams(hparams: HParams, stated_by: str) -> str:
    """Return the sizes, and what states them."""
    sizes = ", ".join(f"{key} {value}" for key, value in hparams.known().items())
    unknown = "" if hparams.n_head else "; n_head is unknown"
    return f"{sizes} (from {stated_by}{unknown})"


def describe_behaviour(config: Config) -> tuple[str, str] | None:
    """Return the behaviour that is not GPT-2's own, which nothing else shows, and what says so."""
    unusual = config.unusual()
    if not unusual:
        return None
    text = ", ".join(f"{key} {_as_json(value)}" for key, value in unusual.items())
    return text, " and ".join(dict.fromkeys(_find_place(config, key) for key in unusual))


def spell_finding(finding: Finding, spell: Spell) -> str:
    """Return what a finding says, in one sentence."""
    hint = finding.spell_hint(spell)
    told = f"{finding.kind.value}: {finding.tensor}: {finding.message}"
    return f"{told}; {hint}" if hint else told


def group_findings(findings: Iterable[Finding]) -> list[tuple[Finding, int]]:
    """Return the findings, those that say the same of many tensors once, with their number."""
    groups: dict[object, tuple[Finding, int]] = {}
    for number, finding in enumerate(findings):
        same = finding.kind == "dtype"
        key = (finding.kind, finding.message, finding.advice) if same else number
        first, count = groups.get(key, (finding, 0))
        groups[key] = first, count + 1
    return list(groups.values())


def count_files(files: Sequence[object]) -> str:
    """Return how many files beside the weights there are."""
    return "1 file beside it" if len(files) == 1 else f"{len(files):,} files beside it"


def name_cast(totals: Totals, loss: CastLoss) -> str:
    """Return the dtype that a cast was to: that of all tensors, but for those that have no such."""
    return totals.dtype if loss.dtype is None else loss.dtype.value


def describe_loss(loss: CastLoss) -> str:
    """Return what a cast has done to the numbers: how many are gone, and how far the others are."""
    if loss.max_abs_error is None or loss.max_rel_error is None:
        return "no finite number was cast"
    if not loss.max_abs_error:
        parts = ["every number is what it was"]
    else:
        others = "of the others " if loss.zeroed else ""
        where = f" (in {clip(loss.max_rel_error_in)})" if loss.max_rel_error_in else ""
        parts = [f"largest relative error {others}{loss.max_rel_error:.3g}{where}"]
        parts += [f"largest absolute error {loss.max_abs_error:.3g}"]
    if loss.zeroed:
        parts.insert(0, f"{_count_numbers(loss.zeroed)} rounded to zero")
    if loss.overflows:
        parts.append(f"{_count_numbers(loss.overflows)} made infinite")
    return "; ".join(parts)


def _count_numbers(count: int) -> str:
    return "1 number" if count == 1 else f"{count:,} numbers"


def _find_place(config: Config, key: str) -> str:
    """Return what says so of a field: a file, the weights, or the program that wrote the file."""
    if key in config.stated_in:
        return config.stated_in[key]
    sizes = config.stated_in.get("n_layer")
    return "the weights" if key == "tie_word_embeddings" or sizes is None else f"{sizes} by default"


def _as_json(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else clip(str(value))
