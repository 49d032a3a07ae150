"""The sizes of a GPT-2."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class HParams:
    """The sizes of a GPT-2: vocabulary, context, width, heads, layers.

    ``n_head`` is None where nothing states it: no shape depends on it.
    """

    n_vocab: int
    n_ctx: int
    n_embd: int
    n_head: int | None
    n_layer: int

    def known(self) -> dict[str, int]:
        """Return what is known, in OpenAI's order and with OpenAI's keys."""
        return {key: value for key, value in asdict(self).items() if value is not None}
