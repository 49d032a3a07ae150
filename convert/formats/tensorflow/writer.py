"""TensorFlow checkpoints: the folder of a model as OpenAI published it.

::

    checkpoint                        model_checkpoint_path: "model.ckpt", and once more
    hparams.json                      the sizes
    model.ckpt.index                  see :mod:`.table` and :mod:`.entries`
    model.ckpt.data-00000-of-00001    the tensors, packed, sorted by name
    config.json                       only if there is more to say than hparams.json can

Index and data are the bytes that TensorFlow's Saver writes for the same tensors: names, order and
shapes are those of openai/gpt-2, src/model.py, where the weights of a conv1d are [1, in, out].
``config.json`` is the one that a Hugging Face folder of the same model would have, and the reader
takes it into account beside a checkpoint. It is left out where such a folder could be made without
it: then it has nothing to add.

Limits: OpenAI's layout has no name for a head, so one that is not tied is refused; hparams.json
needs n_head, which no tensor shows.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import google_crc32c

from ...errors import Advice, UnsupportedError
from ...model.document import build_document, find_document
from ...model.schema import load_family
from ...quoting import clip, quote
from ...tensors.dtype import DType
from ...tensors.read_ahead import read_ahead
from ..statements import CONFIG, HPARAMS, spell_config
from .entries import DTYPES, Entry
from .index_writer import build_index
from .locate import CHECKPOINT, index_path, shard_path
from .reader import NAME
from .table import mask_crc

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Final

    from ...checkpoint.canonical import Checkpoint
    from ...tensors.tensor import LazyTensor

__all__ = ["FILES", "NAME", "load", "note", "state_config", "write"]

_PREFIX: Final = "model.ckpt"
_SPELLING: Final = "tf"
_CHECKPOINT_TEXT: Final = (
    f'model_checkpoint_path: "{_PREFIX}"\nall_model_checkpoint_paths: "{_PREFIX}"\n'
)
_DTYPES: Final = {each for each in DTYPES.values() if each.in_numpy or each is DType.BFLOAT16}
FILES: Final = frozenset(
    {
        CHECKPOINT,
        HPARAMS,
        CONFIG,
        index_path(Path(_PREFIX)).name,
        shard_path(Path(_PREFIX), 0, 1).name,
    }
)


def load(proof: bool) -> None:
    """Import what writing takes, which is nothing more, and with ``proof`` what comparing does."""
    if proof:
        import numpy as np  # noqa: F401


def write(checkpoint: Checkpoint, path: Path, advance: Callable[[int], None]) -> None:
    """Fill the empty folder at ``path``.

    ``advance`` is called with the number of tensor bytes after each chunk.

    Raises:
        UnsupportedError: the head is not tied, n_head is unknown, a tensor is of a dtype that is
            not written, or the configuration is larger than a reader wants it.
        Gpt2ConvertError: a tensor cannot be read.
        OSError: a file cannot be written.
    """
    tensors = _rename_tensors(checkpoint)
    hparams, config = _state_hparams(checkpoint), _build_config(checkpoint)
    if config:
        text = spell_config(config, checkpoint.raw.where, sort_keys=True)
        (path / CONFIG).write_bytes(text)
    (path / HPARAMS).write_text(json.dumps(hparams, indent=2) + "\n", encoding="utf-8")
    (path / CHECKPOINT).write_text(_CHECKPOINT_TEXT, encoding="utf-8")
    entries = _write_data(tensors, shard_path(path / _PREFIX, 0, 1), advance)
    index_path(path / _PREFIX).write_bytes(build_index(entries))


def state_config(checkpoint: Checkpoint) -> dict[str, object]:
    """Return what the folder states of the model, in one file or two that agree.

    Raises:
        UnsupportedError: n_head is unknown.
    """
    return {**_state_hparams(checkpoint), **_build_config(checkpoint)}


def note(checkpoint: Checkpoint) -> tuple[str, ...]:
    """Return notes of what programs that load OpenAI's own models make of it."""
    notes: list[str] = []
    if unusual := checkpoint.config.unusual():
        told = ", ".join(f"{key} {clip(json.dumps(value))}" for key, value in unusual.items())
        notes.append(
            f"{CONFIG} beside the checkpoint states {told}, for which OpenAI's layout has no word: "
            f"whoever goes by {HPARAMS} alone computes otherwise"
        )
    if dtypes := {tensor.dtype.value for tensor in checkpoint.values()} - {DType.FLOAT32.value}:
        found = " and ".join(sorted(dtypes))
        notes.append(f"OpenAI's code restores float32 alone, and the weights are {found}")
    return tuple(notes)


def _rename_tensors(checkpoint: Checkpoint) -> dict[str, LazyTensor]:
    """Return the tensors under OpenAI's names and in the shapes there, sorted by name.

    Raises:
        UnsupportedError: one has no name, or is of a dtype that is not written.
    """
    where, family = checkpoint.raw.where, load_family()
    slots = {slot.name: slot for slot in family.slots(checkpoint.hparams.n_layer, _SPELLING)}
    renamed: dict[str, LazyTensor] = {}
    for name, tensor in checkpoint.items():
        source_name = quote(tensor.source_name)
        if name not in slots:
            raise UnsupportedError(
                f"{where}: {source_name} differs from wte, and OpenAI's layout has no name for a "
                "head; every other format keeps it",
                Advice("or {} leaves it out and changes the model", "drop", tensor.source_name),
            )
        if tensor.dtype not in _DTYPES:
            raise UnsupportedError(
                f"{where}: {source_name}: a TensorFlow checkpoint of {tensor.dtype} is not written"
            )
        shape = family.stored_shape(slots[name], tensor.shape, _SPELLING)
        renamed[slots[name].spell(_SPELLING)] = replace(tensor, shape=shape)
    return dict(sorted(renamed.items()))


def _write_data(
    tensors: Mapping[str, LazyTensor], path: Path, advance: Callable[[int], None]
) -> dict[str, Entry]:
    """Write the elements of one tensor after the other, and return the entry of each."""
    entries: dict[str, Entry] = {}
    offset = 0
    with path.open("wb") as file:
        for name, (tensor, chunks) in zip(tensors, read_ahead(tensors.values()), strict=True):
            crc = 0
            for chunk in chunks:
                crc = google_crc32c.extend(crc, chunk)
                file.write(chunk)
                advance(len(chunk))
            size = tensor.nbytes
            entries[name] = Entry(tensor.dtype, tensor.shape, 0, offset, size, mask_crc(crc))
            offset += size
    return entries


def _state_hparams(checkpoint: Checkpoint) -> dict[str, int]:
    """Return the sizes under OpenAI's keys and in their order.

    Raises:
        UnsupportedError: n_head is unknown.
    """
    if checkpoint.hparams.n_head is None:
        raise UnsupportedError(
            f"{checkpoint.raw.where}: n_head is unknown, and {HPARAMS} must state it",
            Advice("say it with {}", "n_head"),
        )
    return checkpoint.hparams.known()


def _build_config(checkpoint: Checkpoint) -> Mapping[str, object]:
    """Return the contents of config.json; nothing where it has nothing to add."""
    if checkpoint.config.unusual():
        return build_document(checkpoint)
    return find_document(checkpoint) or {}
