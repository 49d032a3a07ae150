"""Reports as lines of text, for people.

All words of our own are ASCII, and nothing is wrapped or cut: a pipe gets what a terminal gets,
without the styles. Whoever takes the lines escapes what files say, and knows how its readers spell
an option.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Protocol

from ..errors import spell_keyword
from ..quoting import clip

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Final

    from ..checkpoint.canonical import Dropped
    from ..checkpoint.hparams import HParams
    from ..errors import Spell
    from ..tensors.casting import CastLoss
    from ..tensors.stats import TensorStats
    from ..tensors.tensor import LazyTensor
    from .conversion import ConversionReport
    from .digest import DigestReport
    from .inspection import InspectionReport
    from .summary import Totals
    from .verification import Finding, VerificationReport

MOST_FINDINGS: Final = 20
"""Findings written as text; the JSON document has them all."""


Part = str | tuple[str, str]
"""A text, or a text and the style that a terminal may give it."""


class Sink(Protocol):
    """Where lines go: a terminal, a pipe, a page."""

    def line(self, *parts: Part) -> None:
        """Take the parts of a line in a row. They may hold anything that a file says."""


def write_conversion(
    out: Sink, report: ConversionReport, seconds: float, spell: Spell = spell_keyword
) -> None:
    """Write what was written and whether it was proven."""
    rate = report.totals.nbytes / max(seconds, 1e-3) / 1e6
    out.line((report.target.path, "bold"), f"  from {report.source.path} ({report.source.format})")
    out.line("  ", _describe_totals(report.totals))
    out.line("  hparams   ", _describe_hparams(report.hparams, report.hparams_from))
    _write_dropped(out, report.dropped, report.notes)
    if report.verification is None:
        out.line("  ", ("not verified", "yellow"), f"  ({spell('verify', False)})")
    else:
        cast = f", cast to {report.totals.dtype}" if report.loss else ""
        engine = report.verification.engine
        reread = "" if engine == "native" else f", as {engine} reads it"
        out.line("  ", ("verified", "green"), f"  every bit equals the source{cast}{reread}")
    if report.loss:
        out.line("  cast      ", _describe_loss(report.loss))
    if report.digests:
        out.line("  sha256    ", report.digests.sha256)
    out.line(f"  {report.target_nbytes:,} bytes written in {seconds:.1f} s, {rate:,.0f} MB/s")


def write_verification(out: Sink, report: VerificationReport, spell: Spell = spell_keyword) -> None:
    """Write whether the two are equal, and each way in which they are not."""
    sides = f"{report.source.path} ({report.source.format}) and {report.target.path} "
    sides += f"({report.target.format})"
    if report.loss:
        sides += f", the source cast to {report.totals.dtype}"
    if report.engine != "native":
        sides += f", the source read by {report.engine}"
    if report.ok:
        out.line(("equal", "bold green"), f"  {sides}")
        totals = _describe_totals(report.totals)
        if report.tolerance.exact:
            out.line(f"  every bit of {totals}")
        else:
            within = f"within {report.tolerance.atol:g} + {report.tolerance.rtol:g} * |source|"
            out.line(f"  {totals}, {within}")
        _write_notes(out, report.notes)
        return
    out.line(("different", "bold red"), f"  {sides}")
    for finding in report.findings[:MOST_FINDINGS]:
        out.line("  ", (f"{finding.kind.value:<9}", "red"), " ", *_describe_finding(finding, spell))
    left = len(report.findings) - MOST_FINDINGS
    if left > 0:
        out.line(f"  ... and {left:,} more findings; the JSON document has them all")
    _write_notes(out, report.notes)


def _write_notes(out: Sink, notes: Iterable[str]) -> None:
    for note in notes:
        out.line("  note      ", note)


def _describe_finding(finding: Finding, spell: Spell) -> Iterator[Part]:
    yield finding.tensor, "bold"
    hint = finding.spell_hint(spell)
    yield f": {hint}; " if hint else ": "
    yield finding.message


def write_inspection(
    out: Sink, report: InspectionReport, *, flat: bool, spell: Spell = spell_keyword
) -> None:
    """Write files, hparams, totals and the tensors, as a tree or as a table."""
    known = report.checkpoint
    out.line((report.path, "bold"), f"  {report.format}", "  gpt2" if known else "")
    width = max((len(file.path) for file in report.files), default=0)
    for file in report.files:
        size = "missing" if file.nbytes is None else f"{file.nbytes:,} bytes"
        out.line("  file      ", f"{file.path:<{width}}", f"  {size}")
    if report.engine != "native":
        out.line("  engine    ", report.engine)
    for fault in report.faults:
        out.line("  ", ("fault", "red"), "     ", fault)
    if known:
        out.line("  hparams   ", _describe_hparams(known.hparams, known.hparams_from))
        _write_dropped(out, known.dropped, report.notes)
    elif report.refusal:
        _write_notes(out, report.notes)
        out.line("  ", ("refused", "yellow"), "   ", report.refusal.spell(spell))
        for problem in report.disagreements[1:MOST_FINDINGS]:
            out.line("            ", problem.spell(spell))
        if (left := len(report.disagreements) - MOST_FINDINGS) > 0:
            out.line(f"            ... and {left:,} more; the JSON document has them all")
    out.line("  total     ", _describe_totals(report.totals))
    out.line("")
    if report.stats is not None:
        rows = _statistics(report.tensors, report.stats)
    else:
        rows = _table(report.tensors) if flat or not known else _tree(report.tensors)
    for row in rows:
        out.line(*row)


def write_digests(out: Sink, report: DigestReport) -> None:
    """Write the lines that sha256sum could have printed, and the digest of them all."""
    for tensor in report.tensors:
        out.line(tensor.line)
    out.line(f"{report.sha256}  all")


def _write_dropped(out: Sink, dropped: Iterable[Dropped], notes: Iterable[str]) -> None:
    """Write what was left out, a line a reason in the order of the file, and the notes."""
    names: dict[str, list[str]] = {}
    for drop in dropped:
        names.setdefault(drop.reason, []).append(drop.source_name)
    for reason, group in names.items():
        what = clip(group[0]) if len(group) == 1 else f"{len(group):,} tensors"
        out.line(f"  dropped   {what}: {reason}")
    _write_notes(out, notes)


def _describe_loss(loss: CastLoss) -> str:
    """Return the largest errors that a cast introduced."""
    if loss.max_abs_error is None or loss.max_rel_error is None:
        return "no finite number was cast"
    text = f"largest error {loss.max_abs_error:.3g}, relative {loss.max_rel_error:.3g}"
    overflows = sum(loss.overflows.values())
    return text + (f"; {overflows:,} numbers became infinite" if overflows else "")


def _describe_totals(totals: Totals) -> str:
    return (
        f"{totals.tensors:,} tensors, {totals.parameters:,} parameters, "
        f"{totals.nbytes:,} bytes, {totals.dtype}"
    )


def _describe_hparams(hparams: HParams, stated_by: str) -> str:
    sizes = ", ".join(f"{key} {value}" for key, value in hparams.known().items())
    unknown = "" if hparams.n_head else "; n_head is unknown"
    return f"{sizes} (from {stated_by}{unknown})"


def _table(tensors: Iterable[LazyTensor]) -> Iterator[tuple[Part, ...]]:
    """Yield one row a tensor: name, shape, dtype, bytes, and the file's own name."""
    cells = [
        (tensor.name, str(list(tensor.shape)), tensor.dtype.value, f"{tensor.nbytes:,}")
        for tensor in tensors
    ]
    names, shapes, dtypes, sizes = (
        [max(map(len, column)) for column in zip(*cells, strict=True)] if cells else [0] * 4
    )
    for tensor, (name, shape, dtype, size) in zip(tensors, cells, strict=True):
        source = "" if tensor.source_name == tensor.name else f"  {tensor.source_name}"
        row = f"  {shape:<{shapes}}  {dtype:<{dtypes}}  {size:>{sizes}}"
        yield (f"{name:<{names}}", "bold"), row, (source, "dim")


def _statistics(
    tensors: Iterable[LazyTensor], stats: Iterable[TensorStats | None]
) -> Iterator[tuple[Part, ...]]:
    """Yield one row a tensor: name, shape, dtype, the numbers, and the histogram."""
    from .histogram import draw_histogram

    header = ("", "", "", "min", "max", "mean", "std", "NaN", "inf")
    rows: list[tuple[str, ...]] = [header]
    drawings = [""]
    for tensor, found in zip(tensors, stats, strict=True):
        numbers: tuple[str, ...] = ("-",) * 6
        if found is not None:
            moments = (found.min, found.max, found.mean, found.std)
            shown = ("-" if number is None else f"{number:.4g}" for number in moments)
            numbers = (*shown, f"{found.nan:,}", f"{found.infinite:,}")
        rows.append((tensor.name, str(list(tensor.shape)), tensor.dtype.value, *numbers))
        drawings.append(f"|{draw_histogram(found.histogram)}|" if found else "")
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row, drawing in zip(rows, drawings, strict=True):
        name, shape, dtype, *rest = row
        left = f"  {shape:<{widths[1]}}  {dtype:<{widths[2]}}"
        right = "".join(f"  {cell:>{width}}" for cell, width in zip(rest, widths[3:], strict=True))
        yield (f"{name:<{widths[0]}}", "bold"), left, right, (f"  {drawing}", "cyan")


def _tree(tensors: Iterable[LazyTensor]) -> Iterator[tuple[Part, ...]]:
    """Yield the nesting with shapes and dtypes; neighbouring blocks that are alike stand once."""
    for (first, last), members in _merge_alike(_group_blocks(tensors)):
        if first is None:
            yield from _branch(members, "")
            continue
        count = f"  {last - first + 1} alike" if last > first else ""
        span = f"{first}" if last == first else f"{first}-{last}"
        yield (f"blocks[{span}]", "bold"), (count, "dim")
        yield from _branch(members, "  ")


Leaf = tuple[tuple[str, ...], tuple[int, ...], str]
"""The path within a block or at the top, the shape and the dtype of a tensor."""


def _group_blocks(tensors: Iterable[LazyTensor]) -> Iterator[tuple[int | None, list[Leaf]]]:
    """Yield (block number, leaves), and (None, leaves) for tensors outside of blocks."""

    def block_of(tensor: LazyTensor) -> int | None:
        head, bracket, _ = tensor.name.partition("]")
        return int(head.removeprefix("blocks[")) if bracket else None

    for number, group in groupby(tensors, block_of):
        leaves: list[Leaf] = []
        for tensor in group:
            path = tensor.name.split(".")
            leaves.append((tuple(path if number is None else path[1:]), tensor.shape, tensor.dtype))
        yield number, leaves


def _merge_alike(
    groups: Iterable[tuple[int | None, list[Leaf]]],
) -> Iterator[tuple[tuple[int, int] | tuple[None, int], list[Leaf]]]:
    """Merge runs of blocks with the same leaves into (first, last) spans."""
    for (_, leaves), run in groupby(groups, lambda group: (group[0] is None, group[1])):
        numbers = [number for number, _ in run]
        if numbers[0] is None:
            yield (None, 0), leaves
        else:
            yield (numbers[0], numbers[-1] or 0), leaves


def _branch(leaves: Iterable[Leaf], indent: str) -> Iterator[tuple[Part, ...]]:
    """Yield the lines of one level of the tree and, indented, of those below."""
    for key, group in groupby(leaves, lambda leaf: leaf[0][0]):
        members = list(group)
        path, shape, dtype = members[0]
        label = f"{indent}{key}"
        if len(path) == 1:
            yield (f"{label:<16}", "bold"), f"{list(shape)!s:<16}", (dtype, "dim")
        else:
            yield ((label, "bold"),)
            below = [(path[1:], shape, dtype) for path, shape, dtype in members]
            yield from _branch(below, indent + "  ")
