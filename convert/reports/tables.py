"""The tables of pages: findings, tensors, files, and what became of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .page import Column, Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..checkpoint.collection import Dropped
    from ..errors import Spell
    from ..tensors.stats import TensorStats
    from ..tensors.tensor import LazyTensor
    from .conversion import ConversionReport, CopiedFile, LeftFile
    from .findings import Finding
    from .sums import WrittenFile


def list_findings(findings: Sequence[Finding], spell: Spell) -> Table:
    """Return all findings, a row each."""
    columns = (Column("kind"), Column("where", names=True), Column("what"), Column("hint"))
    rows = [
        (each.kind.value, each.tensor, each.message, each.spell_hint(spell) or "")
        for each in findings
    ]
    return Table("Findings", columns, rows)


def list_ledger(report: ConversionReport) -> Table:
    """Return what became of every source tensor."""
    columns = (
        Column("source tensor", names=True), Column("target tensor", names=True), Column("how"),
    )  # fmt: skip
    done = "written" if report.verification is None else "equal in every bit"
    rows = [(source, name, done) for source, name in report.mapped]
    rows += [(each.source_name, "", f"dropped: {each.reason}") for each in report.dropped]
    return Table("What became of every source tensor", columns, rows, folded=True)


def list_dropped(dropped: Sequence[Dropped]) -> Table:
    """Return what was left out, and why."""
    columns = (Column("tensor", names=True), Column("reason"))
    rows = [(each.source_name, each.reason) for each in dropped]
    return Table("Left out", columns, rows, folded=True)


def list_files(copied: Sequence[CopiedFile], left: Sequence[LeftFile]) -> Table:
    """Return what became of the files beside the weights."""
    columns = (Column("file", names=True), Column("bytes", numbers=True), Column("what became"))
    rows = [(each.name, f"{each.nbytes:,}", f"copied: {each.sha256}") for each in copied]
    rows += [(each.name, "", f"left: {each.reason}") for each in left]
    return Table("Files beside the weights", columns, rows)


def list_written(files: Sequence[WrittenFile]) -> Table:
    """Return the files of which sums were taken."""
    columns = (
        Column("file", names=True), Column("bytes", numbers=True), Column("SHA-256"),
    )  # fmt: skip
    rows = [(each.path, f"{each.nbytes:,}", each.sha256) for each in files]
    return Table("Files written", columns, rows)


def list_tensors(
    tensors: Sequence[LazyTensor], stats: Sequence[TensorStats | None] | None
) -> Table:
    """Return a row a tensor, with its statistics if there are any."""
    columns = [Column("tensor", names=True), Column("shape"), Column("dtype")]
    columns += [Column("bytes", numbers=True)]
    rows: list[tuple[str, ...]] = [
        (each.name, str(list(each.shape)), each.dtype.value, f"{each.nbytes:,}") for each in tensors
    ]
    if stats is not None:
        titles = ("min", "max", "mean", "std", "NaN", "inf")
        columns += [Column(title, numbers=True) for title in titles]
        rows = [(*row, *_count(each)) for row, each in zip(rows, stats, strict=True)]
    return Table("Tensors", tuple(columns), rows, folded=True)


def _count(found: TensorStats | None) -> tuple[str, ...]:
    if found is None:
        return ("",) * 6
    moments = (found.min, found.max, found.mean, found.std)
    shown = ("" if number is None else f"{number:.4g}" for number in moments)
    return (*shown, f"{found.nan:,}", f"{found.infinite:,}")
