"""Whether a stream gets colours: as the option says, or the environment, or if it is a terminal.

NO_COLOR (https://no-color.org) goes before FORCE_COLOR (https://force-color.org); of either,
anything but an empty text counts.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Final, TextIO

    import click

CHOICES: Final = {"auto": None, "always": True, "never": False}
"""What the option may say, and what that is in click's context."""


def choose_color(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    """Take note of what the option says; a callback of click's."""
    if value is not None:
        ctx.color = CHOICES[value]


def has_color(stream: TextIO) -> bool:
    """Whether what is written to a stream is to be styled."""
    import click  # late: an error is told by a module that may need no colour

    context = click.get_current_context(silent=True)
    if context is not None and context.color is not None:
        return context.color
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def paint(text: str, style: str) -> str:
    """Return a text in a style, which is words such as "bold green"."""
    import click

    words = style.split()
    attributes = {name: True for name in ("bold", "dim") if name in words}
    color = next((word for word in words if word not in attributes), None)
    return click.style(text, fg=color, bold=attributes.get("bold"), dim=attributes.get("dim"))
