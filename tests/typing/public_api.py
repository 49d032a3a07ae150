"""The public names as a program would use them. Nothing runs this file; `make types` checks it.

A line with ``type: ignore`` is a mistake that has to be refused: mypy calls an ignore that is not
needed an error.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, assert_type

import numpy as np

import gpt2_convert
from gpt2_convert import (
    Agreement,
    AttentionParams,
    BlockParams,
    CastError,
    Checkpoint,
    ChecksumError,
    ComputationError,
    ConversionReport,
    DigestReport,
    DType,
    Encoder,
    FetchedFile,
    FetchError,
    FetchReport,
    Finding,
    FormatError,
    Gpt2ConvertError,
    InspectionReport,
    Kind,
    LayerNormParams,
    LazyTensor,
    LinearParams,
    MLPParams,
    Model,
    ModelParams,
    Proof,
    SchemaError,
    SourceNotFoundError,
    TargetError,
    TargetExistsError,
    TensorCollection,
    TensorDigest,
    Tolerance,
    UnreadableError,
    UnsupportedError,
    UsageError,
    VerificationError,
    VerificationReport,
    WrittenFile,
)

if TYPE_CHECKING:
    from gpt2_convert import Progress

SOURCE = Path("models/124M")


def watch(phase: str, done: int, total: int) -> None:
    print(f"{phase} {done}/{total}")


watcher: Progress = watch


def opens() -> None:
    with gpt2_convert.open(
        SOURCE,
        format="tensorflow",
        step=1000,
        scope="policy",
        drop=["value_head/*"],
        n_head=12,
        dtype="float16",
        allow_overflow=True,
        engine="native",
    ) as checkpoint:
        assert_type(checkpoint, Checkpoint)
        assert_type(checkpoint.format, str)
        assert_type(checkpoint.hparams.n_embd, int)
        assert_type(checkpoint.hparams.n_head, int | None)
        assert_type(checkpoint["wte"], LazyTensor)
        assert_type(checkpoint["wte"].shape, tuple[int, ...])
        assert_type(checkpoint["wte"].dtype, DType)
        assert_type(checkpoint["wte"].array(), np.ndarray[tuple[Any, ...], np.dtype[Any]])
        assert_type(list(checkpoint), list[str])
        assert_type(list(checkpoint.keys()), list[str])
        assert_type(list(checkpoint.values()), list[LazyTensor])
        assert_type(dict(checkpoint.items()), dict[str, LazyTensor])
        assert_type(checkpoint.get("wte"), LazyTensor | None)
        assert_type("wte" in checkpoint, bool)
        is_an_array(checkpoint["wte"])
        params: dict[str, Any] = checkpoint.tree()
        assert_type(checkpoint.tree().to_dict(), dict[str, Any])
        assert_type(params["blocks"][0]["attn"]["c_attn"]["w"], Any)
        reads(checkpoint.params())
    with gpt2_convert.open(SOURCE, drop="*/adam_?", as_is=True) as collection:
        assert_type(collection, TensorCollection)
        assert_type(collection["bert/pooler/dense/bias"], LazyTensor)


def is_an_array(tensor: LazyTensor) -> None:
    assert_type(np.asarray(tensor), np.ndarray[tuple[Any, ...], np.dtype[Any]])
    whole: np.ndarray[tuple[Any, ...], np.dtype[np.float32]] = np.asarray(tensor, np.float32)
    assert whole.shape == tensor.shape
    assert_type(tensor[10:20], np.ndarray[tuple[Any, ...], np.dtype[Any]])
    assert_type(tensor[-1], Any)
    assert_type(tensor[np.int64(3)], Any)
    assert_type(len(tensor), int)
    assert_type(tensor.ndim, int)
    assert_type([row for row in tensor], list[Any])  # noqa: C416 - a list of them would be the same
    assert tensor.dtype == np.float32
    assert tensor.dtype == np.dtype("float32")
    assert tensor.dtype == "float32"


def reads(params: ModelParams) -> None:
    assert_type(params.blocks, tuple[BlockParams, ...])
    assert_type(params.blocks[0].ln_1, LayerNormParams)
    assert_type(params.blocks[0].attn, AttentionParams)
    assert_type(params.blocks[0].mlp, MLPParams)
    assert_type(params.blocks[0].attn.c_attn, LinearParams)
    assert_type(params.blocks[0].attn.c_attn.w.ndim, int)
    assert params.lm_head is None or params.lm_head.size == params.wte.size


def converts() -> None:
    report = gpt2_convert.convert(
        str(SOURCE),
        "out.h5",
        to="hdf5",
        format="tensorflow",
        step=1000,
        scope=".",
        drop=("value_head/*",),
        n_head=12,
        dtype="bfloat16",
        allow_overflow=True,
        compress="gzip",
        digest=True,
        sums=True,
        force=True,
        verify=True,
        engine="tensorflow",
        progress=watcher,
    )
    assert_type(report, ConversionReport)
    assert_type(report.ok, bool)
    assert_type(report.verification, VerificationReport | None)
    assert_type(report.files, tuple[WrittenFile, ...] | None)
    assert_type(report.as_json(), dict[str, Any])


def verifies() -> None:
    report = gpt2_convert.verify(
        SOURCE,
        "out.npz",
        format="tensorflow",
        step=1000,
        scope="policy",
        drop=["value_head/*"],
        n_head=12,
        dtype="float32",
        allow_overflow=True,
        atol=1e-6,
        rtol=1e-3,
        engine="tensorflow",
        progress=watcher,
    )
    assert_type(report, VerificationReport)
    said = gpt2_convert.verify(
        SOURCE,
        "out.npz",
        logits=True,
        text=Path("a.txt"),
        tokenizer="tokenizer.json",
        tokens=1024,
        max_kl=1e-3,
        min_agreement=0.99,
    )
    assert_type(said.logits, Agreement | None)
    if said.logits is not None:
        assert_type(said.logits.kl_mean, float)
        assert_type(said.logits.perplexity_source, float | None)
    assert_type(report.tolerance, Tolerance)
    assert_type(Tolerance(atol=1e-6).exact, bool)
    for finding in report.findings:
        assert_type(finding, Finding)
        assert_type(finding.kind is Kind.VALUES, bool)
        assert_type(finding.max_abs_diff, float | None)


def inspects_and_digests() -> None:
    inspection = gpt2_convert.inspect(
        SOURCE,
        format="tensorflow",
        step=1000,
        scope="policy",
        drop=["value_head/*"],
        n_head=12,
        dtype="float64",
        allow_overflow=True,
        stats=True,
        engine="native",
        progress=watcher,
    )
    assert_type(inspection, InspectionReport)
    report = gpt2_convert.digest(
        SOURCE,
        format="tensorflow",
        step=1000,
        scope="policy",
        drop=["value_head/*"],
        n_head=12,
        dtype="float16",
        allow_overflow=True,
        engine="native",
        progress=watcher,
    )
    assert_type(report, DigestReport)
    assert_type(report.tensors, tuple[TensorDigest, ...])
    assert_type(report.sha256, str)


def fetches() -> None:
    report = gpt2_convert.fetch(
        "124M", SOURCE, mirror="https://example.org/models", force=True, progress=watcher
    )
    assert_type(report, FetchReport)
    assert_type(report.files, tuple[FetchedFile, ...])
    assert_type(report.files[0].proof is Proof.PUBLISHED, bool)
    assert_type(report.commit, str | None)
    assert_type(report.as_json(), dict[str, Any])


def loads_and_generates() -> None:
    model = gpt2_convert.load(
        SOURCE,
        format="tensorflow",
        step=1000,
        scope="policy",
        drop=["value_head/*"],
        n_head=12,
        dtype="float16",
        allow_overflow=True,
        engine="native",
        progress=watcher,
    )
    assert_type(model, Model)
    assert_type(model.params, ModelParams)
    assert_type(model.config.n_ctx, int)
    assert_type(model.logits([1, 2]), np.ndarray[tuple[Any, ...], np.dtype[np.float32]])
    assert_type(model.logits(np.array([1, 2])).ndim, int)
    ids = model.generate((1, 2), 3, temperature=0.8, top_k=40, top_p=0.9, seed=1)
    assert_type(ids, Iterator[int])
    assert_type(Model(model.params, model.config), Model)
    number: type[ArithmeticError] = ComputationError
    assert issubclass(number, Exception)


def loads_as_picogpt_does() -> None:
    params = gpt2_convert.load_gpt2_params_from_tf_ckpt("model.ckpt", {"n_layer": 12}, scope="a")
    assert_type(params, dict[str, Any])
    found = gpt2_convert.load_encoder_hparams_and_params("124M", "models")
    assert_type(found, tuple[Encoder, dict[str, Any], dict[str, Any]])
    assert_type(gpt2_convert.shape_tree(params), Any)


def encodes() -> None:
    encoder = gpt2_convert.load_encoder(SOURCE)
    assert_type(encoder, Encoder)
    assert_type(encoder.encode("Not all"), list[int])
    assert_type(encoder.encode("Not all", allow_special=True), list[int])
    assert_type(encoder.decode([3673, 477]), str)
    assert_type(encoder.decode(number for number in (3673, 477)), str)
    assert_type(list(encoder.decode_each(iter([3673, 477]))), list[str])
    assert_type(encoder.encoder["Ġall"], int)
    assert_type(encoder.decoder[477], str)
    assert_type(encoder.end_of_text, int | None)


def fails() -> str:
    try:
        gpt2_convert.convert(SOURCE, "out.npz")
    except VerificationError as error:
        assert_type(error.report, VerificationReport)
    except SchemaError as error:
        assert_type(error.problems, tuple[str, ...])
    except Gpt2ConvertError as error:
        return str(error)
    # Each is also the kind that a caller who does not know this package expects.
    missing: type[FileNotFoundError] = SourceNotFoundError
    exists: type[FileExistsError] = TargetExistsError
    system: tuple[type[OSError], ...] = (UnreadableError, TargetError)
    network: type[ConnectionError] = FetchError
    values: tuple[type[ValueError], ...] = (
        UsageError, FormatError, ChecksumError, UnsupportedError, CastError, SchemaError,
    )  # fmt: skip
    return f"{missing} {exists} {system} {network} {values}"


def mistakes(checkpoint: Checkpoint, params: ModelParams, report: ConversionReport) -> None:
    gpt2_convert.convert("a", "b.npz", dtype="fp16")  # type: ignore[arg-type]
    gpt2_convert.convert("a", "b.npz", to="numpy")  # type: ignore[arg-type]
    gpt2_convert.convert("a", "b.h5", compress="zip")  # type: ignore[arg-type]
    gpt2_convert.convert("a", "b.npz", source_format="hdf5")  # type: ignore[call-arg]
    gpt2_convert.convert("a", "b.npz", "npz")  # type: ignore[call-arg]
    gpt2_convert.convert("a")  # type: ignore[call-arg]
    gpt2_convert.open("a", engine="torch")  # type: ignore[call-overload]
    gpt2_convert.open("a", format="onnx")  # type: ignore[call-overload]
    gpt2_convert.open(b"a")  # type: ignore[call-overload]
    gpt2_convert.open("a", as_is=True, scope="policy")  # type: ignore[call-overload]
    gpt2_convert.open("a", as_is=True).hparams  # type: ignore[attr-defined]  # noqa: B018
    gpt2_convert.verify("a", "b", tolerance=1e-6)  # type: ignore[call-arg]
    gpt2_convert.load("a", dtype="int8")  # type: ignore[arg-type]
    gpt2_convert.load("a").logits("text")  # type: ignore[arg-type]
    gpt2_convert.load("a").generate([1])  # type: ignore[call-arg]
    gpt2_convert.inspect("a", dtype="int8")  # type: ignore[arg-type]
    gpt2_convert.digest("a", engine="jax")  # type: ignore[arg-type]
    gpt2_convert.digest("a", progress=len)  # type: ignore[arg-type]
    gpt2_convert.load_gpt2_params_from_tf_ckpt("a")  # type: ignore[call-arg]
    gpt2_convert.load_encoder_hparams_and_params("124M")  # type: ignore[call-arg]
    gpt2_convert.load_encoder("a").encode(b"a")  # type: ignore[arg-type]
    gpt2_convert.load_encoder("a").encode("a", True)  # type: ignore[call-arg]
    gpt2_convert.load_encoder("a").decode("a")  # type: ignore[arg-type]
    gpt2_convert.covert("a", "b.npz")  # type: ignore[attr-defined]
    checkpoint["wte"] = checkpoint["wpe"]  # type: ignore[index]
    checkpoint["wte"][0, 1]  # type: ignore[call-overload]
    checkpoint["wte"]["x"]  # type: ignore[call-overload]
    checkpoint["wte"][0] = 1  # type: ignore[index]
    checkpoint.weights()  # type: ignore[attr-defined]
    params.blocks[0].attn.c_attn.v  # type: ignore[attr-defined]  # noqa: B018
    params.wte = params.wpe  # type: ignore[misc]
    report.verification.ok  # type: ignore[union-attr]  # noqa: B018
    Tolerance(atol="1e-6")  # type: ignore[arg-type]
