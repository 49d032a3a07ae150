"""JUnit's XML, as CI servers read it: a test suite a job, a test case for all that was proven.

What differs has failed, what was left out is skipped, and where the job could not be done, there is
an error. Each says why in an attribute and as text, since some servers show the one and some the
other. The standard library's functions escape; characters that XML cannot hold at all are written
as they are in messages.

Source: the schema of the Jenkins xUnit plugin (junit-10.xsd), which GitLab, Azure and GitHub's
actions read, too; GitLab's manual of unit test reports.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.sax.saxutils import escape, quoteattr

from ...quoting import make_printable
from ..cases import Became, Case, list_cases
from ..outcome import TOOL
from ..pages import lay_out

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Final

    from ...errors import Spell
    from ..outcome import Outcome

_ELEMENTS: Final = {Became.FAILED: "failure", Became.ERROR: "error", Became.SKIPPED: "skipped"}


def render(outcome: Outcome, spell: Spell) -> Iterator[str]:
    """Yield the suite, a line a case."""
    page = lay_out(outcome, spell)
    cases = [*list_cases(outcome, spell)]
    failures, errors, skipped = (
        sum(case.became is became for case in cases)
        for became in (Became.FAILED, Became.ERROR, Became.SKIPPED)
    )
    suite = f'name={_quote(f"{TOOL} {outcome.command}")} tests="{len(cases)}"'
    suite += f' failures="{failures}" errors="{errors}" time="{outcome.seconds:.3f}"'
    yield '<?xml version="1.0" encoding="UTF-8"?>\n'
    yield f"<testsuites {suite}>\n"
    yield f'<testsuite {suite} skipped="{skipped}">\n'
    yield "<properties>\n"
    properties = [(fact.label, fact.text) for fact in page.facts]
    properties += [(f"SHA-256 of {each.path}", each.sha256) for each in outcome.written]
    for name, value in properties:
        yield f"<property name={_quote(name)} value={_quote(value)}/>\n"
    yield "</properties>\n"
    for case in cases:
        yield from _render_case(case, page.title)
    yield "</testsuite>\n</testsuites>\n"


def _render_case(case: Case, title: str) -> Iterator[str]:
    yield f"<testcase classname={_quote(f'{title} {case.group}')} name={_quote(case.name)}"
    element = _ELEMENTS.get(case.became)
    if element is None:
        yield "/>\n"
        return
    text = "\n".join(make_printable(reason) for reason in case.reasons)
    kind = "" if element == "skipped" else f" type={_quote(case.group)}"
    yield f"><{element}{kind} message={_quote('; '.join(case.reasons))}>"
    yield f"{escape(text)}</{element}></testcase>\n"


def _quote(text: str) -> str:
    return quoteattr(make_printable(text))
