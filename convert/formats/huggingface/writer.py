"""Hugging Face model folders: what ``transformers`` loads with ``from_pretrained``.

``model.safetensors`` has the names of GPT2LMHeadModel (``transformer.h.0.attn.c_attn.weight``) and
the metadata ``{"format": "pt"}``; conv1d weights stay [in, out], which is transformers' Conv1D too.
``config.json`` is the source's own where that was a Hugging Face model, also by way of this tool's
other files; else it has GPT-2's values and the source's sizes. What else lies beside the weights of
a source is copied by :mod:`..companions`.

Limits: a config needs n_head, which no tensor shows, so a source that does not state it is refused.
One shard, whatever its size.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...model.document import build_document
from ...model.schema import load_family
from ..safetensors.writer import write_tensors
from ..statements import CONFIG, spell_config
from .folder import MODEL

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Final

    from ...checkpoint.canonical import Checkpoint
    from ...tensors.tensor import LazyTensor

NAME: Final = "hf"
FILES: Final = frozenset({MODEL, CONFIG})
_BASE_MODEL: Final = "transformer."
"""The attribute of GPT2LMHeadModel that holds everything but the head."""


def write(checkpoint: Checkpoint, path: Path, advance: Callable[[int], None]) -> None:
    """Fill the empty folder at ``path``.

    ``advance`` is called with the number of tensor bytes after each chunk.

    Raises:
        UnsupportedError: n_head is unknown, or the configuration is larger than a reader wants it.
        Gpt2ConvertError: a tensor cannot be read.
        OSError: a file cannot be written.
    """
    config = spell_config(build_document(checkpoint), checkpoint.raw.where, sort_keys=True)
    (path / CONFIG).write_bytes(config)
    tensors, where = rename_tensors(checkpoint), checkpoint.raw.where
    write_tensors(tensors, {"format": "pt"}, path / MODEL, advance, where)


def rename_tensors(checkpoint: Checkpoint) -> dict[str, LazyTensor]:
    """Return the tensors under the names of GPT2LMHeadModel."""
    slots = load_family().slots(checkpoint.hparams.n_layer, "hf")
    return {
        ("" if slot.row.tied_to else _BASE_MODEL) + slot.spell("hf"): checkpoint[slot.name]
        for slot in slots
        if slot.name in checkpoint
    }
