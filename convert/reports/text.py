"""Reports as lines of text, for people.

All words of our own are ASCII, and nothing is wrapped or cut; a terminal that is narrow may wrap
those that it takes. Whoever takes the lines escapes what files say, and knows how its readers
spell an option.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from ..errors import spell_keyword
from ..quoting import clip, quote_some
from .agreement import describe_agreement
from .layout import Part, draw_tree, measure_columns, tabulate, tabulate_statistics
from .words import (
    count_files,
    describe_behaviour,
    describe_hparams,
    describe_loss,
    describe_totals,
    group_findings,
    name_cast,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Final

    from ..checkpoint.collection import Dropped
    from ..checkpoint.config import Config
    from ..errors import Spell
    from .conversion import ConversionReport, LeftFile
    from .digest import DigestReport
    from .findings import Finding
    from .inspection import InspectionReport
    from .verification import VerificationReport

MOST_FINDINGS: Final = 20
"""Findings written as text; the JSON document has them all."""


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
    out.line("  ", describe_totals(report.totals))
    if report.config is not None:
        stated_by = report.hparams_from or ""
        out.line("  hparams   ", describe_hparams(report.config.hparams, stated_by))
        _write_config(out, report.config)
    _write_dropped(out, report.dropped, report.notes)
    for copied in report.companions:
        source = "" if copied.source_name == copied.name else f" from {copied.source_name}"
        out.line("  copied    ", f"{copied.name}{source}, {copied.nbytes:,} bytes, {copied.sha256}")
    _write_left(out, report.left)
    if report.verification is None:
        out.line("  ", ("not verified", "yellow"), f"  ({spell('verify', False)})")
    else:
        cast = f", cast to {name_cast(report.totals, report.loss)}" if report.loss else ""
        engine = report.verification.engine
        reread = "" if engine == "native" else f", as {engine} reads it"
        also = "so does the configuration"
        if report.companions:
            also = f"so do the configuration and {count_files(report.companions)}"
        bits = f"every bit equals the source{cast}{reread}"
        if report.config is not None:
            bits += f"; {also}"
        out.line("  ", ("verified", "green"), f"  {bits}")
    if report.loss:
        out.line("  cast      ", describe_loss(report.loss))
    if report.digests is not None:
        out.line("  sha256    ", report.digests.sha256)
    out.line(f"  {report.target_nbytes:,} bytes written in {seconds:.1f} s, {rate:,.0f} MB/s")


def write_verification(out: Sink, report: VerificationReport, spell: Spell = spell_keyword) -> None:
    """Write whether the two are equal, and each way in which they are not."""
    sides = f"{report.source.path} ({report.source.format}) and {report.target.path} "
    sides += f"({report.target.format})"
    if report.loss:
        sides += f", the source cast to {name_cast(report.totals, report.loss)}"
    if report.engine != "native":
        sides += f", the source read by {report.engine}"
    if report.logits is not None:
        out.line(
            ("compared", "bold green") if report.ok else ("different", "bold red"), f"  {sides}"
        )
        for label, text in describe_agreement(report.logits):
            out.line(f"  {label:<10}  ", text)
        write_findings(out, report.findings, spell)
        write_notes(out, report.notes)
        return
    if report.ok:
        out.line(("equal", "bold green"), f"  {sides}")
        totals = describe_totals(report.totals)
        if report.tolerance.exact:
            out.line(f"  every bit of {totals}")
        else:
            within = f"within {report.tolerance.atol:g} + {report.tolerance.rtol:g} * |source|"
            largest = report.max_abs_diff
            found = "not finite" if largest is None else f"{largest:.3g}"
            out.line(f"  {totals}, {within}; largest difference {found}")
        beside = f", {quote_some(report.companions)}" if report.companions else ""
        what = (
            "what both state of the configuration" if report.not_compared else "the configuration"
        )
        if not report.as_is:
            out.line(f"  and {what}{beside}")
        _write_not_compared(out, report.not_compared)
        write_notes(out, report.notes)
        return
    out.line(("different", "bold red"), f"  {sides}")
    write_findings(out, report.findings, spell)
    _write_not_compared(out, report.not_compared)
    write_notes(out, report.notes)


def write_findings(out: Sink, findings: Iterable[Finding], spell: Spell = spell_keyword) -> None:
    """Write a line a finding, the first of them; those that say the same stand once."""
    rows = group_findings(findings)
    for finding, count in rows[:MOST_FINDINGS]:
        name = finding.tensor if count == 1 else f"{count:,} tensors"
        parts = _describe_finding(finding, name, spell)
        out.line("  ", (f"{finding.kind.value:<9}", "red"), " ", *parts)
    left = sum(count for _, count in rows[MOST_FINDINGS:])
    if left > 0:
        out.line(f"  ... and {left:,} more findings; the JSON document has them all")


def _write_not_compared(out: Sink, names: Sequence[str]) -> None:
    if names:
        out.line(
            "  note      ", f"not compared, because one side alone has it: {quote_some(names)}"
        )


def _write_config(out: Sink, config: Config) -> None:
    if text := describe_behaviour(config):
        out.line("  config    ", (text[0], "yellow"), f" (from {text[1]})")


def _write_left(out: Sink, left: Iterable[LeftFile]) -> None:
    """Write what stayed behind beside the weights, a line a reason."""
    names: dict[str, list[str]] = {}
    for each in left:
        names.setdefault(each.reason, []).append(each.name)
    for reason, group in names.items():
        out.line("  left      ", f"{quote_some(group)}: {reason}")


def write_notes(out: Sink, notes: Iterable[str]) -> None:
    """Write the notes of a report, a line each."""
    for note in notes:
        out.line("  note      ", note)


def _describe_finding(finding: Finding, name: str, spell: Spell) -> Iterator[Part]:
    yield name, "bold"
    yield f": {finding.hint}; " if finding.hint else ": "
    yield finding.message
    if finding.advice is not None:
        yield f"; {finding.advice.spell(spell)}"


def write_inspection(
    out: Sink,
    report: InspectionReport,
    *,
    flat: bool,
    spell: Spell = spell_keyword,
    width: int | None = None,
) -> None:
    """Write files, hparams, totals and the tensors, as a tree or as a table.

    Where ``width`` columns have no room for a table, it has several lines a tensor.
    """
    known = report.checkpoint
    kind = "  gpt2" if known else "  as it is" if report.as_is else ""
    out.line((report.path, "bold"), f"  {report.format}", kind)
    (longest,) = measure_columns((file.path,) for file in report.files) or [0]
    for file in report.files:
        size = "missing" if file.nbytes is None else f"{file.nbytes:,} bytes"
        out.line("  file      ", f"{file.path:<{longest}}", f"  {size}")
    if report.engine != "native":
        out.line("  engine    ", report.engine)
    spelled = {str(each): each.spell(spell) for each in report.errors}
    for fault in dict.fromkeys((*report.faults, *report.obstacles)):
        if fault != report.not_gpt2:  # which stands below
            out.line("  ", ("fault", "red"), "     ", spelled.get(fault, fault))
    if known:
        out.line("  hparams   ", describe_hparams(known.hparams, known.hparams_from))
        _write_config(out, known.config)
        _write_dropped(out, known.dropped, report.notes)
    elif report.collection:
        _write_dropped(out, report.collection.dropped, report.notes)
    elif report.refusal:
        write_notes(out, report.notes)
        out.line("  ", ("refused", "yellow"), "   ", report.refusal.spell(spell))
        for problem in report.disagreements[1:MOST_FINDINGS]:
            out.line("            ", problem.spell(spell))
        if (left := len(report.disagreements) - MOST_FINDINGS) > 0:
            out.line(f"            ... and {left:,} more; the JSON document has them all")
    out.line("  total     ", describe_totals(report.totals))
    out.line("")
    if report.stats is not None:
        rows = tabulate_statistics(report.tensors, report.stats, width)
    else:
        table = flat or not known
        rows = tabulate(report.tensors, width) if table else draw_tree(report.tensors)
    for row in rows:
        out.line(*row)


def write_digests(out: Sink, report: DigestReport) -> None:
    """Write the listing, in lines as sha256sum prints them."""
    for line in report.lines:
        out.line(line)


def write_check(out: Sink, report: DigestReport, spell: Spell = spell_keyword) -> None:
    """Write whether a model is the one of a listing, and what changed if it is not."""
    side = f"{report.side.path} ({report.side.format})"
    if report.ok:
        out.line(("equal", "bold green"), f"  {side} and the listing")
        out.line(f"  {report.sha256}  {'weights' if report.as_is else 'model'}")
        return
    out.line(("different", "bold red"), f"  {side} and the listing")
    write_findings(out, report.findings, spell)


def _write_dropped(out: Sink, dropped: Iterable[Dropped], notes: Iterable[str]) -> None:
    """Write what was left out, a line a reason in the order of the file, and the notes."""
    names: dict[str, list[str]] = {}
    for drop in dropped:
        names.setdefault(drop.reason, []).append(drop.source_name)
    for reason, group in names.items():
        what = clip(group[0]) if len(group) == 1 else f"{len(group):,} tensors"
        out.line(f"  dropped   {what}: {reason}")
    write_notes(out, notes)
