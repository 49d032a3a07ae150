"""A conversion's document says what became of every tensor, and who proved it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from support.documents import assert_valid
from support.reports import (
    CONFIG,
    CONFIG_DOCUMENT,
    COPIED,
    DIGESTS,
    FINDINGS,
    LEFT,
    LOSS,
    UNUSUAL,
    WRITTEN,
    conversion,
    verification,
)

from gpt2_convert.checkpoint.collection import Dropped

PLAIN: dict[str, Any] = {
    "kind": "conversion",
    "ok": True,
    "verified": True,
    "engine": "native",
    "as_is": False,
    "proof_engine": "native",
    "source": {"path": "models/124M/model.ckpt", "format": "tensorflow"},
    "target": {"path": "out.npz", "format": "npz", "bytes": 497_800_000},
    "hparams": {"n_vocab": 50257, "n_ctx": 1024, "n_embd": 768, "n_head": 12, "n_layer": 12},
    "hparams_from": "hparams.json",
    "config": CONFIG_DOCUMENT,
    "config_from": {
        **dict.fromkeys(CONFIG_DOCUMENT),
        "n_vocab": "hparams.json",
        "n_ctx": "hparams.json",
        "n_embd": "hparams.json",
        "n_head": "hparams.json",
        "n_layer": "hparams.json",
    },
    "tensors": 148,
    "parameters": 124_439_808,
    "bytes": 497_759_232,
    "dtype": "float32",
    "mapped": [
        {"source_name": "model/wte", "name": "wte"},
        {"source_name": "model/wpe", "name": "wpe"},
    ],
    "dropped": [],
    "notes": [],
    "companions": [],
    "left": [],
    "cast": None,
    "digest": None,
    "files": None,
    "findings": [],
}


def test_the_document_of_a_plain_conversion() -> None:
    document = conversion().as_json()
    assert_valid(document, "report")
    assert document == PLAIN


def test_the_document_has_all_else_that_there_may_be_to_say() -> None:
    report = conversion(
        verification=verification(loss=LOSS, engine="TensorFlow 2.16.1"),
        dropped=(Dropped("global_step", "the training step"),),
        notes=("read from the scope policy/",),
        digests=DIGESTS,
        config=UNUSUAL,
        companions=(COPIED,),
        left=LEFT,
        files=(WRITTEN,),
    )
    document = report.as_json()
    assert_valid(document, "report")
    assert document == {
        **PLAIN,
        "proof_engine": "TensorFlow 2.16.1",
        "dropped": [{"source_name": "global_step", "reason": "the training step"}],
        "notes": ["read from the scope policy/"],
        "config": {
            **CONFIG_DOCUMENT,
            "activation_function": "relu",
            "scale_attn_weights": False,
            "tie_word_embeddings": False,
            "dtype": "float16",
        },
        "config_from": {
            **PLAIN["config_from"],
            "activation_function": "a/config.json",
            "dtype": "b",
        },
        "companions": [
            {
                "name": "vocab.json",
                "source_name": "encoder.json",
                "bytes": 1_042_301,
                "sha256": "1" * 64,
            }
        ],
        "left": [
            {"name": "optimizer.pt", "reason": "a trainer's state"},
            {"name": "logs", "reason": "a folder"},
        ],
        "cast": LOSS.as_json(),
        "digest": DIGESTS.sha256,
        "files": [{"path": "out.npz", "bytes": 497_800_000, "sha256": "5" * 64}],
    }


def test_a_waived_proof_proves_nothing_and_finds_nothing() -> None:
    report = conversion(verification=None)
    assert (report.ok, report.findings, report.loss) == (True, (), None)
    document = report.as_json()
    assert_valid(document, "report")
    assert document == {**PLAIN, "verified": False, "proof_engine": None}


def test_a_conversion_is_as_good_as_its_proof_and_true_only_then() -> None:
    assert conversion()
    report = conversion(verification=verification(*FINDINGS, loss=LOSS))
    assert not report.ok
    assert not report
    assert report.findings == FINDINGS
    assert report.loss is LOSS
    document = report.as_json()
    assert (document["ok"], document["proof_engine"]) == (False, "native")
    assert [each["tensor"] for each in document["findings"]] == ["wte", "wte/Eve", "wpe"]
    assert document["cast"] == LOSS.as_json()


def test_a_head_count_that_nothing_states_is_null_and_no_hparam() -> None:
    headless = replace(CONFIG, n_head=None)
    report = conversion(config=headless)
    document = report.as_json()
    assert_valid(document, "report")
    assert document["config"]["n_head"] is None
    assert "n_head" not in document["hparams"]
    assert report.hparams == headless.hparams
