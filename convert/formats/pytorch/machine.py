"""The machine that a pickle is a program for: a stack that is cut by marks, and a memo.

Each of its steps fails in one of three ways: the bytes end (TruncatedError), they break the rules
of pickles (FormatError), or they do what torch.save has no use for (UnsupportedError).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...errors import FormatError
from ...quoting import quote
from .values import Kind, Node, describe

if TYPE_CHECKING:
    from typing import Final

    from .values import Storage

MAX_DEPTH: Final = 64
"""Containers within containers, and marks within marks: a training checkpoint has some five."""
LONGEST_NAME: Final = 1000
"""Bytes of the name of a module or of something in it."""


class TruncatedError(Exception):
    """The data end before the pickle does; the text says how that shows, if there is one."""


class Machine:
    """The state of one pickle while it runs; ``place`` is what errors say of where it is."""

    __slots__ = ("data", "frame_end", "memo", "place", "position", "stack", "storages", "suspended")

    def __init__(self, data: bytes, position: int, place: str) -> None:
        self.data = data
        self.position = position
        self.frame_end = position
        self.place = place
        self.stack: list[object] = []
        self.suspended: list[list[object]] = []
        """What stands below each mark."""
        self.memo: dict[int, object] = {}
        self.storages: dict[str, Storage] = {}

    def damaged(self, what: str) -> FormatError:
        """Return the error for a pickle that breaks the rules of pickles."""
        return FormatError(f"{self.place}: a broken pickle: {what}; fetch it again")

    # What stands behind an opcode.

    def take(self, size: int) -> bytes:
        """Return the next bytes."""
        end = self.position + size
        if end > len(self.data):
            raise TruncatedError
        taken = self.data[self.position : end]
        self.position = end
        return taken

    def take_byte(self) -> int:
        """Return the next byte."""
        if self.position == len(self.data):
            raise TruncatedError
        self.position += 1
        return self.data[self.position - 1]

    def take_number(self, size: int) -> int:
        """Return the next bytes as a number that is not negative."""
        return int.from_bytes(self.take(size), "little")

    def take_text(self, size: int) -> str:
        """Return the next bytes as text."""
        text = self.take(size)
        try:
            return text.decode("utf-8", "surrogatepass")
        except UnicodeDecodeError:
            raise self.damaged(f"{quote(text)} is no text in UTF-8") from None

    def take_line(self) -> str:
        """Return the next line."""
        end = self.data.find(b"\n", self.position, self.position + LONGEST_NAME)
        if end < 0 and len(self.data) - self.position < LONGEST_NAME:
            raise TruncatedError
        if end < 0:
            raise self.damaged(f"a name of more than {LONGEST_NAME:,} bytes")
        line = self.take_text(end - self.position)
        self.position += 1
        return line

    # The stack.

    def push(self, value: object) -> None:
        """Put a value on the stack."""
        if isinstance(value, Node) and value.depth > MAX_DEPTH:
            raise self.too_deep()
        self.stack.append(value)

    def top(self) -> object:
        """Return the value on top."""
        if not self.stack:
            raise self.damaged(f"the stack is empty at byte {self.position - 1:,}")
        return self.stack[-1]

    def pop(self) -> object:
        """Take the value on top off the stack."""
        if not self.stack:
            raise self.damaged(f"the stack is empty at byte {self.position - 1:,}")
        return self.stack.pop()

    def mark(self) -> None:
        """Cut the stack: what stands on it is out of reach until the mark is taken off."""
        if len(self.suspended) == MAX_DEPTH:
            raise self.too_deep()
        self.suspended.append(self.stack)
        self.stack = []

    def pop_marked(self) -> list[object]:
        """Take off what stands above the last mark, and the mark."""
        if not self.suspended:
            raise self.damaged(f"there is no mark at byte {self.position - 1:,}")
        items = self.stack
        self.stack = self.suspended.pop()
        return items

    def add(self, items: list[object], kind: Kind) -> None:
        """Add items to the container on top."""
        container = self.top()
        if not isinstance(container, Node) or container.kind is not kind:
            raise self.damaged(f"items of a {kind} for {describe(container)}")
        container.add(items)
        if container.depth > MAX_DEPTH:
            raise self.too_deep()

    def too_deep(self) -> FormatError:
        """Return the error for what is nested too deeply."""
        return FormatError(f"{self.place}: nested more than {MAX_DEPTH} levels deep")

    # The memo.

    def store(self, index: int) -> None:
        """Keep the value on top under a number."""
        self.memo[index] = self.top()

    def fetch(self, index: int) -> None:
        """Put the value that was kept under a number on the stack."""
        if index not in self.memo:
            raise self.damaged(f"it fetches the value {index:,}, which it has not kept")
        self.push(self.memo[index])
