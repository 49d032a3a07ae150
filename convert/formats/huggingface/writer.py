"""Hugging Face model folders: what ``transformers`` loads with ``from_pretrained``.

``model.safetensors`` has the names of GPT2LMHeadModel (``transformer.h.0.attn.c_attn.weight``) and
the metadata ``{"format": "pt"}``; conv1d weights stay [in, out], which is transformers' Conv1D too.
``config.json`` is the source's own where that was a Hugging Face model, also by way of this tool's
other files; else it has GPT-2's values and the source's sizes. The files of the tokenizer, and
``generation_config.json``, are copied byte for byte from a source that is a folder and has them:
OpenAI's ``encoder.json`` becomes ``vocab.json`` and its ``vocab.bpe`` ``merges.txt``.

Limits: a config needs n_head, which no tensor shows, so a source that does not state it is refused.
The other containers hold no tokenizer: what goes through them comes without. One shard, whatever
its size.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from ...errors import Advice, TargetError, UnsupportedError
from ...io.source import read_small
from ...model.config import MODEL_TYPE
from ...model.schema import load_family
from ..safetensors.writer import write_tensors
from .folder import CONFIG, MODEL

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any, Final

    from ...checkpoint.canonical import Checkpoint
    from ...tensors.tensor import LazyTensor

NAME: Final = "hf"
COPIED: Final = {
    "vocab.json": ("vocab.json", "encoder.json"),
    "merges.txt": ("merges.txt", "vocab.bpe"),
    "tokenizer.json": ("tokenizer.json",),
    "tokenizer_config.json": ("tokenizer_config.json",),
    "special_tokens_map.json": ("special_tokens_map.json",),
    "added_tokens.json": ("added_tokens.json",),
    "generation_config.json": ("generation_config.json",),
}
"""A file of the folder, and the names under which a source may have it."""
FILES: Final = frozenset({MODEL, CONFIG, *COPIED})
_MAX_COPIED_BYTES: Final = 64 << 20
_BASE_MODEL: Final = "transformer."
"""The attribute of GPT2LMHeadModel that holds everything but the head."""
_OPENAI_VOCAB: Final = 50257
"""Size of OpenAI's vocabulary, which ends with its one special token, <|endoftext|>."""


def write(checkpoint: Checkpoint, path: Path, advance: Callable[[int], None]) -> None:
    """Fill the empty folder at ``path``.

    ``advance`` is called with the number of tensor bytes after each chunk.

    Raises:
        UnsupportedError: n_head is unknown.
        Gpt2ConvertError: a tensor or a file to be copied cannot be read.
        OSError: a file cannot be written.
    """
    config = build_config(checkpoint)
    text = json.dumps(config, indent=2, sort_keys=True) + "\n"
    (path / CONFIG).write_text(text, encoding="utf-8")
    _copy_files(checkpoint, path)
    write_tensors(rename_tensors(checkpoint), {"format": "pt"}, path / MODEL, advance)


def rename_tensors(checkpoint: Checkpoint) -> dict[str, LazyTensor]:
    """Return the tensors under the names of GPT2LMHeadModel."""
    slots = load_family().slots(checkpoint.hparams.n_layer, "hf")
    return {
        ("" if slot.row.tied_to else _BASE_MODEL) + slot.spell("hf"): checkpoint[slot.name]
        for slot in slots
        if slot.name in checkpoint
    }


def build_config(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return the contents of config.json.

    Raises:
        UnsupportedError: n_head is unknown.
    """
    hparams = checkpoint.hparams
    if hparams.n_head is None:
        raise UnsupportedError(
            f"{checkpoint.raw.where}: n_head is unknown, and config.json must state it",
            Advice("say it with {}", "n_head"),
        )
    family = load_family()
    end_of_text = _OPENAI_VOCAB - 1 if hparams.n_vocab == _OPENAI_VOCAB else None
    config: dict[str, Any] = {
        **family.behaviour,
        MODEL_TYPE: family.name,
        "attn_pdrop": 0.1,
        "bos_token_id": end_of_text,
        "embd_pdrop": 0.1,
        "eos_token_id": end_of_text,
        "initializer_range": 0.02,
        "n_inner": None,
        "resid_pdrop": 0.1,
        "use_cache": True,
    }
    config |= checkpoint.config or {}
    dtypes = {tensor.dtype.value for tensor in checkpoint.values()}
    config.pop("torch_dtype", None)  # the older name of the next
    return config | {
        "architectures": ["GPT2LMHeadModel"],
        "dtype": dtypes.pop() if len(dtypes) == 1 else "float32",
        "n_ctx": hparams.n_ctx,
        "n_embd": hparams.n_embd,
        "n_head": hparams.n_head,
        "n_layer": hparams.n_layer,
        "n_positions": hparams.n_ctx,
        "tie_word_embeddings": "lm_head.w" not in checkpoint,
        "vocab_size": hparams.n_vocab,
    }


def _copy_files(checkpoint: Checkpoint, path: Path) -> None:
    folder = checkpoint.raw.folder
    if folder is None:
        return
    for target, names in COPIED.items():
        source = next((folder / name for name in names if (folder / name).is_file()), None)
        if source is None:
            continue
        data = read_small(source, _MAX_COPIED_BYTES)
        (path / target).write_bytes(data)
        if (path / target).read_bytes() != data:
            raise TargetError(f"{path / target}: does not hold what was written")
