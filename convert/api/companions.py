"""What travels beside the weights of a conversion: chosen, looked at, copied, and proven."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ..formats.companions import Beside, check_companion, compare_companion, list_beside
from ..io.json_scan import Allowance
from ..reports.conversion import LeftFile
from ..reports.findings import Finding, Kind

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from ..checkpoint.collection import TensorCollection
    from ..checkpoint.raw import RawCheckpoint
    from ..formats.companions import Companion
    from ..formats.writers import Writer
    from ..reports.conversion import CopiedFile


def choose_companions(
    checkpoint: TensorCollection, writer: Writer, *, weights_only: bool
) -> Beside:
    """Return what is to be copied from beside the weights, and what stays behind and why."""
    travel = bool(writer.folder_of) and not weights_only
    beside = list_beside(checkpoint.raw, travel=travel)
    if travel:
        names = writer.companion_names
        renamed = (
            replace(each, name=names.get(each.name, each.name)) for each in beside.companions
        )
        return replace(beside, companions=tuple(renamed))
    reason = "only the weights were asked for" if weights_only else "one file has no room for it"
    left = [
        *beside.left,
        *(LeftFile(companion.path.name, reason) for companion in beside.companions),
    ]
    return Beside(left=tuple(sorted(left, key=lambda each: each.name)))


def check_companions(
    companions: Iterable[Companion], n_vocab: int, allowance: Allowance | None = None
) -> list[str]:
    """Look whether each is what its name says, and return notes; ``allowance`` is for them all.

    Raises:
        Gpt2ConvertError: one of them is something else, or cannot be read.
    """
    allowance = allowance or Allowance()
    return [note for each in companions for note in check_companion(each, n_vocab, allowance)]


def prove_companions(
    companions: Iterable[Companion], folder: Path
) -> tuple[tuple[CopiedFile, ...], tuple[Finding, ...]]:
    """Read source and copy of each afresh; return those that are equal, and a finding for others.

    Raises:
        Gpt2ConvertError: one of the files cannot be read.
    """
    copied: list[CopiedFile] = []
    findings: list[Finding] = []
    for each in companions:
        if (found := compare_companion(each, folder / each.name)) is not None:
            copied.append(found)
        else:
            text = "its bytes differ from those of the source"
            findings.append(Finding(Kind.COMPANION, each.name, text))
    return tuple(copied), tuple(findings)


def compare_companions(
    source: RawCheckpoint, target: RawCheckpoint
) -> tuple[tuple[str, ...], tuple[Finding, ...], tuple[str, ...]]:
    """Compare what lies beside two checkpoints, under the names of Hugging Face's folders.

    Returns the names that were compared, the findings, and the names that only one side has, none
    where one of them is a single file.

    Raises:
        Gpt2ConvertError: a file that both have cannot be read.
    """
    if source.folder is None or target.folder is None:
        return (), (), ()
    ours = {each.name: each for each in list_beside(source).companions}
    theirs = {each.name: each for each in list_beside(target).companions}
    both = sorted(ours.keys() & theirs.keys())
    findings = [
        Finding(Kind.COMPANION, name, "its bytes differ between source and target")
        for name in both
        if compare_companion(ours[name], theirs[name].path) is None
    ]
    return tuple(both), tuple(findings), tuple(sorted(ours.keys() ^ theirs.keys()))
