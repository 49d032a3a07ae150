"""What each kind of report looks like as a page.

To add one: a function below, and a line in PAGES.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..display.line import count
from ..errors import spell_keyword
from ..quoting import quote_some
from .agreement import describe_agreement
from .conversion import ConversionReport
from .digest import DigestReport
from .fetch import FetchReport
from .fetch_text import PROOFS
from .generation import GenerationReport
from .inspection import InspectionReport
from .page import Column, Fact, Mood, Page, Table
from .tables import list_dropped, list_files, list_findings, list_ledger, list_tensors, list_written
from .verification import VerificationReport
from .words import (
    describe_behaviour,
    describe_hparams,
    describe_loss,
    describe_totals,
    name_cast,
    spell_finding,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any, Final

    from ..checkpoint.config import Config
    from ..errors import Spell
    from .outcome import Failure, Outcome
    from .summary import Side


def lay_out(outcome: Outcome, spell: Spell = spell_keyword) -> Page:
    """Return the page of a job that has ended."""
    report, failure = outcome.report, outcome.failure
    if report is None:
        return _lay_out_failure(outcome, failure)
    page: Page = PAGES[type(report)](report, spell)
    end = [Fact("duration", f"{outcome.seconds:.1f} s"), Fact("program", _name_program(outcome))]
    first = [Fact("error", failure.message, Mood.BAD)] if failure else []
    return Page(page.title, page.verdict, page.mood, (*first, *page.facts, *end), page.tables)


def _name_program(outcome: Outcome) -> str:
    return f"gpt2-convert {outcome.version}, {outcome.command}"


def _lay_out_failure(outcome: Outcome, failure: Failure | None) -> Page:
    message = failure.message if failure else "nothing was reported"
    facts = [Fact("error", message, Mood.BAD), Fact("program", _name_program(outcome))]
    problems = [(problem,) for problem in failure.problems] if failure else []
    table = Table("What speaks against it", (Column("problem"),), problems)
    return Page(outcome.command, "could not", Mood.BAD, tuple(facts), (table,) if problems else ())


def _lay_out_conversion(report: ConversionReport, spell: Spell) -> Page:
    proof = report.verification
    facts = [_side("source", report.source), _side("target", report.target)]
    facts += [Fact("weights", describe_totals(report.totals))]
    facts += _lay_out_config(report.config, report.hparams_from)
    facts += [Fact("engine", report.engine)] if report.engine != "native" else []
    if proof is None:
        facts += [Fact("proof", f"waived ({spell('verify', False)})", Mood.WARNING)]
    else:
        facts += [Fact("proof", _describe_proof(report, proof), Mood.GOOD)]
    if report.loss:
        facts += [Fact("cast", describe_loss(report.loss))]
    if report.digests is not None:
        facts += [Fact("digest", report.digests.sha256)]
    facts += [Fact("written", f"{report.target_nbytes:,} bytes"), *_notes(report.notes)]
    tables = [
        list_written(report.written),
        list_files(report.companions, report.left),
        list_ledger(report),
    ]
    verdict, mood = ("verified", Mood.GOOD) if proof else ("not verified", Mood.WARNING)
    return Page(report.target.path, verdict, mood, tuple(facts), _present(tables))


def _describe_proof(report: ConversionReport, proof: VerificationReport) -> str:
    cast = f", cast to {name_cast(report.totals, report.loss)}" if report.loss else ""
    reread = "" if proof.engine == "native" else f", as {proof.engine} reads it"
    what = "" if report.config is None else "; so does the configuration"
    if report.companions:
        what = "; so do the configuration and the files beside it"
    return f"every bit equals the source{cast}{reread}{what}"


def _lay_out_verification(report: VerificationReport, spell: Spell) -> Page:
    facts = [_side("source", report.source), _side("target", report.target)]
    facts += [Fact("weights", describe_totals(report.totals))]
    if report.loss:
        facts += [Fact("cast", f"the source, to {name_cast(report.totals, report.loss)}")]
    facts += [Fact("engine", report.engine)] if report.engine != "native" else []
    if report.logits is not None:
        facts += [Fact(label, text) for label, text in describe_agreement(report.logits)]
    else:
        if not report.tolerance.exact:
            largest = report.max_abs_diff
            found = "not finite" if largest is None else f"{largest:.3g}"
            within = f"{report.tolerance.atol:g} + {report.tolerance.rtol:g} * |source|"
            facts += [Fact("tolerance", f"{within}; largest difference {found}")]
        facts += [Fact("compared", ", ".join(_name_compared(report)))]
        facts += [
            Fact("not compared", f"{name}: one side alone has it", Mood.WARNING)
            for name in report.not_compared
        ]
    facts += _notes(report.notes)
    same = "compared" if report.logits is not None else "equal"
    verdict, mood = (same, Mood.GOOD) if report.ok else ("different", Mood.BAD)
    tables = [list_findings(report.findings, spell)]
    title = f"{report.source.path} and {report.target.path}"
    return Page(title, verdict, mood, tuple(facts), _present(tables))


def _name_compared(report: VerificationReport) -> Iterator[str]:
    yield "every bit of the weights" if report.tolerance.exact else "the weights"
    if not report.as_is:
        half = "what both state of " if report.not_compared else ""
        yield f"{half}the configuration"
    yield from report.companions


def _lay_out_inspection(report: InspectionReport, spell: Spell) -> Page:
    known = report.checkpoint
    taken = known or report.collection
    kind = "GPT-2" if known else "as it is" if report.as_is else "no GPT-2"
    strange = [*_find_strange(report)]
    facts = [*strange, Fact("format", report.format)]
    facts += [Fact("weights", describe_totals(report.totals))]
    facts += [Fact("engine", report.engine)] if report.engine != "native" else []
    faults = dict.fromkeys((*report.faults, *report.obstacles))
    facts += [Fact("fault", fault, Mood.BAD) for fault in faults if fault != report.not_gpt2]
    if known:
        facts += _lay_out_config(known.config, known.hparams_from)
    if report.refusal:
        facts += [Fact("refused", report.refusal.spell(spell), Mood.WARNING)]
    facts += _notes(report.notes)
    problems = [(problem.spell(spell),) for problem in report.disagreements]
    files = [
        (file.path, "missing" if file.nbytes is None else f"{file.nbytes:,}")
        for file in report.files
    ]
    tables = [
        Table("What speaks against it", (Column("problem"),), problems),
        Table("Files", (Column("file", names=True), Column("bytes", numbers=True)), files),
        list_dropped(taken.dropped if taken else ()),
        list_tensors(report.tensors, report.stats),
    ]
    sound = taken and not strange
    mood = Mood.BAD if not report.ok else Mood.GOOD if sound else Mood.WARNING
    verdict = kind if report.ok else "damaged"
    return Page(report.path, verdict, mood, tuple(facts), _present(tables))


def _find_strange(report: InspectionReport) -> Iterator[Fact]:
    """Yield where numbers are none, and where they are infinite."""
    pairs = [*zip(report.tensors, report.stats or (), strict=False)]
    for label, field in (("NaN", "nan"), ("infinite", "infinite")):
        counts = {each.name: getattr(stats, field) for each, stats in pairs if stats is not None}
        if names := [name for name, number in counts.items() if number]:
            elements = count(sum(counts.values()), "element")
            where = count(len(names), "tensor")
            yield Fact(label, f"{elements} in {where}: {quote_some(names)}", Mood.BAD)


def _lay_out_digest(report: DigestReport, spell: Spell) -> Page:
    facts = [_side("model", report.side)]
    facts += [Fact("digest", report.sha256), Fact("weights", report.weights_sha256)]
    facts += [Fact("configuration", report.config_sha256)] if report.config_sha256 else []
    facts += [Fact("engine", report.engine)] if report.engine != "native" else []
    facts += _notes(report.notes)
    rows = [(each.name, each.dtype, str(list(each.shape)), each.sha256) for each in report.tensors]
    columns = (Column("tensor", names=True), Column("dtype"), Column("shape"), Column("SHA-256"))
    tables = [
        list_findings(report.findings, spell),
        Table("Tensors", columns, rows, folded=True),
    ]
    verdict, mood = ("hashed", Mood.GOOD) if report.ok else ("different", Mood.BAD)
    return Page(report.side.path, verdict, mood, tuple(facts), _present(tables))


def _lay_out_fetch(report: FetchReport, spell: Spell) -> Page:
    facts = [Fact("model", report.name), Fact("folder", report.folder)]
    facts += [Fact("from", report.address)]
    facts += [Fact("commit", report.commit)] if report.commit else []
    facts += [Fact("weights", describe_totals(report.totals))]
    facts += [Fact("fetched", f"{report.fetched_nbytes:,} bytes"), *_notes(report.notes)]
    if report.unproven:
        facts += [Fact("origin", "not proven of every file", Mood.WARNING)]
    rows = [
        (
            each.name,
            f"{each.nbytes:,}",
            "fetched" if each.fetched else "there",
            PROOFS[each.proof],
            each.sha256,
        )
        for each in report.files
    ]
    columns = (
        Column("file", names=True), Column("bytes", numbers=True), Column("came"), Column("proof"),
        Column("SHA-256"),
    )  # fmt: skip
    tables = (Table("Files", columns, rows),)
    return Page(report.folder, "proven", Mood.GOOD, tuple(facts), tables)


def _lay_out_generation(report: GenerationReport, spell: Spell) -> Page:
    facts = [Fact("tokens", f"{len(report.ids):,} after {len(report.prompt):,}")]
    facts += [Fact("rate", f"{report.rate:.1f} tokens per second")]
    facts += [Fact("text", report.text)] if report.text is not None else []
    facts += [Fact("ids", " ".join(map(str, report.ids))), *_notes(report.notes)]
    return Page(report.path, "generated", Mood.GOOD, tuple(facts), ())


def _side(label: str, side: Side) -> Fact:
    return Fact(label, f"{side.path} ({side.format})")


def _notes(notes: Iterable[str]) -> list[Fact]:
    return [Fact("note", note) for note in notes]


def _lay_out_config(config: Config | None, stated_by: str | None) -> list[Fact]:
    if config is None:
        return []
    facts = [Fact("hparams", describe_hparams(config.hparams, stated_by or ""))]
    if behaviour := describe_behaviour(config):
        text, places = behaviour
        facts += [Fact("configuration", f"{text} (from {places})", Mood.WARNING)]
    return facts


def list_against(outcome: Outcome, spell: Spell) -> Iterator[str]:
    """Yield a sentence for each finding, obstacle and problem, after that of the error itself."""
    report, failure = outcome.report, outcome.failure
    if isinstance(report, InspectionReport):
        yield from report.obstacles
    for each in getattr(report, "findings", ()):
        yield spell_finding(each, spell)
    if report is None and failure:
        yield from failure.problems[1:]


def _present(tables: Iterable[Table]) -> tuple[Table, ...]:
    return tuple(table for table in tables if table.rows)


PAGES: Final[dict[type, Callable[[Any, Spell], Page]]] = {
    ConversionReport: _lay_out_conversion,
    VerificationReport: _lay_out_verification,
    InspectionReport: _lay_out_inspection,
    DigestReport: _lay_out_digest,
    FetchReport: _lay_out_fetch,
    GenerationReport: _lay_out_generation,
}
