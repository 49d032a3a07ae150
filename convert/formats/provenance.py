"""What this tool's own files state beside their tensors: where the model comes from, and its sizes.

The statement is a JSON object. Nothing in it depends on clock, host or path::

    {"hparams": {"n_vocab": 50257, …}, "source_format": "tensorflow", "config": {…}}

``config`` is there only if the source is a Hugging Face model, or was once made from one, and has a
config.json: all of that. Each container has its own place for the statement:

- npz: the zip comment, the object as JSON;
- safetensors: the metadata, under METADATA_KEY, the object as compact JSON with sorted keys;
- HDF5: root attributes, one a key, objects as JSON text.
"""

from __future__ import annotations

import json
import zipfile
from typing import TYPE_CHECKING

from ..checkpoint.raw import RawConfig
from ..errors import UnsupportedError
from ..quoting import quote

if TYPE_CHECKING:
    from typing import Final

    from ..checkpoint.canonical import Checkpoint

METADATA_KEY: Final = "gpt2-convert"
"""The one key of a safetensors file's metadata."""
HPARAMS: Final = "hparams"
CONFIG: Final = "config"
MAX_COMMENT: Final = zipfile.ZIP_MAX_COMMENT
"""Bytes of a zip comment."""
MAX_ATTRIBUTE: Final = 64 << 10
"""Bytes of an attribute: HDF5's own limit for one that is stored with its object."""


def state(checkpoint: Checkpoint) -> dict[str, object]:
    """Return what a target states of ``checkpoint``."""
    statement: dict[str, object] = {
        HPARAMS: checkpoint.hparams.known(),
        "source_format": checkpoint.format,
    }
    return statement if checkpoint.config is None else {**statement, CONFIG: checkpoint.config}


def state_in_comment(checkpoint: Checkpoint) -> bytes:
    """Return the statement as a zip comment.

    Raises:
        UnsupportedError: it is too large for one.
    """
    comment = json.dumps(state(checkpoint)).encode()
    _refuse_large(checkpoint, len(comment), MAX_COMMENT, "a zip comment")
    return comment


def state_in_metadata(checkpoint: Checkpoint) -> dict[str, str]:
    """Return the statement as the metadata of a safetensors file."""
    return {METADATA_KEY: json.dumps(state(checkpoint), sort_keys=True, separators=(",", ":"))}


def state_in_attributes(checkpoint: Checkpoint) -> dict[str, bytes]:
    """Return the statement as attributes of an HDF5 file.

    Raises:
        UnsupportedError: one is too large for an attribute as the reader wants it.
    """
    statement = state(checkpoint)
    longest = max(len(json.dumps(value)) for value in statement.values())
    _refuse_large(checkpoint, longest, MAX_ATTRIBUTE, "an HDF5 attribute")
    return {
        key: (value if isinstance(value, str) else json.dumps(value)).encode()
        for key, value in statement.items()
    }


def read_comment(comment: bytes, where: str) -> RawConfig | None:
    """Return what a zip comment states of the model; None where it is another program's."""
    stated = _find_config(comment)
    return None if stated is None else RawConfig(f"{where}: zip comment", stated)


def read_metadata(text: str, where: str) -> RawConfig:
    """Return what the metadata of a safetensors file states of the model.

    What is not as this tool writes it is left to whoever wants to know.
    """
    stated = _find_config(text)
    return RawConfig(f"{where}: metadata", text.encode() if stated is None else stated)


def _find_config(text: str | bytes) -> bytes | None:
    """Return the configuration in a statement, or the hparams where it has none."""
    try:
        statement = json.loads(text)
        return json.dumps(statement.get(CONFIG, statement[HPARAMS])).encode()
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _refuse_large(checkpoint: Checkpoint, nbytes: int, room: int, container: str) -> None:
    """Refuse a configuration of ``nbytes`` where ``container`` has room for fewer.

    Raises:
        UnsupportedError: it does not fit.
    """
    if nbytes <= room:
        return
    config = checkpoint.config or {}
    lengths = {key: len(json.dumps(value)) for key, value in config.items()}
    largest = max(lengths, key=lengths.__getitem__, default="")
    raise UnsupportedError(
        f"{checkpoint.hparams_from}: takes {nbytes:,} bytes as JSON, and {container} holds "
        f"{room:,}; its largest field is {quote(largest)} ({lengths.get(largest, 0):,} bytes): "
        "shorten it, or convert to safetensors, which has room"
    )
