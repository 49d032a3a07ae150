"""The configuration of a checkpoint: built from what is stated, changed with it, stated again."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from ..checkpoint.config import Config
from ..errors import UsageError
from ..quoting import clip, quote
from .family import evaluate
from .schema import load_family
from .stated import DTYPES, HUGGINGFACE, TIED

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Final

    from ..checkpoint.canonical import Checkpoint
    from ..tensors.dtype import DType
    from .family import Family
    from .stated import Stated

_CLASSES: Final = {
    "GPT2Model", "GPT2LMHeadModel", "GPT2DoubleHeadsModel", "GPT2ForSequenceClassification",
    "GPT2ForTokenClassification", "GPT2ForQuestionAnswering", "TFGPT2Model", "TFGPT2LMHeadModel",
}  # fmt: skip
"""The classes of transformers that compute as GPT-2 does, up to their heads."""
THE_SHAPES: Final = "the shapes"
"""What states the sizes where nothing else does."""


def complete_sizes(sizes: Mapping[str, int], family: Family) -> dict[str, int]:
    """Return the sizes with those that follow from the others where they are not stated."""
    completed = dict(sizes)
    for size, product in family.defaults.items():
        if size not in completed and (found := evaluate((product,), sizes)):
            (completed[size],) = found
    return completed


def build_config(sizes: Mapping[str, int], stated: Stated | None, family: Family) -> Config:
    """Return the configuration of a model of these sizes; all else is as it is stated."""
    values: dict[str, object] = {**dict.fromkeys(family.optional_sizes), **sizes}
    if stated is None:
        return Config(**(dict(family.behaviour) | values))  # type: ignore[arg-type]
    document = stated.document
    if document is not None:
        document = {**document, **state_sizes(sizes, family)}
    behaviour = {**family.behaviour, **stated.implied, **stated.behaviour}
    return Config(
        **(behaviour | values),  # type: ignore[arg-type]
        dtype=stated.dtype,
        stated_in={key: where for key, where in stated.places.items() if key not in stated.implied},
        document=document,
    )


def state_sizes(sizes: Mapping[str, int], family: Family) -> dict[str, int]:
    """Return the sizes under the keys of config.json, without those that follow from others."""
    keys = family.configs[HUGGINGFACE]
    implied = complete_sizes(
        {size: value for size, value in sizes.items() if size not in family.defaults}, family
    )
    return {
        keys[size]: value
        for size, value in sizes.items()
        if size not in family.defaults or value != implied.get(size)
    }


def state_hparams(config: Config) -> dict[str, int]:
    """Return the sizes as hparams.json has them, and those that it would not imply."""
    family = load_family()
    known = config.hparams.known()
    implied = complete_sizes(known, family)
    return known | {
        size: getattr(config, size)
        for size in family.defaults
        if getattr(config, size) != implied[size]
    }


def state_heads(checkpoint: Checkpoint, n_head: int) -> Checkpoint:
    """Return the checkpoint with the number of heads stated, where its source does not say.

    Raises:
        UsageError: the source says another number, or n_embd is no multiple of this one.
    """
    config, where = checkpoint.config, checkpoint.raw.where
    if config.n_head not in (None, n_head):
        stated = config.stated_in
        said = "says" if "n_head" in stated else "by default means"
        place = stated["n_head" if "n_head" in stated else "document"]
        raise UsageError(
            f"{where}: n_head {n_head} was asked for, but {place} {said} {config.n_head}"
        )
    if n_head < 1 or config.n_embd % n_head:
        raise UsageError(f"{where}: n_head {n_head} does not divide n_embd {config.n_embd}")
    return replace(checkpoint, config=_change(config, n_head=n_head))


def state_dtype(config: Config, dtype: DType) -> Config:
    """Return the configuration of weights that were cast to ``dtype``."""
    if config.document is None:
        return config
    document = {key: value for key, value in config.document.items() if key not in DTYPES}
    return replace(
        config,
        dtype=dtype.value,
        stated_in={key: where for key, where in config.stated_in.items() if key != "dtype"},
        document={**document, DTYPES[0]: dtype.value},
    )


def settle_config(checkpoint: Checkpoint, *, look: bool = True) -> Checkpoint:
    """Return the checkpoint with a configuration that says what its weights are, and notes of it.

    Whether the head is tied is what the weights show, whatever was stated. The stated dtype stays,
    since whoever loads the model casts to it, with a note where the weights are of another. Where
    nobody has looked at a head, it is unknown whether it is tied, and a note says so.
    """
    config = checkpoint.config
    tied: bool | None = "lm_head.w" not in checkpoint
    notes = list(checkpoint.notes)
    if not tied and not look:
        tied = None
        name = quote(checkpoint["lm_head.w"].source_name)
        notes.append(f"whether {name} is tied to wte shows in its values, which were not looked at")
    elif config.document is not None and tied != config.document.get(TIED, True):
        head = "the output goes through wte" if tied else "the head differs from wte"
        said = json.dumps(config.document.get(TIED, True))
        place = config.stated_in.get(TIED, f"{config.stated_in['document']}, by default,")
        notes.append(f"{place} says {TIED} {said}, but {head}: it becomes {json.dumps(tied)}")
        config = replace(
            config,
            stated_in={key: where for key, where in config.stated_in.items() if key != TIED},
            document={**config.document, TIED: tied},
        )
    notes += _note_loading(config)
    dtypes = {tensor.dtype.value for tensor in checkpoint.values()}
    if config.dtype is not None and dtypes != {config.dtype}:
        notes.append(
            f"{config.stated_in.get('dtype', THE_SHAPES)} says dtype {clip(config.dtype)}, but the "
            f"weights are {' and '.join(sorted(dtypes))}"
        )
    return replace(checkpoint, config=replace(config, tie_word_embeddings=tied), notes=tuple(notes))


def _note_loading(config: Config) -> list[str]:
    """Return what to say of a model that is computed by other code than GPT-2's own."""
    document = config.document or {}
    stated = sorted(load_family().loading & {key for key in document if document[key]})
    classes = document.get("architectures") or []
    if isinstance(classes, list) and not {*map(str, classes)} <= _CLASSES:
        stated.append("architectures")
    return [
        f"{config.stated_in['document']} states {key} {clip(json.dumps(document[key]))}: "
        "whoever goes by that may compute otherwise"
        for key in stated
    ]


def _change(config: Config, n_head: int) -> Config:
    document = config.document
    if document is not None:
        document = {**document, **state_sizes({"n_head": n_head}, load_family())}
    return replace(config, n_head=n_head, document=document)
