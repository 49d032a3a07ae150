"""Digests: what they are taken over, and that anyone can recompute them."""

from __future__ import annotations

import hashlib
import struct
from typing import TYPE_CHECKING

from support import bundles, raws

import gpt2_convert

if TYPE_CHECKING:
    from pathlib import Path


def test_a_tensor_s_digest_is_sha256_of_its_canonical_bytes(tiny: Path) -> None:
    report = gpt2_convert.digest(tiny)
    expected = {
        name: hashlib.sha256(array.astype("<f4").tobytes()).hexdigest()
        for name, array in raws.canonical().items()
    }
    assert {tensor.name: tensor.sha256 for tensor in report.tensors} == expected


def test_the_digests_can_be_recomputed_by_hand(tmp_path: Path) -> None:
    sizes = {"n_vocab": 2, "n_ctx": 1, "n_embd": 1, "n_head": 1, "n_layer": 1}
    source = bundles.write_gpt2(tmp_path / "one", sizes)
    arrays = bundles.gpt2_arrays(sizes)
    lines = ""
    for name, shape, tf_name in (
        ("wte", "[2, 1]", "model/wte"),
        ("wpe", "[1, 1]", "model/wpe"),
        ("blocks[0].ln_1.g", "[1]", "model/h0/ln_1/g"),
        ("blocks[0].ln_1.b", "[1]", "model/h0/ln_1/b"),
        ("blocks[0].attn.c_attn.w", "[1, 3]", "model/h0/attn/c_attn/w"),
        ("blocks[0].attn.c_attn.b", "[3]", "model/h0/attn/c_attn/b"),
        ("blocks[0].attn.c_proj.w", "[1, 1]", "model/h0/attn/c_proj/w"),
        ("blocks[0].attn.c_proj.b", "[1]", "model/h0/attn/c_proj/b"),
        ("blocks[0].ln_2.g", "[1]", "model/h0/ln_2/g"),
        ("blocks[0].ln_2.b", "[1]", "model/h0/ln_2/b"),
        ("blocks[0].mlp.c_fc.w", "[1, 4]", "model/h0/mlp/c_fc/w"),
        ("blocks[0].mlp.c_fc.b", "[4]", "model/h0/mlp/c_fc/b"),
        ("blocks[0].mlp.c_proj.w", "[4, 1]", "model/h0/mlp/c_proj/w"),
        ("blocks[0].mlp.c_proj.b", "[1]", "model/h0/mlp/c_proj/b"),
        ("ln_f.g", "[1]", "model/ln_f/g"),
        ("ln_f.b", "[1]", "model/ln_f/b"),
    ):
        values = arrays[tf_name].reshape(-1).tolist()
        packed = struct.pack(f"<{len(values)}f", *values)
        lines += f"{hashlib.sha256(packed).hexdigest()}  {name} float32 {shape}\n"
    report = gpt2_convert.digest(source)
    assert "".join(f"{tensor.line}\n" for tensor in report.tensors) == lines
    assert report.weights_sha256 == hashlib.sha256(lines.encode()).hexdigest()
    config = (
        '{"activation_function": "gelu_new", "layer_norm_epsilon": 1e-05, "n_ctx": 1, "n_embd": 1, '
        '"n_head": 1, "n_inner": 4, "n_layer": 1, "n_vocab": 2, '
        '"scale_attn_by_inverse_layer_idx": false, "scale_attn_weights": true, '
        '"tie_word_embeddings": true}'
    )
    assert report.config_sha256 == hashlib.sha256(config.encode()).hexdigest()
    both = f"{report.weights_sha256}  weights\n{report.config_sha256}  config {config}\n"
    assert report.sha256 == hashlib.sha256(both.encode()).hexdigest()


def test_one_bit_changes_the_digest_of_its_tensor_and_of_the_whole(tmp_path: Path) -> None:
    arrays = bundles.gpt2_arrays()
    first = gpt2_convert.digest(bundles.write_gpt2(tmp_path / "a", arrays=arrays))
    arrays["model/wpe"].view("u4")[3, 3] ^= 1
    second = gpt2_convert.digest(bundles.write_gpt2(tmp_path / "b", arrays=arrays))
    pairs = zip(first.tensors, second.tensors, strict=True)
    assert [a.name for a, b in pairs if a != b] == ["wpe"]
    assert first.sha256 != second.sha256


def test_a_conversion_records_the_digest_when_asked(tiny: Path, tmp_path: Path) -> None:
    silent = gpt2_convert.convert(tiny, tmp_path / "a.npz")
    assert silent.digests is None
    report = gpt2_convert.convert(tiny, tmp_path / "b.npz", digest=True)
    assert report.digests is not None
    assert report.digests.sha256 == gpt2_convert.digest(tiny).sha256
    assert report.as_json()["digest"] == report.digests.sha256
