"""safetensors, streamed: see :mod:`gpt2_convert.formats.safetensors.header` for the layout.

The bytes are those that the official library writes for the same tensors and metadata: sorted by
dtype, the widest first, and then by name; the header compact and ended with spaces to a multiple of
8 bytes. A checkpoint's tensors have their canonical names, or their own where it is taken as it is.
The metadata is the one key of
:mod:`..provenance`. One, because the library writes two or more in random order, and could not be
compared with.

Limits: complex128 and TensorFlow's strings have no name in the format, and no tensor can have that
of the metadata, ``__metadata__``.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from ...errors import Advice, UnsupportedError
from ...quoting import quote
from ...tensors.read_ahead import read_ahead
from ..provenance import state_in_metadata
from .header import CODES, LENGTH_BYTES, MAX_HEADER_BYTES, METADATA
from .reader import NAME

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from typing import Final

    from ...checkpoint.collection import TensorCollection
    from ...tensors.tensor import LazyTensor

__all__ = ["NAME", "load", "write", "write_tensors"]

_ALIGNMENT: Final = 8
_RANK: Final = {dtype: rank for rank, dtype in enumerate(CODES)}


def load(proof: bool) -> None:
    """Import what writing takes, and with ``proof`` what reading back does."""
    if proof:
        import safetensors.numpy  # noqa: F401

        from . import cross_check  # noqa: F401


def write(checkpoint: TensorCollection, path: Path, advance: Callable[[int], None]) -> None:
    """Write every tensor of ``checkpoint`` into the file at ``path``.

    ``advance`` is called with the number of tensor bytes after each chunk.

    Raises:
        UnsupportedError: a tensor is of a dtype that the format does not have, or of a name that
            it has no room for.
        Gpt2ConvertError: a tensor cannot be read.
        OSError: the file cannot be written.
    """
    where = checkpoint.raw.where
    write_tensors(checkpoint.tensors, state_in_metadata(checkpoint), path, advance, where)


def write_tensors(
    tensors: Mapping[str, LazyTensor],
    metadata: Mapping[str, str],
    path: Path,
    advance: Callable[[int], None],
    where: str,
) -> None:
    """Write ``tensors`` under the names that the mapping gives them; otherwise as :func:`write`.

    ``where`` is the file that they are of.
    """
    _check(tensors, where)
    names = sorted(tensors, key=lambda name: (-_RANK[tensors[name].dtype], name))
    ordered = {name: tensors[name] for name in names}
    with path.open("wb") as file:
        file.write(_header(ordered, metadata))
        for _, chunks in read_ahead(ordered.values()):
            for chunk in chunks:
                file.write(chunk)
                advance(len(chunk))


def _check(tensors: Mapping[str, LazyTensor], where: str) -> None:
    """Refuse what the format has no room for.

    Raises:
        UnsupportedError: a tensor is of a dtype that it does not have, or of a name.
    """
    for name, tensor in tensors.items():
        fault = ""
        if tensor.dtype not in CODES:
            fault = f"safetensors has no {tensor.dtype}"
        elif name == METADATA:
            fault = "safetensors has that name for its metadata"
        elif not _is_unicode(name):
            fault = "not Unicode, as safetensors wants names"
        if fault:
            raise UnsupportedError(
                f"{where}: {quote(tensor.source_name)}: {fault}",
                Advice("{} leaves it out", "drop", tensor.source_name),
            )


def _header(tensors: Mapping[str, LazyTensor], metadata: Mapping[str, str]) -> bytes:
    """Return the header and, before it, its length."""
    fields: dict[str, object] = {METADATA: dict(metadata)} if metadata else {}
    offset = 0
    for name, tensor in tensors.items():
        end = offset + tensor.nbytes
        code = CODES[tensor.dtype]
        fields[name] = {"dtype": code, "shape": tensor.shape, "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    if len(text) > MAX_HEADER_BYTES:
        raise UnsupportedError(f"a safetensors header of {len(text):,} bytes, which none may have")
    return len(text).to_bytes(LENGTH_BYTES, "little") + text


def _is_unicode(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
