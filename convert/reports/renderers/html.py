"""One page of HTML that needs nothing else: no script, no address of any host.

Jinja2 escapes by itself whatever a report says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..pages import lay_out

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...errors import Spell
    from ..outcome import Outcome


def render(outcome: Outcome, spell: Spell) -> Iterator[str]:
    """Yield the page.

    Raises:
        ImportError: Jinja2 is not installed.
    """
    from jinja2 import Environment

    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(_TEMPLATE)
    yield from template.generate(page=lay_out(outcome, spell), outcome=outcome)


_TEMPLATE = """\
<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{{ page.title }}</title></head>
<body><h1>{{ page.verdict }}: {{ page.title }}</h1></body></html>
"""
