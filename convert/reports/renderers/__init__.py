"""Reports in the formats that other programs and people read, one a module.

To add one: a module in this room with ``render``, which yields the text of an
:class:`..outcome.Outcome` in pieces, and a line in RENDERERS. Whatever a file says is escaped there
in the manner of the format.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Final

    from ...errors import Spell
    from ..outcome import Outcome

    Render = Callable[[Outcome, Spell], Iterator[str]]


@dataclass(frozen=True, slots=True)
class Renderer:
    """A format of reports: its module in this room, and the suffixes of its files.

    ``start`` is what such a file starts with. ``appends`` says that it is added to a file that
    exists. ``needs`` is the module of a library
    that only the extra ``report`` installs.
    """

    module: str
    start: bytes
    suffixes: tuple[str, ...] = ()
    appends: bool = False
    needs: str | None = None

    def load(self) -> Render:
        """Import the module, and return what renders.

        Raises:
            ImportError: the library that it needs is not there.
        """
        render: Render = import_module(f".{self.module}", __name__).render
        return render


_OURS: Final = b"gpt2-convert"
"""What the beginning of every report has somewhere."""
RENDERERS: Final = {
    "json": Renderer("json", b'{\n  "kind": "', (".json",)),
    "markdown": Renderer("markdown", b"### ", (".md", ".markdown"), appends=True),
    "html": Renderer("html", b"<!DOCTYPE html>", (".html", ".htm"), needs="jinja2"),
    "junit": Renderer("junit", b"<?xml", (".xml",)),
    "github": Renderer("github", b"::"),
}


def starts_as_report(beginning: bytes) -> bool:
    """Whether a file with that beginning, of some hundred bytes, is a report of any format."""
    starts = tuple(renderer.start for renderer in RENDERERS.values())
    return beginning.startswith(starts) and _OURS in beginning
