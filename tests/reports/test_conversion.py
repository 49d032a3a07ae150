"""A conversion's document says what became of every tensor, and who proved it."""

from __future__ import annotations

from support.documents import assert_valid
from support.reports import DIGESTS, FINDINGS, LOSS, conversion, verification

from gpt2_convert.checkpoint.canonical import Dropped

PLAIN = {
    "kind": "conversion",
    "ok": True,
    "verified": True,
    "engine": "native",
    "proof_engine": "native",
    "source": {"path": "models/124M/model.ckpt", "format": "tensorflow"},
    "target": {"path": "out.npz", "format": "npz", "bytes": 497_800_000},
    "hparams": {"n_vocab": 50257, "n_ctx": 1024, "n_embd": 768, "n_head": 12, "n_layer": 12},
    "hparams_from": "hparams.json",
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
    "cast": None,
    "digest": None,
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
    )
    document = report.as_json()
    assert_valid(document, "report")
    assert document == {
        **PLAIN,
        "proof_engine": "TensorFlow 2.16.1",
        "dropped": [{"source_name": "global_step", "reason": "the training step"}],
        "notes": ["read from the scope policy/"],
        "cast": LOSS.as_json(),
        "digest": DIGESTS.sha256,
    }


def test_a_waived_proof_proves_nothing_and_finds_nothing() -> None:
    report = conversion(verification=None)
    assert (report.ok, report.findings, report.loss) == (True, (), None)
    document = report.as_json()
    assert_valid(document, "report")
    assert document == {**PLAIN, "verified": False, "proof_engine": None}


def test_a_conversion_is_as_good_as_its_proof() -> None:
    report = conversion(verification=verification(*FINDINGS, loss=LOSS))
    assert not report.ok
    assert report.findings == FINDINGS
    assert report.loss is LOSS
    assert report.as_json()["ok"] is False
