r"""One page of HTML that needs nothing else: no script, no address of any host.

Jinja2 escapes whatever a report says, and page.html.j2 beside this module is what it fills in; what
could move a cursor or turn the text around is written out as \x, \u or \n before. The pictures
are drawn in the page itself, from numbers that :mod:`..charts` computes, and each has a sentence
that says the same.
"""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

from ...quoting import clip, make_printable
from ..charts import histograms, layers
from ..charts.histograms import draw_histogram
from ..charts.layers import draw_layers
from ..charts.maps import draw_map
from ..charts.shares import share_by_dtype, share_by_part
from ..inspection import InspectionReport
from ..outcome import TOOL
from ..page import Mood
from ..pages import lay_out

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, Final

    from ...errors import Spell
    from ..outcome import Outcome

MOST_ROWS: Final = 2000
"""Rows of a table: a browser opens a page of that many at once."""
MOST_UNFOLDED: Final = 200
"""Rows of a table that is not folded up: the model of 124M has 148 tensors."""
MOST_PICTURES: Final = 24
"""Findings whose place is drawn."""
_LONGEST: Final = 2000
"""Characters of a text that is no name."""
_PIECES: Final = 1000
"""Pieces of the page that are yielded together: a tag, a name."""
_MARKS: Final = {Mood.GOOD: "✓", Mood.BAD: "✗", Mood.WARNING: "!", Mood.PLAIN: ""}


def render(outcome: Outcome, spell: Spell) -> Iterator[str]:
    """Yield the page.

    Raises:
        ImportError: Jinja2 is not installed.
    """
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
        finalize=_write_out,
    )
    environment.filters["name"] = clip
    environment.filters["path"] = Markup  # numbers of ours, and long ones
    text = files(__package__).joinpath("page.html.j2").read_text(encoding="utf-8")
    stream = environment.from_string(text).stream(
        page=lay_out(outcome, spell),
        outcome=outcome,
        tool=TOOL,
        marks=_MARKS,
        most_rows=MOST_ROWS,
        most_unfolded=MOST_UNFOLDED,
        histograms=histograms,
        layers=layers,
        **_draw(outcome),
    )
    stream.enable_buffering(_PIECES)
    yield from stream


def _draw(outcome: Outcome) -> dict[str, Any]:
    """Return the pictures of a report, of each kind none, some or all."""
    report = outcome.report
    drawn: dict[str, Any] = {
        "shares": [], "panels": (), "outlines": [], "pictures": [], "undrawn": 0
    }  # fmt: skip
    if isinstance(report, InspectionReport):
        tensors = report.tensors
        drawn["shares"] = [
            ("Part of the model", share_by_part(tensors)),
            ("Type of the elements", share_by_dtype(tensors)),
        ]
        if report.stats is not None:
            drawn["panels"] = draw_layers(tensors, report.stats)
            shown = report.stats[:MOST_ROWS]
            drawn["outlines"] = [draw_histogram(each) if each else None for each in shown]
    mapped = [each for each in getattr(report, "findings", ()) if each.map is not None]
    drawn["pictures"] = [draw_map(each.tensor, each.map) for each in mapped[:MOST_PICTURES]]
    drawn["undrawn"] = len(mapped[MOST_PICTURES:])
    return drawn


def _write_out(value: object) -> object:
    """Return a text of the report without control characters, and not longer than is read."""
    if type(value) is not str:
        return value
    return make_printable(value if len(value) <= _LONGEST else f"{value[: _LONGEST - 3]}...")
