"""What a loaded model says is what transformers says on torch, from every container."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest
from interop.test_transformers import load, logits, save_with_tensorflow
from interop.test_whole_model import BEHAVIOURS, make_model

import gpt2_convert
from gpt2_convert.compare.logits import draw_ids
from gpt2_convert.inference.activations import ACTIVATIONS, activate

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

pytestmark = [
    pytest.mark.interop,
    # torch and transformers warn of their own affairs.
    pytest.mark.filterwarnings("default::DeprecationWarning"),
    pytest.mark.filterwarnings("default::FutureWarning"),
]
CASES = {"GPT-2's own": {}, **BEHAVIOURS}
CASES["scaled by layers alone"] = {
    "scale_attn_weights": False, "scale_attn_by_inverse_layer_idx": True,
}  # fmt: skip
CASES["all at once"] = {
    "activation_function": "silu", "layer_norm_epsilon": 1e-6, "n_inner": 56,
    "scale_attn_by_inverse_layer_idx": True, "tie_word_embeddings": False,
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_every_behaviour_from_every_container(name: str, tf: ModuleType, tmp_path: Path) -> None:
    original = make_model(tmp_path / "source", **CASES[name])
    tokens = np.random.default_rng(0).integers(0, 101, (2, 32))
    expected = logits(original, tokens)
    sources = [tmp_path / "source"]
    for target in ("a.npz", "b.safetensors", "c.h5", "d/"):
        gpt2_convert.convert(tmp_path / "source", f"{tmp_path}/{target}")
        sources.append(tmp_path / target)
    if CASES[name].get("tie_word_embeddings", True):  # a head has no name in TensorFlow
        saved = save_with_tensorflow(tf, tmp_path / "source", tmp_path / "tf")
        (saved / "hparams.json").unlink()
        shutil.copy(tmp_path / "source" / "config.json", saved)
        sources.append(saved)
    for source in sources:
        model = gpt2_convert.load(source)
        for ids, wanted in zip(tokens, expected, strict=True):
            np.testing.assert_allclose(model.logits(ids), wanted, rtol=0, atol=1e-5)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_weights_of_another_type_are_computed_with_as_float32(dtype: str, tmp_path: Path) -> None:
    make_model(tmp_path / "source")
    gpt2_convert.convert(tmp_path / "source", tmp_path / "hf", to="hf", dtype=dtype)  # type: ignore[arg-type]
    tokens = np.random.default_rng(0).integers(0, 101, (1, 32))
    expected = logits(load(tmp_path / "hf").float(), tokens)
    model = gpt2_convert.load(tmp_path / "hf")
    np.testing.assert_allclose(model.logits(tokens[0]), expected[0], rtol=0, atol=1e-5)


def test_a_model_trained_with_an_older_transformers_says_what_it_said(
    shared_data: Path, tmp_path: Path
) -> None:
    import torch
    from safetensors.torch import save_file

    source = shared_data / "hf-aitextgen-dangus"
    state = torch.load(source / "pytorch_model.bin", weights_only=True)
    # Whole, with its masks and a head that is saved a second time.
    tensors = {name: tensor.clone() for name, tensor in state.items()}
    save_file(tensors, tmp_path / "model.safetensors", {"format": "pt"})
    shutil.copy(source / "config.json", tmp_path)
    model = gpt2_convert.load(tmp_path)
    known = json.loads((source / "reference" / "texts.json").read_text(encoding="utf-8"))
    encoder = gpt2_convert.load_encoder(source / "aitextgen.tokenizer.json")
    with np.load(source / "reference" / "logits.npz") as reference:
        for number, text in enumerate(known["texts"]):
            ids = encoder.encode(text)
            assert ids == known["ids"][number]
            expected = reference[f"logits_{number}"]
            np.testing.assert_allclose(model.logits(ids), expected, rtol=0, atol=2e-5)
    assert number == 1


def test_what_a_cast_costs_is_what_torch_makes_of_the_same_logits(tmp_path: Path) -> None:
    import torch

    original = make_model(tmp_path / "source")
    gpt2_convert.convert(tmp_path / "source", tmp_path / "half", to="hf", dtype="float16")
    report = gpt2_convert.verify(tmp_path / "source", tmp_path / "half", logits=True, tokens=320)
    found = report.logits
    assert found is not None
    tokens = draw_ids(101, 320).reshape(10, 32)
    one, other = (
        torch.from_numpy(logits(each, tokens).reshape(320, 101)).double()
        for each in (original, load(tmp_path / "half").float())
    )
    # The logits differ by thousandths and torch's from ours by millionths.
    assert found.max_abs_diff == pytest.approx((one - other).abs().max().item(), rel=0.02)
    assert found.mean_abs_diff == pytest.approx((one - other).abs().mean().item(), rel=0.02)
    logs = [torch.log_softmax(each, -1) for each in (other, one)]
    divergences = torch.nn.functional.kl_div(*logs, reduction="none", log_target=True).sum(-1)
    assert found.kl_mean == pytest.approx(divergences.mean().item(), rel=0.02)
    assert found.kl_p99 == pytest.approx(divergences.quantile(0.99).item(), rel=0.02)
    assert found.kl_max == pytest.approx(divergences.max().item(), rel=0.02)
    assert found.top1 == (one.argmax(-1) == other.argmax(-1)).double().mean().item()
    firsts = [each.topk(5).indices.tolist() for each in (one, other)]
    shared = [len({*a} & {*b}) / 5 for a, b in zip(*firsts, strict=True)]
    assert found.top5 == pytest.approx(np.mean(shared), abs=1e-3)


def test_greedy_generation_is_that_of_transformers(tmp_path: Path) -> None:
    import torch

    original = make_model(tmp_path / "source")
    for seed in range(5):
        prompt = np.random.default_rng(seed).integers(0, 101, 4)
        with torch.no_grad():
            theirs = original.generate(
                torch.from_numpy(prompt[None]), max_new_tokens=28, do_sample=False,
                eos_token_id=None, pad_token_id=0,
            )  # fmt: skip
        ours = list(gpt2_convert.load(tmp_path / "source").generate(prompt, 28))
        assert ours == theirs[0, 4:].tolist()


@pytest.mark.parametrize(
    "fields",
    [
        {"temperature": 0.7}, {"top_k": 5}, {"top_k": 1}, {"top_p": 0.5}, {"top_p": 0.9},
        {"temperature": 1.3, "top_k": 7, "top_p": 0.8}, {"temperature": 0.5, "top_p": 0.95},
    ],
)  # fmt: skip
def test_ids_are_drawn_from_those_that_transformers_leaves(fields: dict[str, float]) -> None:
    import torch
    from transformers import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

    from gpt2_convert.inference.sampling import Sampling, seed_random

    warpers = {
        "temperature": TemperatureLogitsWarper,
        "top_k": TopKLogitsWarper,
        "top_p": TopPLogitsWarper,
    }
    random = seed_random(0)
    for seed in range(20):
        given = np.random.default_rng(seed).standard_normal(30).astype(np.float32) * 2
        scores = torch.from_numpy(given[None])
        for name, warper in warpers.items():
            if name in fields:
                scores = warper(fields[name])(None, scores)
        expected = torch.softmax(scores, -1)[0].double().numpy()
        sampling = Sampling(**{"temperature": 1.0, **fields})  # type: ignore[arg-type]
        drawn = [sampling.choose(given, random) for _ in range(2000)]
        found = np.bincount(drawn, minlength=30) / 2000
        assert not found[expected == 0].any()
        assert np.abs(found - expected).max() < 5 * np.sqrt(0.25 / 2000)


def test_activations_are_those_of_transformers_by_name() -> None:
    import torch
    from transformers.activations import ACT2FN

    x = np.concatenate([np.linspace(-12, 12, 24_001), [-1e4, 1e4]]).astype(np.float32)
    for name, activation in ACTIVATIONS.items():
        found = x.copy()
        with np.errstate(all="ignore"):
            activate(activation, found)
        with torch.no_grad():
            # In float64: in float32 some of theirs are further from their formulas than ours.
            expected = ACT2FN[name](torch.from_numpy(x.astype(np.float64))).numpy()
        assert np.all(np.abs(found - expected) <= 2.4e-7 * np.maximum(1, np.abs(expected))), name
    # What is left has weights of its own, which are in no GPT-2 checkpoint.
    assert set(ACT2FN) - ACTIVATIONS.keys() == {"prelu", "xielu"}
