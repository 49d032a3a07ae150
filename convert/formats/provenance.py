"""What this tool's own files state beside their tensors: where the model comes from, and its sizes.

The statement is a JSON object. Nothing in it depends on clock, host or path, nor on the containers
that the model was in before, so that a way there and back gives the same bytes again::

    {"hparams": {"n_vocab": 50257, …}, "config": {…}, "checksum": "…"}

``config`` is what config.json says in a Hugging Face folder, and is there only if that is more than
follows from the hparams. A checkpoint that was converted as it is has ``"as_is": true`` in place of
both, and ``"source_format"``, that of the first source; it states nothing of a model. In older
files a model has that, too. ``checksum`` is the SHA-256 of the other fields as compact JSON
with sorted keys, so that a changed byte is seen; the statements of older files have none. Each
container has its own place for the statement:

- npz: the zip comment, the object as JSON;
- safetensors: the metadata, under METADATA_KEY, the object as compact JSON with sorted keys;
- HDF5: root attributes, one a key, objects as JSON text.
"""

from __future__ import annotations

import json
import re
import zipfile
from typing import TYPE_CHECKING

from ..checkpoint.canonical import Checkpoint
from ..checkpoint.raw import RawConfig
from ..errors import UnsupportedError
from ..model.config import state_hparams
from ..model.document import find_document
from ..model.schema import load_family
from ..quoting import quote, quote_some

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Final

    from ..checkpoint.collection import TensorCollection

METADATA_KEY: Final = "gpt2-convert"
"""The one key of a safetensors file's metadata."""
HPARAMS: Final = "hparams"
SOURCE_FORMAT: Final = "source_format"
CONFIG: Final = "config"
AS_IS: Final = "as_is"
CHECKSUM: Final = "checksum"
FIELDS: Final = (HPARAMS, SOURCE_FORMAT, CONFIG, AS_IS, CHECKSUM)
MAX_COMMENT: Final = zipfile.ZIP_MAX_COMMENT
"""Bytes of a zip comment."""
MAX_ATTRIBUTE: Final = 64 << 10
"""Bytes of an attribute: HDF5's own limit for one that is stored with its object."""
MAX_METADATA: Final = 1 << 20
"""Bytes of a statement in metadata, which could be as long as a header, and takes twenty times its
length to parse."""
_ORIGIN: Final = re.compile("[a-z0-9]{1,20}")
"""The name of a format, of this release or of another."""
_ROOMIER: Final = ", or convert to safetensors, which has room"
_DAMAGED: Final = "fetch or convert the file again"


def state(checkpoint: TensorCollection) -> dict[str, object]:
    """Return what a target states of ``checkpoint``."""
    statement: dict[str, object]
    if isinstance(checkpoint, Checkpoint):
        statement = {HPARAMS: state_hparams(checkpoint.config)}
        if (document := find_document(checkpoint)) is not None:
            statement[CONFIG] = document
    else:
        origins = (config.origin for config in checkpoint.raw.configs if config.origin)
        statement = {SOURCE_FORMAT: next(origins, checkpoint.format), AS_IS: True}
    return {**statement, CHECKSUM: _digest(statement)}


def state_config(checkpoint: TensorCollection) -> dict[str, object]:
    """Return the part of the statement that a reader takes for the configuration."""
    config: Any = _find_config(state(checkpoint))
    return dict(config)


def state_in_comment(checkpoint: TensorCollection) -> bytes:
    """Return the statement as a zip comment.

    Raises:
        UnsupportedError: it is too large for one.
    """
    comment = json.dumps(state(checkpoint)).encode()
    _refuse_large(checkpoint, len(comment), MAX_COMMENT, "a zip comment")
    return comment


def state_in_metadata(checkpoint: TensorCollection) -> dict[str, str]:
    """Return the statement as the metadata of a safetensors file.

    Raises:
        UnsupportedError: it is larger than the reader wants it.
    """
    text = json.dumps(state(checkpoint), sort_keys=True, separators=(",", ":"))
    _refuse_large(checkpoint, len(text), MAX_METADATA, "the metadata of a safetensors file")
    return {METADATA_KEY: text}


def state_in_attributes(checkpoint: TensorCollection) -> dict[str, bytes]:
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
    where = f"{where}: zip comment"
    if (statement := _parse(comment)) and _is_ours(statement):
        return _read(statement, where)
    if any(f'"{field}"'.encode() in comment for field in (HPARAMS, SOURCE_FORMAT, CHECKSUM)):
        return RawConfig(where, comment, f"damaged: no statement as this tool makes it; {_DAMAGED}")
    return None


def read_metadata(metadata: Mapping[str, str], where: str) -> RawConfig | None:
    """Return what the metadata of a safetensors file states; None where it is another program's."""
    where = f"{where}: metadata"
    text = metadata.get(METADATA_KEY)
    if text is None:
        for key, value in metadata.items():
            ours = f'"{HPARAMS}"' in value or f'"{AS_IS}"' in value
            if ours and any(f'"{field}"' in value for field in (SOURCE_FORMAT, CHECKSUM)):
                reason = f"damaged: the key {METADATA_KEY!r} expected, found {quote(key)}"
                return RawConfig(where, value.encode(), f"{reason}; {_DAMAGED}")
        return None
    if len(text) > MAX_METADATA:
        reason = f"{len(text):,} bytes, where at most {MAX_METADATA:,} make sense"
        return RawConfig(where, b"", f"{reason}; {_DAMAGED}")
    if (statement := _parse(text)) and _is_ours(statement):
        return _read(statement, where)
    # What is not as this tool writes it fails where the configuration is parsed.
    return RawConfig(where, text.encode("utf-8", "surrogatepass"))


def read_attributes(attributes: Mapping[str, bytes | None], where: str) -> RawConfig | None:
    """Return what the root's attributes state, those of FIELDS that are there.

    The value of one that is no text is None. None is returned where they are another program's.
    """
    where = f"{where}: attributes"
    if not attributes.keys() & {HPARAMS, SOURCE_FORMAT}:
        return _read_lone_config(attributes.get(CONFIG), where)
    statement: dict[str, object] = {}
    for key, text in attributes.items():
        if text is None:
            return RawConfig(where, b"", f"{key}: a text expected; {_DAMAGED}")
        try:
            statement[key] = text.decode() if key in (SOURCE_FORMAT, CHECKSUM) else json.loads(text)
        except (ValueError, RecursionError):
            # The same error again, in words, where the configuration is parsed.
            return RawConfig(where, text)
    if not _is_ours(statement):
        return RawConfig(where, b"", f"damaged: no attribute {HPARAMS!r}; {_DAMAGED}")
    return _read(statement, where)


def _read_lone_config(text: bytes | None, where: str) -> RawConfig | None:
    """Return a configuration that stands without its statement, if it is one of this family."""
    if text is None or (_parse(text) or {}).get("model_type") != load_family().name:
        return None
    return RawConfig(where, text)


def _parse(text: str | bytes) -> dict[str, object] | None:
    """Return the object in a text; None where it is no JSON, or none of an object."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _read(statement: dict[str, object], where: str) -> RawConfig:
    """Return the configuration in a statement, or the hparams where it has none."""
    text = json.dumps(_find_config(statement)).encode()
    if unknown := statement.keys() - set(FIELDS):
        found = quote_some(sorted(unknown))
        return RawConfig(where, text, f"damaged: {found}, which no statement has; {_DAMAGED}")
    expected = statement.get(CHECKSUM)
    found = _digest({key: value for key, value in statement.items() if key != CHECKSUM})
    if expected is not None and expected != found:
        return RawConfig(where, text, f"damaged: it does not match its checksum; {_DAMAGED}")
    origin = statement.get(SOURCE_FORMAT)
    return RawConfig(
        where,
        text,
        complete=True,
        as_is=HPARAMS not in statement,
        origin=origin if isinstance(origin, str) and _ORIGIN.fullmatch(origin) else None,
    )


def _is_ours(statement: Mapping[str, object]) -> bool:
    """Whether a JSON object is a statement, by the one key that each of them has."""
    return HPARAMS in statement or AS_IS in statement


def _find_config(statement: Mapping[str, object]) -> object:
    """Return the part of a statement that stands for the configuration, or in place of one."""
    if HPARAMS not in statement:
        return {key: statement[key] for key in (AS_IS, SOURCE_FORMAT) if key in statement}
    return statement.get(CONFIG, statement[HPARAMS])


def _digest(statement: Mapping[str, object]) -> str:
    import hashlib  # slow to import, and only what this tool wrote has a checksum

    text = json.dumps(statement, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _refuse_large(checkpoint: TensorCollection, nbytes: int, room: int, container: str) -> None:
    """Refuse a configuration of ``nbytes`` where ``container`` has room for fewer.

    Raises:
        UnsupportedError: it does not fit.
    """
    if nbytes <= room or not isinstance(checkpoint, Checkpoint):
        return
    document = checkpoint.config.document or {}
    lengths = {key: len(json.dumps(value)) for key, value in document.items()}
    largest = max(lengths, key=lengths.__getitem__, default="")
    place = checkpoint.config.stated_in.get("document", checkpoint.hparams_from)
    raise UnsupportedError(
        f"{place}: takes {nbytes:,} bytes as JSON, and {container} holds "
        f"{room:,}; its largest field is {quote(largest)} ({lengths.get(largest, 0):,} bytes): "
        "shorten it" + ("" if room == MAX_METADATA else _ROOMIER)
    )
