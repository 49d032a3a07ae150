"""The document that programs read: schemas/report.schema.json and inspect.schema.json describe it.

It is ASCII, so that any name survives any terminal and pipe.
"""

from __future__ import annotations

import json
from itertools import chain, islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Final

    from ...errors import Spell
    from ..outcome import Outcome
    from ..summary import Json

_PIECES: Final = 4096
"""Pieces of a document that are yielded together: a name, a number, a comma."""


def render(outcome: Outcome, spell: Spell) -> Iterator[str]:
    """Return the document piece by piece: as a text it takes more memory than all the tensors."""
    return _encode(outcome.as_json(spell))


def _encode(document: Json) -> Iterator[str]:
    pieces = chain(json.JSONEncoder(indent=2, allow_nan=False).iterencode(document), ["\n"])
    while batch := "".join(islice(pieces, _PIECES)):
        yield batch
