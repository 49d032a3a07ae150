"""What a fetch has to say: where the files are from, and what proves each."""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from ..display.line import count
from ..display.table import draw_facts, draw_rows
from ..errors import spell_keyword
from ..quoting import quote
from .sums import WrittenFile

if TYPE_CHECKING:
    from ..errors import Spell
    from .summary import Json, Totals


class Proof(StrEnum):
    """What was compared; the first two prove the origin of a file, too."""

    PUBLISHED = "published"
    """Its SHA-256 is the one that stands in this package."""
    STATED = "stated"
    """Its hash is the one that the Hugging Face Hub states for the commit."""
    CHECKSUMS = "checksums"
    """Every tensor matches the checksum in the index, and every block of the index its own."""
    CONTENTS = "contents"
    """It is a sound text of its kind, and agrees with the tensors."""
    SIZE = "size"
    """Its size alone: nothing is published of it, and nothing in it could tell."""

    @property
    def origin(self) -> bool:
        """Whether it proves where a file is from."""
        return self in (Proof.PUBLISHED, Proof.STATED)


@dataclass(frozen=True, slots=True)
class FetchedFile:
    """A file of the model; it was ``fetched``, or there already."""

    name: str
    nbytes: int
    sha256: str
    proof: Proof
    fetched: bool

    def as_json(self) -> Json:
        """Return it as it stands in a report."""
        return {
            "name": self.name,
            "bytes": self.nbytes,
            "sha256": self.sha256,
            "proof": self.proof.value,
            "fetched": self.fetched,
        }


@dataclass(frozen=True, slots=True, repr=False)
class FetchReport:
    """A model that is there, whole and proven, in ``folder``.

    ``address`` is where its files are from; ``commit`` is the one of the Hugging Face Hub, None for
    OpenAI's files. ``fetched_nbytes`` came over the network just now. ``notes`` are what else
    should be known.
    """

    name: str
    folder: str
    format: str
    address: str
    commit: str | None
    files: tuple[FetchedFile, ...]
    fetched_nbytes: int
    totals: Totals
    notes: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether the folder is proven; where it is not, there is no report."""
        return True

    def __bool__(self) -> bool:
        return self.ok

    def __repr__(self) -> str:
        return f"<FetchReport {self._describe()}>"

    def _describe(self) -> str:
        files, unproven = count(len(self.files), "file"), len(self.unproven)
        state = f"the origin of {unproven:,} not proven" if unproven else "proven"
        return f"{quote(self.name)} in {quote(self.folder)} ({self.format}): {files}, {state}"

    def _repr_html_(self) -> str:
        facts = [("from", self.address), *self.totals.list_facts()]
        if self.commit is not None:
            facts.insert(1, ("commit", self.commit))
        facts += [("note", note) for note in self.notes]
        rows = [(each.name, f"{each.nbytes:,}", each.proof, each.sha256) for each in self.files]
        drawn = draw_rows("files", ("name", "bytes", "proof", "sha256"), rows)
        return draw_facts(f"FetchReport {self._describe()}", facts) + drawn

    @property
    def unproven(self) -> tuple[FetchedFile, ...]:
        """The files whose origin nothing proves."""
        return tuple(file for file in self.files if not file.proof.origin)

    @property
    def written(self) -> tuple[WrittenFile, ...]:
        """The files by their paths, those that were there already included."""
        return tuple(
            WrittenFile(os.path.join(self.folder, each.name), each.nbytes, each.sha256)
            for each in self.files
        )

    def as_json(self, spell: Spell = spell_keyword) -> Json:
        """Return the document; schemas/report.schema.json describes it."""
        return {
            "kind": "fetch",
            "ok": self.ok,
            "name": self.name,
            "path": self.folder,
            "format": self.format,
            "address": self.address,
            "commit": self.commit,
            "origin_proven": not self.unproven,
            "files": [file.as_json() for file in self.files],
            "fetched_bytes": self.fetched_nbytes,
            "tensors": self.totals.tensors,
            **self.totals.as_json(),
            "notes": list(self.notes),
            "findings": [],
        }
