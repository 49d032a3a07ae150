"""config.json is the source's own or GPT-2's, and stands in a file only where it adds something."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from support import raws

from gpt2_convert import Checkpoint, UnsupportedError
from gpt2_convert.model.adopt import adopt
from gpt2_convert.model.document import ARCHITECTURES, build_document, find_document

if TYPE_CHECKING:
    from typing import Any

SIZES = {"n_embd": 32, "n_head": 4, "n_layer": 3, "n_positions": 16, "vocab_size": 61}
WHOLE = {**SIZES, "model_type": "gpt2", "architectures": ARCHITECTURES, "tie_word_embeddings": True}


def checkpoint(document: dict[str, Any] | None, **config: object) -> Checkpoint:
    made = adopt(raws.raw(raws.huggingface(), {**SIZES, "n_ctx": 16, "n_vocab": 61}))
    return replace(made, config=replace(made.config, document=document, **config))  # type: ignore[arg-type]


def test_without_one_of_the_source_s_it_has_gpt2_s_values_and_the_sizes() -> None:
    made = build_document(checkpoint(None))
    assert {key: made[key] for key in WHOLE} == WHOLE
    assert (made["attn_pdrop"], made["n_ctx"], made["dtype"]) == (0.1, 16, "float32")
    assert find_document(checkpoint(None)) is None


def test_one_of_the_source_s_gets_no_field_that_it_did_not_have() -> None:
    own = {**SIZES, "attn_pdrop": 0.5, "labels": {"b": 1, "a": 2}}
    assert build_document(checkpoint(own)) == {**WHOLE, **own}
    # What it says of the class, and an older name of a size, is true of what is written.
    own |= {"architectures": ["GPT2Model"], "n_ctx": 99}
    made = build_document(checkpoint(own))
    assert (made["architectures"], made["n_ctx"]) == (ARCHITECTURES, 16)


def test_what_follows_from_the_sizes_is_not_kept_and_all_else_is() -> None:
    implied = build_document(checkpoint(None))
    assert find_document(checkpoint(implied)) is None
    changes: tuple[dict[str, object], ...] = ({"attn_pdrop": 0.2}, {"labels": {}}, {"use_cache": 1})
    for more in changes:
        assert find_document(checkpoint({**implied, **more})) == {**implied, **more}
    relu = {**implied, "activation_function": "relu"}
    assert find_document(checkpoint(relu, activation_function="relu")) == relu


def test_it_comes_back_in_one_order_and_is_its_own_document() -> None:
    own = {"labels": {"b": 1, "a": 2}, **SIZES}
    found = find_document(checkpoint(own))
    assert found is not None
    assert json.dumps(found) == json.dumps(found, sort_keys=True)
    assert find_document(checkpoint(dict(found))) == found


def test_without_a_number_of_heads_there_is_none_to_write() -> None:
    headless = checkpoint(None, n_head=None)
    with pytest.raises(UnsupportedError, match="n_head is unknown"):
        build_document(headless)
    assert find_document(headless) is None


def test_the_dtype_is_that_of_the_tensors() -> None:
    half = checkpoint(None)
    tensors = {
        name: raws.lazy(name, np.zeros(each.shape, np.float16)) for name, each in half.items()
    }
    assert build_document(replace(half, tensors=tensors))["dtype"] == "float16"
