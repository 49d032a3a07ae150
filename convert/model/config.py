"""What a checkpoint states beside its weights: the model's sizes, and what its output depends on.

Two kinds of configuration are known, told apart by their keys: OpenAI's ``hparams.json``, which has
sizes and nothing else, and Hugging Face's ``config.json``, which also says how the model computes.
The schema file has the keys of both, GPT-2's values, and those that no other may take the place of.
"""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import TYPE_CHECKING

from ..errors import FormatError, UnsupportedError, UsageError
from ..quoting import clip
from .family import evaluate
from .schema import load_family

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Final

    from ..checkpoint.canonical import Checkpoint
    from ..checkpoint.raw import RawCheckpoint
    from .family import Family
    from .names import Match

HUGGINGFACE: Final = "hf"
"""The configuration, among the schema's, that states more than sizes."""
MODEL_TYPE: Final = "model_type"
_MAX_SIZE: Final = 1 << 31
"""TensorFlow's and NumPy's shapes are far from this; a larger hparam is a mistake."""
_KINDS: Final = {bool: "true or false", float: "a number", str: "a string"}


def config_name(raw: RawCheckpoint) -> str:
    """Return where the sizes of ``raw`` are stated."""
    return raw.config.where if raw.config else "the shapes"


def read_sizes(raw: RawCheckpoint, family: Family) -> dict[str, int] | None:
    """Return the sizes that a checkpoint states, or None if it states none.

    Raises:
        FormatError: one is missing or no size, or another field has no sense.
        UnsupportedError: they are those of another kind of model.
    """
    if raw.config is None:
        return None
    where, fields = raw.config.where, raw.config.fields()
    kind = fields.get(MODEL_TYPE, family.name)
    if kind != family.name:
        raise UnsupportedError(
            f"{where}: model_type is {clip(repr(kind))}, and only {family.name!r} is known"
        )
    column = _choose_column(fields, family)
    sizes: dict[str, int] = {}
    for size, key in family.configs[column].items():
        if key not in fields:
            if size in family.optional_sizes:
                continue
            raise FormatError(
                f"{where}: {key!r} is missing; state it, or remove the file to take "
                "the sizes from the tensors"
            )
        value = fields[key]
        # bool is an int in Python, but no size.
        if type(value) is not int or not 0 < value < _MAX_SIZE:
            large = type(value) is int and value > 0
            raise FormatError(
                f"{where}: {key!r}: a positive whole number expected, found {clip(repr(value))}"
                + (f"; {_MAX_SIZE:,} and more is no size" if large else "")
            )
        sizes[size] = value
    if sizes.get("n_head") and sizes["n_embd"] % sizes["n_head"]:
        raise FormatError(
            f"{where}: n_embd {sizes['n_embd']} is no multiple of n_head {sizes['n_head']}"
        )
    if column == HUGGINGFACE:
        _check_behaviour(fields, family, where)
        _check_constants(fields, family, sizes, where)
    return sizes


def read_behaviour(raw: RawCheckpoint, family: Family) -> dict[str, object]:
    """Return what the output depends on and no weight shows, by the keys of config.json.

    Where nothing is stated it is the family's own. The fields are to be checked: by read_sizes.
    """
    fields = raw.config.fields() if raw.config else {}
    if _choose_column(fields, family) != HUGGINGFACE:
        return dict(family.behaviour)
    return {key: fields.get(key, value) for key, value in family.behaviour.items()}


def carry_config(
    raw: RawCheckpoint, family: Family, sizes: Mapping[str, int]
) -> dict[str, object] | None:
    """Return all of the source's config.json with the sizes that are known, None if it has none."""
    fields = raw.config.fields() if raw.config else {}
    if _choose_column(fields, family) != HUGGINGFACE:
        return None
    return fields | state_sizes(sizes, family)


def state_sizes(sizes: Mapping[str, int], family: Family) -> dict[str, int]:
    """Return the sizes under the keys of config.json."""
    keys = family.configs[HUGGINGFACE]
    return {keys[size]: value for size, value in sizes.items()}


def sizes_from_shapes(found: Match, family: Family) -> dict[str, int]:
    """Return the sizes that stand alone as a dimension of a tensor outside the layers."""
    sizes = {"n_layer": found.n_layer}
    for slot in family.slots(0, found.spelling):
        _, tensor = found.tensors.get(slot.name, (slot, None))
        if tensor and len(tensor.shape) == len(slot.row.shape):
            for words, dim in zip(slot.row.shape, tensor.shape, strict=True):
                if len(words) == 1 and words[0] in family.required_sizes:
                    sizes.setdefault(words[0], dim)
    return sizes


def state_heads(checkpoint: Checkpoint, n_head: int) -> Checkpoint:
    """Return the checkpoint with the number of heads stated, where its source does not say.

    Raises:
        UsageError: the source says another number, or n_embd is no multiple of this one.
    """
    hparams, where = checkpoint.hparams, checkpoint.raw.where
    if hparams.n_head not in (None, n_head):
        raise UsageError(
            f"{where}: n_head {n_head} was asked for, but {checkpoint.hparams_from} says "
            f"{hparams.n_head}"
        )
    if n_head < 1 or hparams.n_embd % n_head:
        raise UsageError(f"{where}: n_head {n_head} does not divide n_embd {hparams.n_embd}")
    config = checkpoint.config
    if config is not None:
        config = {**config, **state_sizes({"n_head": n_head}, load_family())}
    return replace(checkpoint, hparams=replace(hparams, n_head=n_head), config=config)


def _choose_column(fields: Mapping[str, object], family: Family) -> str:
    """Return the name of the configuration that has most of the keys."""
    if MODEL_TYPE in fields:
        return HUGGINGFACE
    columns = family.configs
    return max(columns, key=lambda name: len(fields.keys() & columns[name].values()))


def _check_behaviour(fields: Mapping[str, object], family: Family, where: str) -> None:
    for key, own in family.behaviour.items():
        value = fields.get(key, own)
        number = type(value) is int or (isinstance(value, float) and math.isfinite(value))
        if not (number if isinstance(own, float) else type(value) is type(own)):
            raise FormatError(
                f"{where}: {key!r}: {_KINDS[type(own)]} expected, found {clip(repr(value))}"
            )


def _check_constants(
    fields: Mapping[str, object], family: Family, sizes: Mapping[str, int], where: str
) -> None:
    for key, constant in family.constants.items():
        value = fields.get(key)
        if value is None:
            continue
        if isinstance(constant, bool):
            expected: object = constant
            text = json.dumps(constant)
        else:
            (expected,) = evaluate((constant,), sizes) or (None,)
            text = "*".join(constant) + (f" = {expected}" if expected else "")
        if value != expected:
            raise UnsupportedError(
                f"{where}: {key!r}: {text} expected, found {clip(repr(value))}; "
                "no other model is handled"
            )
