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

from ...errors import Advice, UnsupportedError
from ...model.config import state_sizes
from ...model.schema import load_family
from ...model.stated import DTYPES, HUGGINGFACE, MODEL_TYPE, TIED
from ..safetensors.writer import write_tensors
from ..statements import CONFIG, spell_config
from .folder import MODEL

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any, Final

    from ...checkpoint.canonical import Checkpoint
    from ...tensors.tensor import LazyTensor

NAME: Final = "hf"
FILES: Final = frozenset({MODEL, CONFIG})
ARCHITECTURES: Final = ["GPT2LMHeadModel"]
"""The class of transformers that has these tensors."""
_BASE_MODEL: Final = "transformer."
"""The attribute of GPT2LMHeadModel that holds everything but the head."""
_OPENAI_VOCAB: Final = 50257
"""Size of OpenAI's vocabulary, which ends with its one special token, <|endoftext|>."""


def write(checkpoint: Checkpoint, path: Path, advance: Callable[[int], None]) -> None:
    """Fill the empty folder at ``path``.

    ``advance`` is called with the number of tensor bytes after each chunk.

    Raises:
        UnsupportedError: n_head is unknown, or the configuration is larger than a reader wants it.
        Gpt2ConvertError: a tensor cannot be read.
        OSError: a file cannot be written.
    """
    config = spell_config(build_config(checkpoint), checkpoint.raw.where, sort_keys=True)
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


def build_config(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return the contents of config.json.

    Raises:
        UnsupportedError: n_head is unknown.
    """
    stated = checkpoint.config
    if stated.n_head is None:
        raise UnsupportedError(
            f"{checkpoint.raw.where}: n_head is unknown, and config.json must state it",
            Advice("say it with {}", "n_head"),
        )
    family = load_family()
    end_of_text = _OPENAI_VOCAB - 1 if stated.n_vocab == _OPENAI_VOCAB else None
    config: dict[str, Any] = {
        **{key: getattr(stated, key) for key in family.behaviour},
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
    config |= stated.document or {}
    if not any(config.get(key) for key in DTYPES):
        dtypes = {tensor.dtype.value for tensor in checkpoint.values()}
        config[DTYPES[0]] = dtypes.pop() if len(dtypes) == 1 else "float32"
    sizes = {size: getattr(stated, size) for size in family.configs[HUGGINGFACE]}
    return config | {
        **state_sizes(sizes, family),
        "architectures": ARCHITECTURES,
        "n_ctx": stated.n_ctx,
        TIED: stated.tie_word_embeddings,
    }
