"""What a notebook shows of an object, parsed as a browser would."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

TAGS = {"table", "caption", "thead", "tbody", "tr", "th", "td"}


@dataclass
class Table:
    """The caption, and the texts of the cells by rows, those of a header included."""

    caption: str = ""
    rows: list[list[str]] = field(default_factory=list)

    @property
    def facts(self) -> dict[str, str]:
        return {row[0]: row[1] for row in self.rows}


class _Parser(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tables: list[Table] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in TAGS
        assert {name for name, _ in attrs} <= {"class", "scope", "colspan", "style"}
        assert dict(attrs).get("style") in (None, "text-align: left")
        self.open.append(tag)
        if tag == "table":
            assert dict(attrs)["class"] == "tex2jax_ignore mathjax_ignore"
            self.tables.append(Table())
        elif tag == "tr":
            self.tables[-1].rows.append([])
        elif tag in ("th", "td"):
            self.tables[-1].rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1] == "caption":
            self.tables[-1].caption += data
        else:
            assert self.open[-1] in ("th", "td")
            self.tables[-1].rows[-1][-1] += data

    def handle_comment(self, data: str) -> None:
        raise AssertionError(data)

    def handle_decl(self, decl: str) -> None:
        raise AssertionError(decl)

    def handle_pi(self, data: str) -> None:
        raise AssertionError(data)


def read_tables(html: str) -> list[Table]:
    """Return the tables; anything but tables, and any text that is not plain, is an error."""
    assert html.isprintable()
    html.encode()  # a notebook is UTF-8
    parser = _Parser()
    parser.feed(html)
    parser.close()
    assert not parser.open
    return parser.tables
