"""How a text goes on: ids as they come, and why there are no more."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from ..errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .model import Model


class EndedBy(StrEnum):
    """Why a text goes on no further."""

    COUNT = "n"
    END_OF_TEXT = "end_of_text"
    CONTEXT = "n_ctx"


class Continuation:
    """The ids with which a model goes on; to be iterated over once.

    They end after ``n``, before the id ``end_of_text``, or where prompt and ids fill n_ctx, the
    context of the model. ``ids`` are those that have come so far; ``ended_by`` is None until there
    are no more.
    """

    def __init__(
        self,
        model: Model,
        prompt: Sequence[int],
        n: int,
        *,
        end_of_text: int | None = None,
        temperature: float = 0.0,
        top_k: int | None = None,
        top_p: float | None = None,
        seed: int | None = None,
    ) -> None:
        """Prepare to go on after ``prompt``; the keywords are those of :meth:`.Model.generate`.

        Raises:
            UsageError: the prompt is empty or leaves no room in n_ctx; or as there.
        """
        if not prompt:
            raise UsageError("the prompt is empty; a model goes on with what there is")
        n_ctx = model.config.n_ctx
        room = n_ctx - len(prompt)
        if room < min(n, 1):
            raise UsageError(
                f"the prompt is {len(prompt):,} tokens long, and n_ctx {n_ctx:,} has no room for "
                "more; make it shorter"
            )
        self.ids: list[int] = []
        self.ended_by: EndedBy | None = None
        self._at_last = EndedBy.COUNT if n <= room else EndedBy.CONTEXT
        self._end_of_text = end_of_text
        self._generated = model.generate(
            prompt, min(n, room), temperature=temperature, top_k=top_k, top_p=top_p, seed=seed
        )

    def __iter__(self) -> Iterator[int]:
        for each in self._generated:
            if each == self._end_of_text:
                self.ended_by = EndedBy.END_OF_TEXT
                return
            self.ids.append(each)
            yield each
        self.ended_by = self._at_last
