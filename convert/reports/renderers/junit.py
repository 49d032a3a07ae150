"""JUnit's XML, as CI servers read it: a test suite a job, a test case for all that was proven.

A case is a tensor, a companion or the configuration; what was left out is skipped, what differs has
failed, and where the job could not be done, its one case is an error. The standard library's writer
of XML escapes; characters that XML cannot hold at all are written as they are in messages.

Source: the schema of the Jenkins xUnit plugin (junit-10.xsd), which GitLab, Azure and GitHub's
actions read, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.sax.saxutils import quoteattr

from ...quoting import make_printable
from ..conversion import ConversionReport
from ..pages import lay_out, list_against

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...errors import Spell
    from ..outcome import Outcome


def render(outcome: Outcome, spell: Spell) -> Iterator[str]:
    """Yield the suite, a line a case."""
    page = lay_out(outcome, spell)
    where = page.title
    cases = [*_list_cases(outcome, spell)]
    counts = {"tests": len(cases)}
    for word, name in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        counts[word] = sum(case[1] == name for case in cases)
    counted = " ".join(f'{word}="{number}"' for word, number in counts.items())
    suite = f"name={_quote(f'gpt2-convert {outcome.command}')} {counted}"
    suite += f' time="{outcome.seconds:.3f}"'
    yield '<?xml version="1.0" encoding="UTF-8"?>\n'
    yield f"<testsuites {suite}>\n"
    yield f"<testsuite {suite}>\n"
    yield "<properties>\n"
    for fact in [*page.facts]:
        yield f"<property name={_quote(fact.label)} value={_quote(fact.text)}/>\n"
    yield "</properties>\n"
    for name, became, message in cases:
        yield f"<testcase classname={_quote(where)} name={_quote(name)}"
        yield f"><{became} message={_quote(message)}/></testcase>\n" if became else "/>\n"
    yield "</testsuite>\n</testsuites>\n"


def _list_cases(outcome: Outcome, spell: Spell) -> Iterator[tuple[str, str, str]]:
    """Yield the name of each case, the element of what became of it, if not success, and why."""
    report, failure = outcome.report, outcome.failure
    if report is None:
        problems = [failure.message, *list_against(outcome, spell)] if failure else []
        yield outcome.command, "error", "; ".join(problems)
        return
    if isinstance(report, ConversionReport):
        waived = report.verification is None
        reason = f"not verified ({spell('verify', False)})"
        proven = [name for _, name in report.mapped] + [each.name for each in report.companions]
        for name in proven:
            yield name, "skipped" if waived else "", reason if waived else ""
        for each in report.dropped:
            yield each.source_name, "skipped", f"dropped: {each.reason}"
    against = [*list_against(outcome, spell)]
    for number, sentence in enumerate(against, 1):
        yield f"finding {number}", "failure", sentence
    if not against and not isinstance(report, ConversionReport):
        yield outcome.command, "", ""


def _quote(text: str) -> str:
    return quoteattr(make_printable(text))
