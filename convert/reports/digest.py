"""A fingerprint of a checkpoint's contents, equal whatever the container.

A tensor's digest is the SHA-256 of its elements as little-endian C-order bytes, in canonical shape.
The digest of the whole is the SHA-256 of the lines ``<digest>  <name> <dtype> <shape>``, one a
tensor in canonical order, each ended by a newline, where the shape is written ``[768, 2304]``.
Those are the lines that ``gpt2-convert digest`` prints, all but the last, so anyone can recompute
it: ``gpt2-convert digest PATH | sed '$d' | sha256sum``. The hparams are not part of it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import spell_keyword

if TYPE_CHECKING:
    from ..errors import Spell
    from .summary import Json, Side


@dataclass(frozen=True, slots=True)
class TensorDigest:
    """The SHA-256 of one tensor, in hexadecimal, and what it is of."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    sha256: str

    @property
    def line(self) -> str:
        """The line of the listing that the digest of the whole is taken over."""
        return f"{self.sha256}  {self.name} {self.dtype} {list(self.shape)}"


@dataclass(frozen=True, slots=True)
class DigestReport:
    """The digests of a checkpoint's tensors in canonical order, and the one of them all.

    ``engine`` is what read them, and ``notes`` are what should be known of that.
    """

    side: Side
    tensors: tuple[TensorDigest, ...]
    engine: str = "native"
    notes: tuple[str, ...] = ()

    @property
    def sha256(self) -> str:
        """The digest of the whole, in hexadecimal."""
        listing = "".join(f"{tensor.line}\n" for tensor in self.tensors)
        return hashlib.sha256(listing.encode()).hexdigest()

    def as_json(self, spell: Spell = spell_keyword) -> Json:
        """Return the document; schemas/report.schema.json describes it."""
        return {
            "kind": "digest",
            "ok": True,
            "findings": [],
            **self.side.as_json(),
            "engine": self.engine,
            "notes": list(self.notes),
            "sha256": self.sha256,
            "tensors": [
                {
                    "name": tensor.name,
                    "dtype": tensor.dtype,
                    "shape": list(tensor.shape),
                    "sha256": tensor.sha256,
                }
                for tensor in self.tensors
            ],
        }
