"""What a checkpoint states beside its weights: the model's sizes, and what its output depends on.

Three kinds of configuration are known. OpenAI's ``hparams.json`` has sizes and nothing else.
Hugging Face's ``config.json`` also says how the model computes; it is told by its model_type, or by
any key that only it has. nanoGPT's ``model_args`` are :mod:`.nanogpt`. The schema file has the
keys of all, GPT-2's values, and those that no other may take the place of. Several configurations
of one checkpoint have to agree.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import FormatError, UnsupportedError
from ..quoting import clip, quote
from .family import evaluate
from .nanogpt import NANOGPT, is_model_args, read_model_args

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Final, NoReturn

    from ..checkpoint.raw import RawCheckpoint, RawConfig
    from .family import Family
    from .nanogpt import ModelArgs


HUGGINGFACE: Final = "hf"
OPENAI: Final = "openai"
"""The kinds of configuration, among the schema's."""
MODEL_TYPE: Final = "model_type"
TIED: Final = "tie_word_embeddings"
"""Which hparams alone do not imply: whether there is a head shows in the tensors."""
DTYPES: Final = ("dtype", "torch_dtype")
"""The keys under which config.json says of which type the weights are, the present one first."""
_MAX_SIZE: Final = 1 << 31
"""TensorFlow's and NumPy's shapes are far from this; a larger hparam is a mistake."""


_KINDS: Final = {bool: "true or false", float: "a number", str: "a string"}


@dataclass(frozen=True, slots=True)
class Stated:
    """What the configurations of a checkpoint state together.

    ``sizes`` and ``behaviour`` are by the schema's names; ``implied`` is the behaviour that holds
    because a configuration that could state it does not. ``places`` and ``keys`` are the file and
    the key of each. ``document`` is a whole config.json, if one of the configurations is one, or
    says what one would. ``notes`` are what should be known of them.
    """

    sizes: Mapping[str, int]
    behaviour: Mapping[str, object]
    implied: Mapping[str, object]
    dtype: str | None
    places: Mapping[str, str]
    keys: Mapping[str, str]
    document: Mapping[str, object] | None
    notes: tuple[str, ...] = ()

    @property
    def where(self) -> str:
        """The files that state sizes."""
        return " and ".join(dict.fromkeys(self.places[size] for size in self.sizes))


def read_stated(raw: RawCheckpoint, family: Family) -> Stated | None:
    """Return what a checkpoint states, or None if it states nothing.

    Raises:
        FormatError: a size is missing or none, another field has no sense, or two contradict.
        UnsupportedError: it is stated of another kind of model.
    """
    stated: Stated | None = None
    for config in raw.configs:
        if config.as_is:
            config.fields()  # damage is an error here, too
            continue
        more = _read_one(config, family)
        stated = more if stated is None else _join(stated, more)
    if stated is None:
        return None
    where, sizes = stated.where, stated.sizes
    if "n_head" in sizes and sizes["n_embd"] % sizes["n_head"]:
        raise FormatError(
            f"{where}: n_embd {sizes['n_embd']} is no multiple of n_head {sizes['n_head']}"
        )
    return stated


def _read_one(raw: RawConfig, family: Family) -> Stated:
    """Return what one configuration states, every field of it checked."""
    where, fields = raw.where, raw.fields()
    kind = fields.get(MODEL_TYPE, family.name)
    if kind != family.name:
        raise UnsupportedError(
            f"{where}: model_type is {clip(repr(kind))}, and only {family.name!r} is known"
        )
    is_model = is_model_args(fields, family)
    is_document = not is_model and _is_document(fields, family)
    column = NANOGPT if is_model else HUGGINGFACE if is_document else OPENAI
    aliases = family.aliases if is_document else {}
    sizes: dict[str, int] = {}
    keys: dict[str, str] = {}
    for size, usual in family.configs[column].items():
        for key in (usual, *(alias for alias, other in aliases.items() if other == size)):
            if key not in fields or (fields[key] is None and size in family.defaults):
                continue
            value = _read_size(fields[key], f"{where}: {key!r}")
            if sizes.setdefault(size, value) != value:
                raise FormatError(
                    f"{where}: {keys[size]!r} is {sizes[size]}, but {key!r} is {value}; mend one"
                )
            keys.setdefault(size, key)
        if size not in sizes and size in family.required_sizes:
            other = "or remove the file to take the sizes from the tensors"
            way = "save it with the others" if is_model else f"state it, {other}"
            raise FormatError(f"{where}: {usual!r} is missing; {way}")
    behaviour: dict[str, object] = {}
    dtype = None
    if is_document:
        behaviour = _read_behaviour(fields, family, where)
        dtype = _read_dtype(fields, where)
        _check_constants(fields, family, sizes, where)
    assumed = {
        size: value
        for size, value in (family.assumed.items() if is_document else ())
        # Where it cannot be, whoever loads the model has to be told.
        if size not in sizes and sizes["n_embd"] % value == 0
    }
    implied: dict[str, object] = {
        key: value
        for key, value in family.behaviour.items()
        if (is_document or (raw.complete and key != TIED)) and key not in behaviour
    }
    implied |= assumed
    sizes |= assumed
    document: dict[str, object] | None = fields if is_document else None
    notes: tuple[str, ...] = ()
    if is_model:
        args = read_model_args(fields, family, where)
        implied |= args.behaviour
        document = _write_document(sizes, args, family)
        notes = args.notes
    known = [*sizes, *behaviour, *implied, *(["dtype"] if dtype else [])]
    known += ["document"] if document is not None else []
    return Stated(
        sizes=sizes,
        behaviour=behaviour,
        implied=implied,
        dtype=dtype,
        places=dict.fromkeys(known, where),
        keys={name: name for name in (*behaviour, *implied, "dtype")} | keys,
        document=document,
        notes=notes,
    )


def _write_document(sizes: Mapping[str, int], args: ModelArgs, family: Family) -> dict[str, object]:
    """Return the config.json that says what nanoGPT's configuration does."""
    named = {family.configs[HUGGINGFACE][size]: value for size, value in sizes.items()}
    return {MODEL_TYPE: family.name, **named, **args.behaviour, **args.fields}


def _join(first: Stated, second: Stated) -> Stated:
    """Return what two configurations state together.

    Raises:
        FormatError: they contradict each other.
    """
    ours: dict[str, object] = {**first.sizes, **first.behaviour, **first.implied}
    theirs: dict[str, object] = {**second.sizes, **second.behaviour, **second.implied}
    for name in ours.keys() & theirs.keys():
        if ours[name] != theirs[name]:
            _refuse_pair(_tell(first, name, ours[name]), _tell(second, name, theirs[name]))
    if first.dtype and second.dtype and first.dtype != second.dtype:
        _refuse_pair(_tell(first, "dtype", first.dtype), _tell(second, "dtype", second.dtype))
    if first.document is not None and second.document is not None:
        for key in first.document.keys() & second.document.keys() - {*DTYPES, "architectures"}:
            one, other = first.document[key], second.document[key]
            if one != other:
                place, where = first.places["document"], second.places["document"]
                _refuse_pair(
                    f"{place}: {quote(key)} is {clip(repr(one))}",
                    f"{where}: {quote(key)} is {clip(repr(other))}",
                )
    return Stated(
        sizes={**second.sizes, **first.sizes},
        behaviour={**second.behaviour, **first.behaviour},
        implied={**second.implied, **first.implied},
        dtype=first.dtype or second.dtype,
        places={**second.places, **first.places},
        keys={**second.keys, **first.keys},
        document=first.document if first.document is not None else second.document,
        notes=(*first.notes, *second.notes),
    )


def _refuse_pair(first: str, second: str) -> NoReturn:
    raise FormatError(f"{first}, but {second}; mend one of them, or remove it")


def _tell(stated: Stated, name: str, value: object) -> str:
    by_default = " by default" if name in stated.implied else ""
    return f"{stated.places[name]}: {stated.keys[name]!r} is {clip(repr(value))}{by_default}"


def _is_document(fields: Mapping[str, object], family: Family) -> bool:
    """Whether it is a config.json of Hugging Face's."""
    theirs = {MODEL_TYPE, "architectures", *family.aliases, *family.behaviour}
    theirs |= set(family.configs[HUGGINGFACE].values()) - set(family.configs[OPENAI].values())
    return not theirs.isdisjoint(fields)


def _read_size(value: object, place: str) -> int:
    # bool is an int in Python, but no size.
    if type(value) is int and 0 < value < _MAX_SIZE:
        return value
    large = type(value) is int and value > 0
    raise FormatError(
        f"{place}: a positive whole number expected, found {clip(repr(value))}"
        + (f"; {_MAX_SIZE:,} and more is no size" if large else "")
    )


def _read_behaviour(fields: Mapping[str, object], family: Family, where: str) -> dict[str, object]:
    behaviour: dict[str, object] = {}
    for key, own in family.behaviour.items():
        if key not in fields:
            continue
        value = fields[key]
        if isinstance(own, float):
            if type(value) is int:
                value = float(value)  # the same number, with or without a point
            right = isinstance(value, float) and math.isfinite(value)
        else:
            right = type(value) is type(own)
        if not right:
            raise FormatError(
                f"{where}: {key!r}: {_KINDS[type(own)]} expected, found {clip(repr(value))}"
            )
        behaviour[key] = value
    return behaviour


def _read_dtype(fields: Mapping[str, object], where: str) -> str | None:
    found: dict[str, str] = {}
    for key in DTYPES:
        value = fields.get(key)
        if value is not None and not isinstance(value, str):
            raise FormatError(f"{where}: {key!r}: a string expected, found {clip(repr(value))}")
        if value is not None:
            found[key] = value
    if len(set(found.values())) > 1:
        told = ", but ".join(f"{key!r} is {clip(repr(value))}" for key, value in found.items())
        raise FormatError(f"{where}: {told}; mend one")
    return next(iter(found.values()), None)


def _check_constants(
    fields: Mapping[str, object], family: Family, sizes: Mapping[str, int], where: str
) -> None:
    for key, constant in family.constants.items():
        value = fields.get(key)
        if value is None:
            continue
        found = f"found {clip(repr(value))}"
        if isinstance(constant, bool):
            if value != constant:
                raise UnsupportedError(
                    f"{where}: {key!r}: {json.dumps(constant)} expected, {found}; "
                    "no other model is handled"
                )
            continue
        (expected,) = evaluate((constant,), sizes) or (None,)
        if value != expected:
            text = "*".join(constant) + (f" = {expected}" if expected else "")
            raise FormatError(f"{where}: {key!r}: {text} expected, {found}; mend one of them")
