"""Digests: those of weights, configuration and model are what sha256sum gives for the lines."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
from support.documents import assert_valid
from support.reports import DIGESTS, FINDINGS, SOURCE

LINES = (
    f"{'0' * 64}  wte float32 [2, 3]\n"
    f"{'f' * 63}1  ln_f.g bfloat16 [2]\n"
    f"{'a' * 64}  scalar float16 []\n"
)


CONFIG_TEXT = (
    '{"activation_function": "gelu_new", "layer_norm_epsilon": 1e-05, "n_ctx": 1024, '
    '"n_embd": 768, "n_head": 12, "n_inner": 3072, "n_layer": 12, "n_vocab": 50257, '
    '"scale_attn_by_inverse_layer_idx": false, "scale_attn_weights": true, '
    '"tie_word_embeddings": true}'
)
"""Sorted keys and all defaults written out."""


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


LAST = f"{sha256(LINES)}  weights\n{sha256(CONFIG_TEXT)}  config {CONFIG_TEXT}\n"


def test_the_weights_are_taken_over_their_lines_the_model_over_the_two_lines_that_follow() -> None:
    assert "".join(f"{line}\n" for line in DIGESTS.lines) == (
        f"{LINES}{LAST}{sha256(LAST)}  model\n"
    )
    assert "".join(f"{tensor.line}\n" for tensor in DIGESTS.tensors) == LINES
    assert DIGESTS.weights_sha256 == sha256(LINES)
    assert (DIGESTS.config_text, DIGESTS.config_sha256) == (CONFIG_TEXT, sha256(CONFIG_TEXT))
    assert DIGESTS.sha256 == sha256(LAST)


def test_the_order_counts_and_what_read_it_does_not() -> None:
    turned = replace(DIGESTS, tensors=DIGESTS.tensors[::-1])
    assert turned.weights_sha256 != DIGESTS.weights_sha256
    assert turned.sha256 != DIGESTS.sha256
    assert replace(DIGESTS, engine="native", notes=()).sha256 == DIGESTS.sha256


@pytest.mark.parametrize("field", DIGESTS.config)
def test_every_field_of_the_configuration_changes_the_model_and_not_the_weights(field: str) -> None:
    changed = replace(DIGESTS, config={**DIGESTS.config, field: None})
    assert changed.weights_sha256 == DIGESTS.weights_sha256
    assert changed.config_sha256 != DIGESTS.config_sha256
    assert changed.sha256 != DIGESTS.sha256


def test_the_configuration_s_order_does_not_count() -> None:
    turned = replace(DIGESTS, config=dict(reversed(list(DIGESTS.config.items()))))
    assert turned.lines == DIGESTS.lines


def test_of_no_tensors_the_weights_are_the_digest_of_nothing() -> None:
    # As sha256sum prints it for /dev/null.
    assert replace(DIGESTS, tensors=()).weights_sha256 == (
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    )


def test_what_differs_from_a_listing_makes_it_false() -> None:
    assert DIGESTS
    assert DIGESTS.ok
    changed = replace(DIGESTS, findings=FINDINGS)
    assert not changed
    assert not changed.ok
    document = changed.as_json()
    assert_valid(document, "report")
    assert document["ok"] is False
    assert [each["tensor"] for each in document["findings"]] == ["wte", "wte/Eve", "wpe"]


def test_the_document_has_it_all() -> None:
    document = DIGESTS.as_json()
    assert_valid(document, "report")
    assert document == {
        "kind": "digest",
        "ok": True,
        "findings": [],
        "path": SOURCE.path,
        "format": "tensorflow",
        "engine": "TensorFlow 2.16.1",
        "as_is": False,
        "notes": ["a note"],
        "sha256": sha256(LAST),
        "weights_sha256": sha256(LINES),
        "config_sha256": sha256(CONFIG_TEXT),
        "config": {
            "n_vocab": 50257,
            "n_ctx": 1024,
            "n_embd": 768,
            "n_head": 12,
            "n_layer": 12,
            "n_inner": 3072,
            "activation_function": "gelu_new",
            "layer_norm_epsilon": 1e-5,
            "scale_attn_weights": True,
            "scale_attn_by_inverse_layer_idx": False,
            "tie_word_embeddings": True,
        },
        "tensors": [
            {"name": "wte", "dtype": "float32", "shape": [2, 3], "sha256": "0" * 64},
            {"name": "ln_f.g", "dtype": "bfloat16", "shape": [2], "sha256": "f" * 63 + "1"},
            {"name": "scalar", "dtype": "float16", "shape": [], "sha256": "a" * 64},
        ],
    }
