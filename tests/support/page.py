"""What a report is written to in tests: lines, and the styles in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gpt2_convert.reports.layout import Part


class Page:
    """Lines without their styles, which are beside them."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.styles: set[str] = set()

    def line(self, *parts: Part) -> None:
        texts = [part if isinstance(part, str) else part[0] for part in parts]
        self.styles |= {part[1] for part in parts if not isinstance(part, str)}
        self.lines.append("".join(texts).rstrip())
