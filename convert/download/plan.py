"""What is to be fetched: the files that a model is made of, where each is, what is known of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..formats.readers import SourceFormat
    from ..reports.fetch import Proof
    from .address import Address, Site
    from .content import Known


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file: its name, its address, and what is known of it.

    ``proof`` is what will prove it. Where it is ``binary``, its first byte may be anything.
    ``commit`` is the one of the Hub that it has to be of.
    """

    name: str
    address: Address
    known: Known
    proof: Proof
    binary: bool = False
    commit: str | None = None

    @property
    def identity(self) -> str:
        """What makes partial files of it parts of the same whole."""
        return str(self.known.digest or self.address)


@dataclass(frozen=True, slots=True)
class Plan:
    """A model at a site: its ``address`` there, and its files, the weights last.

    ``commit`` is the one of the Hub that all files are of. ``format`` is a key of READERS.
    """

    name: str
    site: Site
    address: Address
    format: SourceFormat
    wanted: tuple[Wanted, ...]
    commit: str | None = None
