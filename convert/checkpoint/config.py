"""The configuration of a GPT-2: its sizes, and what its output depends on and no weight shows."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING

from .hparams import HParams

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Config:
    """Sizes and behaviour under the names that the schema file and transformers have for them.

    ``n_head`` is None where nothing states it: no shape depends on it. Behaviour that is not stated
    is GPT-2's own. ``tie_word_embeddings`` says whether the output goes through ``wte``, without a
    head of its own; None where there is a head whose values were not looked at. ``dtype`` is what a
    config.json says of the type of the weights, None where none does.

    ``stated_in`` says which file stated a field; what is not in it follows from the shapes, or is
    GPT-2's own. ``document`` is the whole config.json where the source is a Hugging Face model, or
    was once made from one, with the sizes that are known; else None.
    """

    n_vocab: int
    n_ctx: int
    n_embd: int
    n_head: int | None
    n_layer: int
    n_inner: int
    activation_function: str = "gelu_new"
    layer_norm_epsilon: float = 1e-5
    scale_attn_weights: bool = True
    scale_attn_by_inverse_layer_idx: bool = False
    tie_word_embeddings: bool | None = True
    dtype: str | None = None
    stated_in: Mapping[str, str] = field(default_factory=dict, repr=False)
    document: Mapping[str, object] | None = field(default=None, repr=False)

    @property
    def hparams(self) -> HParams:
        """The sizes that OpenAI's hparams.json has."""
        return HParams(self.n_vocab, self.n_ctx, self.n_embd, self.n_head, self.n_layer)

    def effective(self) -> dict[str, object]:
        """Return what decides the output, by name: the sizes and all of the behaviour."""
        names = [each.name for each in fields(self)]
        return {name: getattr(self, name) for name in names[: names.index("dtype")]}

    def unusual(self) -> dict[str, object]:
        """Return what is not GPT-2's own, by name: of the behaviour, and n_inner."""
        behaviour = {
            each.name: getattr(self, each.name)
            for each in fields(self)
            if isinstance(each.default, str | bool | float)
            and getattr(self, each.name) not in (each.default, None)
        }
        return {
            **({} if self.n_inner == 4 * self.n_embd else {"n_inner": self.n_inner}),
            **behaviour,
        }

    def as_json(self) -> dict[str, object]:
        """Return the configuration as it stands in a report."""
        return {**self.effective(), "dtype": self.dtype}

    def places(self) -> dict[str, str | None]:
        """Return the file that states each of these fields, None where none does."""
        return {name: self.stated_in.get(name) for name in self.as_json()}
