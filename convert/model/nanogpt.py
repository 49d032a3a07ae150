"""nanoGPT's ``model_args``, the configuration that its ``ckpt.pt`` has beside the weights.

They have the sizes, the dropout, and whether there are biases. Which activation the model has is in
nanoGPT's code and not in its files: since June 2023 that is torch's GELU, the exact one, which
config.json calls ``gelu``, and before it was GPT-2's own. Files of before 2023 are told by what
they lack, ``bias``. Source: karpathy/nanoGPT, model.py and train.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import FormatError, UnsupportedError
from ..quoting import clip, quote_some

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Final

    from .family import Family

NANOGPT: Final = "nanogpt"
"""The kind of configuration, among the schema's."""
BIAS: Final = "bias"
DROPOUT: Final = "dropout"
_ACTIVATION: Final = "activation_function"
_EXACT: Final = "gelu"
_DROPOUTS: Final = ("attn_pdrop", "embd_pdrop", "resid_pdrop")
"""The fields of config.json that nanoGPT's dropout is, all three of them."""


@dataclass(frozen=True, slots=True)
class ModelArgs:
    """What they say beside sizes: behaviour, other fields of config.json, and what is to be told.

    The behaviour is nanoGPT's own and stated nowhere.
    """

    behaviour: Mapping[str, object]
    fields: Mapping[str, object]
    notes: tuple[str, ...]


def is_model_args(fields: Mapping[str, object], family: Family) -> bool:
    """Whether a configuration is nanoGPT's: it has the keys that no other kind has."""
    ours = set(family.configs[NANOGPT].values())
    others = {
        key
        for kind, keys in family.configs.items()
        if kind != NANOGPT
        for key in keys.values()
    }  # fmt: skip
    return not (ours - others).isdisjoint(fields) and not (others - ours) & fields.keys()


def read_model_args(fields: Mapping[str, object], family: Family, where: str) -> ModelArgs:
    """Return what nanoGPT's configuration says beside sizes.

    Raises:
        UnsupportedError: the model has no biases.
        FormatError: a field has no sense.
    """
    bias = fields.get(BIAS, True)
    if not isinstance(bias, bool):
        raise FormatError(f"{where}: {BIAS!r}: true or false expected, found {clip(repr(bias))}")
    if not bias:
        raise UnsupportedError(
            f"{where}: {BIAS!r} is false: a nanoGPT model without biases, and a GPT-2 has them in "
            "every layer; nothing is made up for them"
        )
    behaviour = dict(family.behaviour)
    notes: list[str] = []
    if BIAS in fields:
        own = behaviour[_ACTIVATION]
        behaviour[_ACTIVATION] = _EXACT
        notes.append(
            f"{where} does not say which GELU the model has: taken is {_EXACT!r}, nanoGPT's since "
            f"June 2023; where it was trained before, it is {own!r}"
        )
    known = {*family.configs[NANOGPT].values(), BIAS, DROPOUT}
    if unknown := sorted(fields.keys() - known):
        notes.append(
            f"{where} states {quote_some(unknown)}, which nanoGPT does not have: whoever goes by "
            "that may compute otherwise"
        )
    dropout = fields.get(DROPOUT)
    if dropout is not None and (type(dropout) not in (int, float) or not 0 <= dropout <= 1):  # type: ignore[operator]
        raise FormatError(
            f"{where}: {DROPOUT!r}: a number from 0 to 1 expected, found {clip(repr(dropout))}"
        )
    dropouts = {} if dropout is None else dict.fromkeys(_DROPOUTS, dropout)
    return ModelArgs(behaviour, dropouts, tuple(notes))
