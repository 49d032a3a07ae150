"""Reports typed out by hand, with all that they can carry, and none of the jobs that make them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from support import raws

from gpt2_convert.checkpoint.canonical import Checkpoint
from gpt2_convert.checkpoint.collection import Dropped
from gpt2_convert.checkpoint.config import Config
from gpt2_convert.checkpoint.raw import FileInfo
from gpt2_convert.errors import Advice, Problem, SchemaError
from gpt2_convert.inference.agreement import Agreement
from gpt2_convert.reports.conversion import ConversionReport, CopiedFile, LeftFile
from gpt2_convert.reports.digest import DigestReport, TensorDigest
from gpt2_convert.reports.fetch import FetchedFile, FetchReport, Proof
from gpt2_convert.reports.findings import Finding, Kind
from gpt2_convert.reports.inspection import InspectionReport
from gpt2_convert.reports.summary import Side, Totals
from gpt2_convert.reports.sums import WrittenFile
from gpt2_convert.reports.verification import VerificationReport
from gpt2_convert.tensors.loss import CastLoss, TensorLoss
from gpt2_convert.tensors.stats import TensorStats
from gpt2_convert.tensors.tolerance import Tolerance

SOURCE = Side("models/124M/model.ckpt", "tensorflow")
TARGET = Side("out.npz", "npz")
TOTALS = Totals(tensors=148, parameters=124_439_808, nbytes=497_759_232, dtype="float32")
CONFIG = Config(
    n_vocab=50257, n_ctx=1024, n_embd=768, n_head=12, n_layer=12, n_inner=3072,
    stated_in=dict.fromkeys(("n_vocab", "n_ctx", "n_embd", "n_head", "n_layer"), "hparams.json"),
)  # fmt: skip
CONFIG_DOCUMENT: dict[str, Any] = {
    "n_vocab": 50257, "n_ctx": 1024, "n_embd": 768, "n_head": 12, "n_layer": 12, "n_inner": 3072,
    "activation_function": "gelu_new", "layer_norm_epsilon": 1e-5, "scale_attn_weights": True,
    "scale_attn_by_inverse_layer_idx": False, "tie_word_embeddings": True, "dtype": None,
}  # fmt: skip
"""What the documents have of it."""
UNUSUAL = replace(
    CONFIG,
    activation_function="relu",
    scale_attn_weights=False,
    tie_word_embeddings=False,
    stated_in={**CONFIG.stated_in, "activation_function": "a/config.json", "dtype": "b"},
    dtype="float16",
)
"""One that does not compute as GPT-2 does; the head is what the tensors show."""
COPIED = CopiedFile("vocab.json", "encoder.json", 1_042_301, "1" * 64)
WRITTEN = WrittenFile("out.npz", 497_800_000, "5" * 64)
LEFT = (LeftFile("optimizer.pt", "a trainer's state"), LeftFile("logs", "a folder"))
LOSS = CastLoss({"wte": TensorLoss(0.25, 0.125, 3, 1200), "wpe": TensorLoss(0.0625, 0.5, 0, 34)})
AGREEMENT = Agreement(1024, 0.5, 0.0123, 1.5e-6, 2.5e-5, 0.00123, 0.999, 0.98764)
ADVICE = Advice("{} would leave it out", "drop", "*/Eve")

FINDINGS = (
    Finding(
        Kind.VALUES, "wte", "3 of 10 elements differ",
        differing=3, elements=10, max_abs_diff=0.5, first_index=(0, 7), hint="transposed",
    ),
    Finding(Kind.EXTRA, "wte/Eve", "not in the source", advice=ADVICE),
    Finding(Kind.MISSING, "wpe", "not in the target"),
)  # fmt: skip
FETCHED = FetchReport(
    name="openai-community/gpt2",
    folder="models/gpt2",
    format="safetensors",
    address="https://huggingface.co/openai-community/gpt2",
    commit="6" * 40,
    files=(
        FetchedFile("config.json", 665, "1" * 64, Proof.STATED, False),
        FetchedFile("model.safetensors", 548_105_171, "2" * 64, Proof.PUBLISHED, True),
    ),
    fetched_nbytes=548_105_171,
    totals=TOTALS,
    notes=("'vocab.json' numbers tokens up to 60,000, but n_vocab is 50,257",),
)
DIGESTS = DigestReport(
    SOURCE,
    (
        TensorDigest("wte", "float32", (2, 3), "0" * 64),
        TensorDigest("ln_f.g", "bfloat16", (2,), "f" * 63 + "1"),
        TensorDigest("scalar", "float16", (), "a" * 64),
    ),
    {key: value for key, value in CONFIG_DOCUMENT.items() if key != "dtype"},
    engine="TensorFlow 2.16.1",
    notes=("a note",),
)


def verification(*findings: Finding, **more: Any) -> VerificationReport:  # noqa: ANN401
    return VerificationReport(SOURCE, TARGET, TOTALS, findings, **more)


def conversion(**more: Any) -> ConversionReport:  # noqa: ANN401
    fields: dict[str, Any] = {
        "source": SOURCE,
        "target": TARGET,
        "target_nbytes": 497_800_000,
        "config": CONFIG,
        "hparams_from": "hparams.json",
        "totals": TOTALS,
        "mapped": (("model/wte", "wte"), ("model/wpe", "wpe")),
        "dropped": (),
        "notes": (),
        "verification": verification(),
    }
    return ConversionReport(**{**fields, **more})


def tolerant(*findings: Finding) -> VerificationReport:
    return verification(*findings, tolerance=Tolerance(1e-6, 0.001))


STATS = TensorStats(6, 1, 2, -1.5, 2.0, 0.25, 1.0, (1, 0, 2))


def inspection(**more: Any) -> InspectionReport:  # noqa: ANN401
    """An inspection of a GPT-2 of two tensors, or with ``refusal`` of what is none."""
    tensors = tuple(
        raws.lazy(name, np.zeros(shape, np.float32))
        for name, shape in (("wte", (2, 3)), ("blocks[0].attn.c_attn.b", (9,)), ("ln_f.g", (3,)))
    )
    checkpoint = Checkpoint(
        raw=raws.raw({}),
        config=CONFIG,
        tensors={tensor.name: tensor for tensor in tensors},
        dropped=(Dropped("h.0.attn.bias", "causal mask buffer"),),
    )
    fields: dict[str, Any] = {
        "path": "model",
        "format": "safetensors",
        "files": (FileInfo("model/model.safetensors", 1234), FileInfo("model/b", None)),
        "tensors": tensors,
        "checkpoint": None if "refusal" in more else checkpoint,
        "refusal": None,
        "faults": (),
        "totals": Totals(3, 18, 72, "float32"),
    }
    return InspectionReport(**{**fields, **more})


def refusal(count: int) -> SchemaError:
    """What speaks against a model: ``count`` problems, the first of which has advice."""
    others = (Problem(f"'x{number}' is missing") for number in range(1, count))
    return SchemaError("model", (Problem("'x' is unknown", ADVICE), *others))
