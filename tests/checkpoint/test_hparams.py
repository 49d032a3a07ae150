"""The sizes: OpenAI's keys, in OpenAI's order, and nothing that is not known."""

from __future__ import annotations

import dataclasses

import pytest

from gpt2_convert.checkpoint.hparams import HParams

SMALL = HParams(n_vocab=50257, n_ctx=1024, n_embd=768, n_head=12, n_layer=12)


def test_what_is_known_has_the_keys_and_order_of_openai_s_file() -> None:
    # openai/gpt-2, models/124M/hparams.json
    expected = {"n_vocab": 50257, "n_ctx": 1024, "n_embd": 768, "n_head": 12, "n_layer": 12}
    assert list(SMALL.known().items()) == list(expected.items())


def test_heads_that_nothing_states_are_left_out() -> None:
    known = dataclasses.replace(SMALL, n_head=None).known()
    assert list(known) == ["n_vocab", "n_ctx", "n_embd", "n_layer"]


def test_sizes_are_values() -> None:
    assert dataclasses.replace(SMALL) == SMALL
    assert len({SMALL, dataclasses.replace(SMALL), dataclasses.replace(SMALL, n_head=6)}) == 2
    with pytest.raises(dataclasses.FrozenInstanceError):
        SMALL.n_head = 1  # type: ignore[misc]
