"""A fingerprint of a model, equal whatever the container.

A tensor's digest is the SHA-256 of its elements as little-endian C-order bytes, in canonical shape.
``gpt2-convert digest`` prints a line for each in canonical order, ``<digest>  <name> <dtype>
<shape>``, where the shape is written ``[768, 2304]``, and three more:

- ``<digest>  weights``, of those lines, each ended by a newline;
- ``<digest>  config {…}``, of that JSON text: sizes and behaviour with all defaults, keys sorted;
- ``<digest>  model``, of the two lines before, each ended by a newline.

So anyone can recompute them with sed and sha256sum.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import spell_keyword

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..errors import Spell
    from .summary import Json, Side
    from .verification import Finding


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
    """The digests of a checkpoint's tensors in canonical order, of its configuration, and of both.

    ``config`` is what decides the output beside the weights. ``findings`` are the differences from
    a listing printed earlier, where there was one to compare with. ``engine`` is what read the
    tensors, and ``notes`` are what should be known of that.
    """

    side: Side
    tensors: tuple[TensorDigest, ...]
    config: Mapping[str, object]
    engine: str = "native"
    notes: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether nothing differs from the listing that it was compared with, if it was."""
        return not self.findings

    def __bool__(self) -> bool:
        return self.ok

    @property
    def weights_sha256(self) -> str:
        """The digest of all tensors, in hexadecimal."""
        return _hash("".join(f"{tensor.line}\n" for tensor in self.tensors))

    @property
    def config_text(self) -> str:
        """The configuration as the JSON text that its digest is taken over."""
        return json.dumps(self.config, sort_keys=True)

    @property
    def config_sha256(self) -> str:
        """The digest of the configuration, in hexadecimal."""
        return _hash(self.config_text)

    @property
    def sha256(self) -> str:
        """The digest of the model, in hexadecimal."""
        return _hash("".join(f"{line}\n" for line in self.lines[-3:-1]))

    @property
    def lines(self) -> list[str]:
        """The listing."""
        both = [
            f"{self.weights_sha256}  weights",
            f"{self.config_sha256}  config {self.config_text}",
        ]
        model = _hash("".join(f"{line}\n" for line in both))
        return [*(tensor.line for tensor in self.tensors), *both, f"{model}  model"]

    def as_json(self, spell: Spell = spell_keyword) -> Json:
        """Return the document; schemas/report.schema.json describes it."""
        return {
            "kind": "digest",
            "ok": self.ok,
            "findings": [finding.as_json(spell) for finding in self.findings],
            **self.side.as_json(),
            "engine": self.engine,
            "notes": list(self.notes),
            "sha256": self.sha256,
            "weights_sha256": self.weights_sha256,
            "config_sha256": self.config_sha256,
            "config": dict(self.config),
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


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
