"""A fingerprint of a model, equal whatever the container.

A tensor's digest is the SHA-256 of its elements as little-endian C-order bytes, in canonical shape.
``gpt2-convert digest`` prints a line for each in canonical order, ``<digest>  <name> <dtype>
<shape>``, where the shape is written ``[768, 2304]``, and three more:

- ``<digest>  weights``, of those lines, each ended by a newline;
- ``<digest>  config {…}``, of that JSON text: sizes and behaviour with all defaults, keys sorted;
- ``<digest>  model``, of the two lines before, each ended by a newline.

So anyone can recompute them with sed and sha256sum. Of a checkpoint that is taken as it is nothing
is known but its tensors: their lines stand in the order of their own names, and ``weights`` is the
last one. A name that is no printable ASCII, or starts with a quote, is spelt as JSON spells it.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..display.line import count
from ..display.table import draw_facts, draw_rows
from ..errors import spell_keyword
from .findings import describe_findings, draw_findings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..errors import Spell
    from .findings import Finding
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
        plain = self.name.isascii() and self.name.isprintable() and self.name[:1] != '"'
        name = self.name if plain else json.dumps(self.name)
        return f"{self.sha256}  {name} {self.dtype} {list(self.shape)}"


@dataclass(frozen=True, slots=True, repr=False)
class DigestReport:
    """The digests of a checkpoint's tensors in canonical order, of its configuration, and of both.

    ``config`` is what decides the output beside the weights; empty for a checkpoint that is taken
    as it is, whose digest is that of its tensors. ``findings`` are the differences from
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

    def __repr__(self) -> str:
        return f"<DigestReport {self._describe()}>"

    def _describe(self) -> str:
        state = f", {describe_findings(self.findings)}" if self.findings else ""
        return f"{self.side}: {count(len(self.tensors), 'tensor')}, sha256 {self.sha256}{state}"

    def _repr_html_(self) -> str:
        facts = [("sha256", self.sha256), ("weights", self.weights_sha256)]
        if self.config_sha256 is not None:
            facts.append(("config", self.config_sha256))
        facts += [("note", note) for note in self.notes]
        rows = [(each.name, each.dtype, list(each.shape), each.sha256) for each in self.tensors]
        drawn = draw_rows("tensors", ("name", "dtype", "shape", "sha256"), rows)
        caption = f"DigestReport {self._describe()}"
        return draw_facts(caption, facts) + draw_findings(self.findings) + drawn

    @property
    def as_is(self) -> bool:
        """Whether these are the tensors of a checkpoint under its own names, and no model."""
        return not self.config

    @property
    def weights_sha256(self) -> str:
        """The digest of all tensors, in hexadecimal."""
        return _hash("".join(f"{tensor.line}\n" for tensor in self.tensors))

    @property
    def config_text(self) -> str:
        """The configuration as the JSON text that its digest is taken over."""
        return json.dumps(self.config, sort_keys=True)

    @property
    def config_sha256(self) -> str | None:
        """The digest of the configuration, in hexadecimal; None without one."""
        return None if self.as_is else _hash(self.config_text)

    @property
    def sha256(self) -> str:
        """The digest of the model, or of all that was taken as it is, in hexadecimal."""
        return self.lines[-1].partition(" ")[0]

    @property
    def lines(self) -> list[str]:
        """The listing."""
        listed = [tensor.line for tensor in self.tensors]
        weights = f"{self.weights_sha256}  weights"
        if self.as_is:
            return [*listed, weights]
        both = [weights, f"{self.config_sha256}  config {self.config_text}"]
        model = _hash("".join(f"{line}\n" for line in both))
        return [*listed, *both, f"{model}  model"]

    def as_json(self, spell: Spell = spell_keyword) -> Json:
        """Return the document; schemas/report.schema.json describes it."""
        return {
            "kind": "digest",
            "ok": self.ok,
            "findings": [finding.as_json(spell) for finding in self.findings],
            **self.side.as_json(),
            "as_is": self.as_is,
            "engine": self.engine,
            "notes": list(self.notes),
            "sha256": self.sha256,
            "weights_sha256": self.weights_sha256,
            "config_sha256": self.config_sha256,
            "config": None if self.as_is else dict(self.config),
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
