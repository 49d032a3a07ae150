"""What was proven, taken apart into cases that each hold or not, as servers for tests count them.

A case is a tensor, a file, a field of the configuration that differs, or the job itself. Findings
of one name are one case.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from .conversion import ConversionReport
from .digest import DigestReport
from .fetch import FetchReport, Proof
from .fetch_text import PROOFS
from .findings import Kind
from .inspection import InspectionReport
from .verification import VerificationReport
from .words import spell_finding

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Final

    from ..errors import Spell
    from .findings import Finding
    from .outcome import Outcome

TENSORS: Final = "tensors"
CONFIGURATION: Final = "configuration"
FILES: Final = "files"
JOB: Final = "job"
"""The groups of cases."""
_GROUPS: Final = {
    Kind.HPARAMS: CONFIGURATION,
    Kind.CONFIG: CONFIGURATION,
    Kind.COMPANION: FILES,
    Kind.LOGITS: "logits",
}
"""The group of each kind of finding that is of no tensor."""


class Became(StrEnum):
    """What came of a case."""

    HELD = "held"
    FAILED = "failed"
    SKIPPED = "skipped"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Case:
    """A case: the ``name`` is unique in its ``group``; ``reasons`` are why it did not hold."""

    group: str
    name: str
    became: Became = Became.HELD
    reasons: tuple[str, ...] = ()


def list_cases(outcome: Outcome, spell: Spell) -> Iterator[Case]:
    """Yield what was proven, what was not, and the error that ended the job."""
    report, failure = outcome.report, outcome.failure
    if failure is not None and (report is None or isinstance(report, VerificationReport)):
        reasons = (failure.message, *failure.problems[1:])
        yield Case(JOB, outcome.command, Became.ERROR, reasons)
    if isinstance(report, ConversionReport):
        yield from _list_conversion(report, spell)
    elif isinstance(report, VerificationReport):
        yield from _list_verification(report, spell)
    elif isinstance(report, DigestReport):
        names = [each.name for each in report.tensors]
        yield from _list_compared(names, report.findings, report.as_is, spell)
    elif isinstance(report, FetchReport):
        for each in report.files:
            unproven = (PROOFS[each.proof],) if each.proof is Proof.SIZE else ()
            became = Became.SKIPPED if unproven else Became.HELD
            yield Case(FILES, each.name, became, unproven)
    elif isinstance(report, InspectionReport):
        became = Became.FAILED if report.obstacles else Became.HELD
        yield Case(JOB, outcome.command, became, tuple(report.obstacles))
    elif report is not None or failure is None:
        yield Case(JOB, outcome.command)


def _list_conversion(report: ConversionReport, spell: Spell) -> Iterator[Case]:
    waived = report.verification is None
    became = Became.SKIPPED if waived else Became.HELD
    reasons = (f"not verified ({spell('verify', False)})",) if waived else ()
    for _, name in report.mapped:
        yield Case(TENSORS, name, became, reasons)
    if report.config is not None:
        yield Case(CONFIGURATION, CONFIGURATION, became, reasons)
    for each in report.companions:
        yield Case(FILES, each.name, became, reasons)
    for drop in report.dropped:
        why = f"dropped: {drop.reason}"
        yield Case("source tensors", drop.source_name, Became.SKIPPED, (why,))
    for left in report.left:
        yield Case("source files", left.name, Became.SKIPPED, (f"left: {left.reason}",))


def _list_verification(report: VerificationReport, spell: Spell) -> Iterator[Case]:
    if report.logits is not None:
        yield from _list_failed(report.findings, spell)
        if report.ok:
            yield Case("logits", "logits")
        return
    yield from _list_compared(report.compared, report.findings, report.as_is, spell)
    failed = {each.tensor for each in report.findings if each.kind is Kind.COMPANION}
    for name in report.companions:
        if name not in failed:
            yield Case(FILES, name)
    for name in report.not_compared:
        reasons = ("not compared: one side alone has it",)
        yield Case("one side alone", name, Became.SKIPPED, reasons)


def _list_compared(
    names: Iterable[str], findings: tuple[Finding, ...], as_is: bool, spell: Spell
) -> Iterator[Case]:
    """Yield a case for each of the names that were compared, and what else was found."""
    failed = {case.name: case for case in _list_failed(findings, spell) if case.group == TENSORS}
    for name in dict.fromkeys(names):
        yield failed.pop(name, Case(TENSORS, name))
    yield from failed.values()
    others = [each for each in _list_failed(findings, spell) if each.group != TENSORS]
    if not as_is and all(each.group != CONFIGURATION for each in others):
        yield Case(CONFIGURATION, CONFIGURATION)
    yield from others


def _list_failed(findings: Iterable[Finding], spell: Spell) -> Iterator[Case]:
    """Yield a case for all findings of a name."""
    found: dict[tuple[str, str], list[str]] = {}
    for each in findings:
        key = _GROUPS.get(each.kind, TENSORS), each.tensor
        found.setdefault(key, []).append(spell_finding(each, spell))
    for (group, name), reasons in found.items():
        yield Case(group, name, Became.FAILED, tuple(reasons))
