"""The budget of PyTorch files: what a checkpoint may list, and what its pickles may do to list it.

A pickle is a program, and its length says little of what it costs to run. So the opcodes of all
files of a checkpoint count together, as do the bytes of their pickles and zip directories.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...errors import UnsupportedError
from ..limits import Listing

if TYPE_CHECKING:
    from typing import Final

MAX_OPCODES: Final = 300_000
"""A tensor takes some 30, so that these are 10,000 tensors: four times those of the largest GPT-2
with its optimizer's."""
RECORD: Final = 46
"""Bytes of a member in the directory of a zip file, beside its name."""


class Budget(Listing):
    """What one checkpoint has listed so far, and ``opcodes``, how many of them are left to it."""

    __slots__ = ("opcodes",)

    def __init__(self, where: str) -> None:
        super().__init__(where)
        self.opcodes = MAX_OPCODES

    def refuse_opcodes(self, place: str) -> UnsupportedError:
        """Return the error for the pickle at ``place``, which runs more than are left."""
        self.exceeded = True
        return UnsupportedError(
            f"{place}: more than {MAX_OPCODES:,} opcodes, where those of a GPT-2 are some thousands"
        )
