"""A text goes on until it is long enough, at its end, or as long as the context."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support import oracle
from support.models import make_model

from gpt2_convert.errors import UsageError
from gpt2_convert.inference.continuation import Continuation, EndedBy

if TYPE_CHECKING:
    from gpt2_convert.inference.model import Model

PROMPT = [5, 44, 60]


@pytest.fixture
def model() -> Model:
    """It has room for 16 tokens."""
    return make_model()


@pytest.fixture
def text() -> list[int]:
    return oracle.greedy(oracle.weights(), PROMPT, 13)


def test_it_ends_after_the_number_of_ids_that_was_asked_for(model: Model, text: list[int]) -> None:
    continuation = Continuation(model, PROMPT, 4)
    assert (continuation.ids, continuation.ended_by) == ([], None)
    assert list(continuation) == continuation.ids == text[:4]
    assert continuation.ended_by is EndedBy.COUNT


def test_it_ends_before_the_end_of_the_text(model: Model, text: list[int]) -> None:
    end = text[3]
    continuation = Continuation(model, PROMPT, 10, end_of_text=end)
    assert list(continuation) == text[: text.index(end)]
    assert continuation.ended_by is EndedBy.END_OF_TEXT


@pytest.mark.parametrize(("n", "ended_by"), [(13, EndedBy.COUNT), (14, EndedBy.CONTEXT)])
def test_it_ends_where_the_context_is_full(
    model: Model, text: list[int], n: int, ended_by: EndedBy
) -> None:
    continuation = Continuation(model, PROMPT, n)
    assert list(continuation) == text
    assert continuation.ended_by is ended_by


def test_ids_that_have_come_are_there_while_it_goes_on(model: Model, text: list[int]) -> None:
    continuation = Continuation(model, PROMPT, 5)
    for number, _ in enumerate(continuation, start=1):
        assert continuation.ids == text[:number]
        assert continuation.ended_by is None


def test_ids_are_drawn_as_they_are_by_the_model(model: Model) -> None:
    keywords = {"temperature": 1.5, "top_k": 20, "top_p": 0.9, "seed": 3}
    drawn = list(Continuation(model, PROMPT, 9, **keywords))  # type: ignore[arg-type]
    assert drawn == list(model.generate(PROMPT, 9, **keywords))  # type: ignore[arg-type]


def test_nothing_may_be_asked_for(model: Model) -> None:
    assert list(Continuation(model, PROMPT, 0)) == []
    assert list(Continuation(model, [1] * 16, 0)) == []


@pytest.mark.parametrize(
    ("prompt", "n", "message"),
    [
        ([], 1, "the prompt is empty; a model goes on with what there is"),
        ([1] * 16, 1, "the prompt is 16 tokens long, and n_ctx 16 has no room for more"),
        ([1] * 2000, 1, "the prompt is 2,000 tokens long, and n_ctx 16 has no room for more"),
        ([1] * 17, 0, "the prompt is 17 tokens long, and n_ctx 16 has no room for more"),
        ([61], 1, "m: id 61 at place 0 is not in the vocabulary"),
        ([1], -1, "n: a number of ids expected, found -1"),
    ],
)
def test_a_prompt_that_cannot_go_on_is_misuse_at_once(
    model: Model, prompt: list[int], n: int, message: str
) -> None:
    with pytest.raises(UsageError) as caught:
        Continuation(model, prompt, n)
    assert str(caught.value).startswith(message)
