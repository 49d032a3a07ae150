"""Workflow commands of GitHub Actions: annotations, a line each.

They work where a step prints them on stdout. GitHub shows ten errors, ten warnings and
ten notices of a step, so of many findings the last line tells the number.

Source: GitHub's documentation of workflow commands, and ``@actions/core``, whose escapes these are:
percent, CR and LF of a message, and colon and comma of a property besides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...quoting import make_printable
from ..page import Mood
from ..pages import lay_out, list_against

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Final

    from ...errors import Spell
    from ..outcome import Outcome

MOST: Final = 10
"""Annotations of each level that GitHub shows."""
_LONGEST: Final = 1000
"""Characters of a message: more than a sentence of ours has, but for the names in it."""


def render(outcome: Outcome, spell: Spell) -> Iterator[str]:
    """Yield an error or a notice for the whole, then a line for each finding and warning."""
    page = lay_out(outcome, spell)
    facts = {fact.label: fact.text for fact in page.facts}
    what = facts.get("error") or facts.get("proof") or facts.get("weights", "")
    level = "notice" if outcome.ok else "error"
    yield _annotate(level, outcome.command, f"{page.verdict}: {page.title}; {what}")
    sums = [f"{each.path}: SHA-256 {each.sha256}" for each in outcome.written]
    yield from _annotate_some("notice", outcome.command, sums, MOST - 1)
    errors = [*list_against(outcome, spell)]
    yield from _annotate_some("error", outcome.command, errors, MOST - 1)
    warnings = [fact.text for fact in page.facts if fact.mood is Mood.WARNING]
    yield from _annotate_some("warning", outcome.command, warnings, MOST)


def _annotate_some(level: str, command: str, texts: list[str], most: int) -> Iterator[str]:
    """Yield a line a text; where there are more than GitHub shows, the last says how many."""
    shown = texts if len(texts) <= most else texts[: most - 1]
    for text in shown:
        yield _annotate(level, command, text)
    if left := len(texts) - len(shown):
        yield _annotate(level, command, f"and {left:,} more; the JSON report has them all")


def _annotate(level: str, command: str, message: str) -> str:
    title = _escape(f"gpt2-convert {command}").replace(":", "%3A").replace(",", "%2C")
    return f"::{level} title={title}::{_escape(make_printable(_clip(message)))}\n"


def _clip(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def _escape(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
