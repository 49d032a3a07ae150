"""What config.json says of a model in a Hugging Face folder, and whether that adds anything.

It is the source's own where that was a Hugging Face model, also by way of this tool's other files;
else it has GPT-2's values and the source's sizes. What is written is read back as it is, so that a
second way gives the same.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from ..errors import Advice, UnsupportedError
from .config import state_sizes
from .schema import load_family
from .stated import DTYPES, HUGGINGFACE, MODEL_TYPE, TIED

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Final

    from ..checkpoint.canonical import Checkpoint

ARCHITECTURES: Final = ["GPT2LMHeadModel"]
"""The class of transformers that has these tensors."""
_OPENAI_VOCAB: Final = 50257
"""Size of OpenAI's vocabulary, which ends with its one special token, <|endoftext|>."""


def build_document(checkpoint: Checkpoint) -> dict[str, Any]:
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
    config = _fill_in(checkpoint) if stated.document is None else dict(stated.document)
    if "n_ctx" in config:
        config["n_ctx"] = stated.n_ctx  # an older name, that some programs still read
    sizes = {size: getattr(stated, size) for size in family.configs[HUGGINGFACE]}
    return config | {
        **state_sizes(sizes, family),
        MODEL_TYPE: family.name,
        "architectures": ARCHITECTURES,
        TIED: stated.tie_word_embeddings,
    }


def find_document(checkpoint: Checkpoint) -> Mapping[str, object] | None:
    """Return what config.json would say, in the order of its keys; None where it adds nothing.

    That is so where GPT-2's own behaviour is all that it states beside the sizes, and it would say
    the same without a document of the source's. What cannot be in a folder, since n_head is
    unknown, is that document itself.
    """
    stated = checkpoint.config.document
    if stated is None or checkpoint.config.n_head is None:
        return stated
    without = replace(checkpoint, config=replace(checkpoint.config, document=None))
    text, implied = (
        json.dumps(build_document(each), sort_keys=True) for each in (checkpoint, without)
    )
    document: dict[str, Any] = json.loads(text)
    adds_nothing = text == implied and not checkpoint.config.unusual()
    return None if adds_nothing else document


def _fill_in(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return what GPT-2's config.json has beside the sizes."""
    stated = checkpoint.config
    family = load_family()
    end_of_text = _OPENAI_VOCAB - 1 if stated.n_vocab == _OPENAI_VOCAB else None
    dtypes = {tensor.dtype.value for tensor in checkpoint.values()}
    return {
        **{key: getattr(stated, key) for key in family.behaviour},
        "attn_pdrop": 0.1,
        "bos_token_id": end_of_text,
        "embd_pdrop": 0.1,
        "eos_token_id": end_of_text,
        "initializer_range": 0.02,
        "n_ctx": stated.n_ctx,
        "n_inner": None,
        "resid_pdrop": 0.1,
        "use_cache": True,
        DTYPES[0]: dtypes.pop() if len(dtypes) == 1 else "float32",
    }
