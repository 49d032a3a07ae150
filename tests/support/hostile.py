"""Names that a file may have for a tensor, chosen to be more than a name to whoever shows it."""

from __future__ import annotations

NAMES = [
    "<script>alert(1)</script>", "<!--", "]]>", "&lt;", "'\"&", "\x1b[31mred", "\x9b31m",
    "\u202ertl\u202c", "\u2066x", "a\nb", "a\r\nb",
    "\n::error::x", "::error file=a::x", "%0A::error::x",
    "##[error]x", "\x00", "a\x00b", "\udcff", "\ud800", "\ufffe", "\uffff", "\U000e0001",
    "a|b", "`", "``a` b", "![x](y)", "[a](javascript:b)", "# a", "| --- |",
    "\\", "\\|", "${x}", "$(id)",
    "{{ page }}", "{% raw %}", "a\u2028b", "\u200b", "\t",
]  # fmt: skip


def shown(name: str) -> str:
    """Return the name as a message has it, with what cannot be printed as Python escapes it."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape", "surrogatepass").decode()
        for char in name
    )
