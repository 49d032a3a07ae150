"""What this tool's files state of their model, put together from the specification alone."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from support import bundles

if TYPE_CHECKING:
    from collections.abc import Mapping


def statement(
    hparams: Mapping[str, object] = bundles.TINY,
    config: Mapping[str, object] | None = None,
) -> dict[str, object]:
    """A statement with its checksum: the SHA-256 of the rest, compact and with sorted keys."""
    stated: dict[str, object] = {"hparams": dict(hparams)}
    if config is not None:
        stated["config"] = dict(config)
    return {**stated, "checksum": hashlib.sha256(compact(stated).encode()).hexdigest()}


def compact(stated: Mapping[str, object]) -> str:
    """A statement as the metadata of a safetensors file have it."""
    return json.dumps(stated, sort_keys=True, separators=(",", ":"))
