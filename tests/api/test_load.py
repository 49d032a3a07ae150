"""A model loaded from a file says what its weights and its configuration say together."""

from __future__ import annotations

import json
import shutil
import tracemalloc
from typing import TYPE_CHECKING

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from support import bundles, oracle, raws
from support.contracts import open_descriptors

import gpt2_convert
from gpt2_convert.io.processors import count_processors
from gpt2_convert.tensors.side_by_side import MOST_WORKERS

if TYPE_CHECKING:
    from pathlib import Path

IDS = [60, 0, 7, 7, 31, 12, 5, 44]


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A TensorFlow checkpoint with the weights of the oracle."""
    arrays = {name: array * np.float32(0.2) for name, array in bundles.gpt2_arrays().items()}
    return bundles.write_gpt2(tmp_path / "small", arrays=arrays)


@pytest.mark.parametrize("target", ["a.npz", "a.safetensors", "a.h5", "hf/", None])
def test_every_container_says_the_same(small: Path, tmp_path: Path, target: str | None) -> None:
    source = small
    if target is not None:
        gpt2_convert.convert(small, f"{tmp_path}/{target}")
        source = tmp_path / target
    model = gpt2_convert.load(source)
    assert model.config.n_head == 4
    expected = oracle.logits(oracle.weights(), IDS)
    np.testing.assert_allclose(model.logits(IDS), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_whatever_is_stored_is_computed_in_float32(small: Path, tmp_path: Path, dtype: str) -> None:
    target = tmp_path / "a.safetensors"
    gpt2_convert.convert(small, target, dtype=dtype)  # type: ignore[arg-type]
    model = gpt2_convert.load(target)
    assert model.params.wte.dtype == model.params.blocks[1].mlp.c_fc.b.dtype == np.float32
    assert model.logits(IDS).dtype == np.float32
    # As if it were rounded on the way.
    rounded = gpt2_convert.load(small, dtype=dtype)  # type: ignore[arg-type]
    np.testing.assert_array_equal(rounded.logits(IDS), model.logits(IDS))
    assert (dtype == "float64") == np.array_equal(
        gpt2_convert.load(small).logits(IDS), model.logits(IDS)
    )


def test_a_trained_model_says_what_transformers_made_of_it(shared_data: Path) -> None:
    folder = shared_data / "hf-capp-gpt"
    model = gpt2_convert.load(folder)
    with np.load(folder / "reference" / "logits.npz") as reference:
        for ids, logits in zip(
            reference["input_ids"], reference["logits_safetensors_d53c507"], strict=True
        ):
            np.testing.assert_allclose(model.logits(ids), logits, rtol=0, atol=2e-5)


def test_the_configuration_beside_the_weights_is_the_model_s(small: Path, tmp_path: Path) -> None:
    gpt2_convert.convert(small, tmp_path / "hf", to="hf")
    config = json.loads((tmp_path / "hf" / "config.json").read_text())
    config |= {"activation_function": "relu", "scale_attn_by_inverse_layer_idx": True}
    (tmp_path / "hf" / "config.json").write_text(json.dumps(config))
    gpt2_convert.convert(tmp_path / "hf", tmp_path / "a.h5")
    expected = oracle.logits(oracle.weights(), IDS, activation="relu", by_layer=True)
    for source in ("hf", "a.h5"):
        model = gpt2_convert.load(tmp_path / source)
        np.testing.assert_allclose(model.logits(IDS), expected, rtol=0, atol=1e-5)


def test_a_head_of_its_own_is_used(small: Path, tmp_path: Path) -> None:
    gpt2_convert.convert(small, tmp_path / "hf", to="hf")
    file = tmp_path / "hf" / "model.safetensors"
    tensors = load_file(file)
    tensors["lm_head.weight"] = np.random.default_rng(1).standard_normal((61, 32), np.float32)
    save_file(tensors, file, {"format": "pt"})
    weights = {**oracle.weights(), "lm_head.w": tensors["lm_head.weight"]}
    model = gpt2_convert.load(file)
    np.testing.assert_allclose(model.logits(IDS), oracle.logits(weights, IDS), rtol=0, atol=2e-5)
    assert any("lm_head" in note for note in model.notes)


def test_heads_that_nothing_states_have_to_be_said(tmp_path: Path) -> None:
    source = bundles.write_gpt2(tmp_path / "bare", hparams=False)
    with pytest.raises(gpt2_convert.UnsupportedError) as caught:
        gpt2_convert.load(source)
    assert str(caught.value).endswith("say it with n_head=...")
    assert gpt2_convert.load(source, n_head=8).config.n_head == 8


def test_an_activation_that_is_not_known_is_refused_before_weights_are_read(
    small: Path, tmp_path: Path
) -> None:
    (small / "config.json").write_text(json.dumps({**raws.CONFIG, "activation_function": "prelu"}))
    data = small / "model.ckpt.data-00000-of-00001"
    data.write_bytes(bytes(data.stat().st_size))
    with pytest.raises(gpt2_convert.UnsupportedError, match="activation_function: 'prelu'"):
        gpt2_convert.load(small)


def test_damaged_weights_are_refused(small: Path) -> None:
    data = small / "model.ckpt.data-00000-of-00001"
    content = bytearray(data.read_bytes())
    content[77_777] ^= 1
    data.write_bytes(content)
    with pytest.raises(gpt2_convert.ChecksumError):
        gpt2_convert.load(small)


def test_a_mask_that_is_no_causal_one_is_refused(small: Path, tmp_path: Path) -> None:
    gpt2_convert.convert(small, tmp_path / "hf", to="hf")
    file = tmp_path / "hf" / "model.safetensors"
    tensors = load_file(file)
    tensors["transformer.h.1.attn.bias"] = np.ones((1, 1, 16, 16), np.float32)
    save_file(tensors, file, {"format": "pt"})
    with pytest.raises(gpt2_convert.SchemaError, match="causal mask"):
        gpt2_convert.load(file)


def test_a_weight_too_large_for_float32_is_an_error_unless_it_is_allowed(tmp_path: Path) -> None:
    arrays = bundles.gpt2_arrays(dtype="float64")
    arrays["model/wpe"][2, 3] = 1e300
    source = bundles.write_gpt2(tmp_path / "wide", arrays=arrays)
    with pytest.raises(gpt2_convert.CastError, match=r"wpe at \[2, 3\] .*allow_overflow=True"):
        gpt2_convert.load(source)
    model = gpt2_convert.load(source, allow_overflow=True)
    with pytest.raises(gpt2_convert.ComputationError):
        model.logits([1, 1, 1])


def test_progress_adds_up_to_the_bytes_of_the_weights(small: Path) -> None:
    told: list[tuple[str, int, int]] = []
    gpt2_convert.load(small, progress=lambda *each: told.append(each))
    nbytes = sum(array.nbytes for array in bundles.gpt2_arrays().values())
    assert {(phase, total) for phase, _, total in told} == {("reading", nbytes)}
    done = [each[1] for each in told]
    assert done == sorted(done)
    assert done[-1] == nbytes


def test_the_files_are_closed_when_it_is_loaded(small: Path) -> None:
    before = open_descriptors()
    model = gpt2_convert.load(small)
    assert open_descriptors() <= before
    shutil.rmtree(small)
    assert len(model.logits(IDS)) == len(IDS)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_the_weights_are_in_memory_once(tmp_path: Path, dtype: str) -> None:
    sizes = {"n_vocab": 3000, "n_ctx": 64, "n_embd": 512, "n_head": 4, "n_layer": 4}
    arrays = bundles.gpt2_arrays(sizes, dtype=dtype)
    source = bundles.write_gpt2(tmp_path / "model", sizes, arrays=arrays)
    needed = sum(4 * array.size for array in arrays.values())
    assert needed > 50 << 20
    gpt2_convert.load(source, n_head=4).logits([1])  # what is imported stays
    tracemalloc.start()
    try:
        model = gpt2_convert.load(source)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # Beside them each thread holds the chunks of one tensor, before and after the cast.
    assert peak < needed + (10 << 20) * max(2, min(count_processors(), MOST_WORKERS))
    assert model.params.wte.nbytes == 4 * 3000 * 512
