"""Hugging Face's models: every spelling seen in the wild comes to the same canonical tree."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save_file
from support import bundles, raws

import gpt2_convert
from gpt2_convert.model.adopt import adopt, drop_tied

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    Arrays = dict[str, np.ndarray[Any, Any]]

CONFIG = {
    "model_type": "gpt2",
    "architectures": ["GPT2LMHeadModel"],
    "vocab_size": 61,
    "n_positions": 16,
    "n_ctx": 16,
    "n_embd": 32,
    "n_head": 4,
    "n_layer": 3,
    "layer_norm_epsilon": 1e-05,
}


def write_model(folder: Path, arrays: Arrays, config: dict[str, Any] | None = CONFIG) -> Path:
    folder.mkdir(parents=True)
    save_file(arrays, folder / "model.safetensors", {"format": "pt"})
    if config is not None:
        (folder / "config.json").write_text(json.dumps(config))
    return folder


def assert_canonical(checkpoint: gpt2_convert.Checkpoint) -> None:
    expected = raws.canonical()
    assert list(checkpoint) == list(expected)
    for name, array in expected.items():
        np.testing.assert_array_equal(checkpoint[name].array(), array, strict=True)


@pytest.mark.parametrize(
    "prefix",
    ["", "transformer.", "module.transformer.", "_orig_mod.", "model.", "module._orig_mod.model."],
)
def test_wrappers_come_off_in_any_order(prefix: str, tmp_path: Path) -> None:
    arrays = {prefix + name: array for name, array in raws.huggingface().items()}
    with gpt2_convert.open(write_model(tmp_path / "model", arrays)) as checkpoint:
        assert_canonical(checkpoint)
        assert checkpoint.hparams.known() == bundles.TINY
        assert checkpoint.hparams_from == str(tmp_path / "model" / "config.json")


def test_two_spellings_of_one_tensor_are_refused(tmp_path: Path) -> None:
    arrays = raws.huggingface()
    arrays["transformer.wpe.weight"] = arrays["wpe.weight"]
    with pytest.raises(gpt2_convert.SchemaError, match="stands twice"):
        gpt2_convert.open(write_model(tmp_path / "model", arrays))


@pytest.mark.parametrize("dtype", ["float32", "uint8", "bool"])
def test_causal_masks_are_dropped_for_a_reason(dtype: str, tmp_path: Path) -> None:
    arrays = raws.huggingface()
    for layer in range(3):
        arrays[f"h.{layer}.attn.bias"] = np.tril(np.ones((16, 16), dtype)).reshape(1, 1, 16, 16)
        arrays[f"h.{layer}.attn.masked_bias"] = np.array(-1e4, np.float32)
    with gpt2_convert.open(write_model(tmp_path / "model", arrays)) as checkpoint:
        assert_canonical(checkpoint)
        reasons = {drop.source_name: drop.reason for drop in checkpoint.dropped}
    assert reasons == {
        f"h.{layer}.attn.{name}": "causal mask buffer"
        for layer in range(3)
        for name in ("bias", "masked_bias")
    }


def test_a_tensor_with_the_mask_s_name_but_another_shape_is_refused_where_values_are_read(
    tmp_path: Path,
) -> None:
    arrays = raws.huggingface()
    arrays["h.1.attn.bias"] = np.zeros(96, np.float32)
    source = write_model(tmp_path / "model", arrays)
    message = r"'h\.1\.attn\.bias' is no causal mask: its shape is \[96\], which is not square"
    with pytest.raises(gpt2_convert.SchemaError, match=message):
        gpt2_convert.digest(source)
    with gpt2_convert.open(source) as checkpoint:
        assert checkpoint.notes == (
            "1 mask buffer was dropped by name; the values were not looked at",
        )


def test_a_causal_mask_of_another_size_than_the_context_is_dropped_as_well(tmp_path: Path) -> None:
    arrays = raws.huggingface()
    arrays["h.1.attn.bias"] = np.tril(np.ones((1, 1, 64, 64), np.float32))
    report = gpt2_convert.convert(write_model(tmp_path / "model", arrays), tmp_path / "out.npz")
    assert report.dropped == (gpt2_convert.Dropped("h.1.attn.bias", "causal mask buffer"),)


def test_the_mask_of_a_layer_that_is_not_there_is_refused(tmp_path: Path) -> None:
    arrays = raws.huggingface()
    arrays["h.3.attn.bias"] = np.ones((1, 1, 16, 16), np.float32)
    with pytest.raises(gpt2_convert.SchemaError, match=r"'h\.3\.attn\.bias'"):
        gpt2_convert.open(write_model(tmp_path / "model", arrays))


def test_a_tied_head_is_dropped_once_it_is_found_equal(tmp_path: Path) -> None:
    arrays = {f"transformer.{name}": array for name, array in raws.huggingface().items()}
    arrays["lm_head.weight"] = arrays["transformer.wte.weight"].copy()
    with gpt2_convert.open(write_model(tmp_path / "model", arrays)) as checkpoint:
        assert_canonical(checkpoint)
        (drop,) = checkpoint.dropped
    assert drop.source_name == "lm_head.weight"
    assert drop.reason == "tied: equal to wte in every bit"


def test_an_untied_head_is_kept_through_every_step(tmp_path: Path) -> None:
    arrays = raws.huggingface()
    arrays["lm_head.weight"] = arrays["wte.weight"].copy()
    arrays["lm_head.weight"][60, 31] += 1
    source = write_model(tmp_path / "model", arrays)
    gpt2_convert.convert(source, tmp_path / "out.npz")
    gpt2_convert.convert(tmp_path / "out.npz", f"{tmp_path}/again/")
    with np.load(tmp_path / "out.npz") as archive:
        np.testing.assert_array_equal(archive["lm_head.w"], arrays["lm_head.weight"])
    assert gpt2_convert.verify(source, tmp_path / "again").ok
    config = json.loads((tmp_path / "again" / "config.json").read_text())
    assert config["tie_word_embeddings"] is False
    with gpt2_convert.open(source) as checkpoint:
        head = checkpoint.params().lm_head
    assert head is not None
    np.testing.assert_array_equal(head, arrays["lm_head.weight"])


def test_a_head_that_only_the_target_has_is_extra_unless_tied(tmp_path: Path) -> None:
    arrays = raws.huggingface()
    plain = write_model(tmp_path / "plain", arrays)
    tied = write_model(tmp_path / "tied", {**arrays, "lm_head.weight": arrays["wte.weight"].copy()})
    untied_head = arrays["wte.weight"] + 1
    untied = write_model(tmp_path / "untied", {**arrays, "lm_head.weight": untied_head})
    assert gpt2_convert.verify(plain, tied).ok
    assert gpt2_convert.verify(tied, plain).ok
    (finding,) = gpt2_convert.verify(plain, untied).findings
    assert (finding.kind, finding.tensor) == ("extra", "lm_head.w")
    (finding,) = gpt2_convert.verify(untied, plain).findings
    assert (finding.kind, finding.tensor) == ("missing", "lm_head.w")
    assert gpt2_convert.verify(untied, untied).ok


@pytest.mark.parametrize(
    "name",
    ["score.weight", "classifier.weight", "v_head.summary.weight", "h.0.crossattention.bias"],
)
def test_a_head_of_another_task_is_refused_by_name_unless_dropped(
    name: str, tmp_path: Path
) -> None:
    arrays = {**raws.huggingface(), name: np.zeros((2, 32), np.float32)}
    source = write_model(tmp_path / "model", arrays)
    with pytest.raises(gpt2_convert.SchemaError, match=rf"'{name}' \[2, 32\] is in no row"):
        gpt2_convert.open(source)
    pattern = "*cross*" if "cross" in name else name.split(".")[0] + ".*"
    with gpt2_convert.open(source, drop=[pattern]) as checkpoint:
        assert_canonical(checkpoint)
        (found,) = checkpoint.dropped
        assert found == gpt2_convert.Dropped(name, f"asked for by the pattern {pattern!r}")


def test_a_pattern_never_drops_what_the_model_needs(tmp_path: Path) -> None:
    arrays = {**raws.huggingface(), "score.weight": np.zeros((2, 32), np.float32)}
    with gpt2_convert.open(write_model(tmp_path / "model", arrays), drop=["*"]) as checkpoint:
        assert_canonical(checkpoint)


def test_a_pattern_that_matches_nothing_is_a_mistake(tmp_path: Path) -> None:
    source = write_model(tmp_path / "model", raws.huggingface())
    with pytest.raises(gpt2_convert.UsageError, match=r"the pattern 'scroe\.\*' matches no tensor"):
        gpt2_convert.open(source, drop=["scroe.*"])


def test_linear_layout_is_read_transposed(tmp_path: Path) -> None:
    arrays = raws.linear(raws.huggingface())
    with gpt2_convert.open(write_model(tmp_path / "model", arrays)) as checkpoint:
        assert_canonical(checkpoint)
        assert checkpoint.notes == ("read transposed: nn.Linear's layout [out, in]",)


def test_one_transposed_matrix_is_a_wrong_shape_and_no_layout(tmp_path: Path) -> None:
    arrays = raws.huggingface()
    arrays["h.1.mlp.c_fc.weight"] = np.ascontiguousarray(arrays["h.1.mlp.c_fc.weight"].T)
    with pytest.raises(gpt2_convert.SchemaError, match=r"'h\.1\.mlp\.c_fc\.weight' is \[128, 32\]"):
        gpt2_convert.open(write_model(tmp_path / "model", arrays))


def test_another_model_type_is_refused_by_its_own_name(tmp_path: Path) -> None:
    source = write_model(
        tmp_path / "model", raws.huggingface(), {**CONFIG, "model_type": "imagegpt"}
    )
    with pytest.raises(gpt2_convert.UnsupportedError, match="model_type is 'imagegpt'"):
        gpt2_convert.open(source)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("newslm/embeddings/word_embed", "Grover"),
        ("model/wtet", "image-gpt"),
        ("base_model.model.transformer.h.0.attn.c_attn.lora_A.weight", "LoRA"),
        ("optimizer/_trainable_variables/2/.ATTRIBUTES/VARIABLE_VALUE", "object graph"),
    ],
)
def test_strangers_are_refused_in_a_sentence(name: str, words: str) -> None:
    with pytest.raises(gpt2_convert.UnsupportedError, match=words):
        adopt(raws.raw({name: np.zeros(3, np.float32)}))


def test_config_sizes_may_stand_under_any_known_key(tmp_path: Path) -> None:
    config = {key: value for key, value in CONFIG.items() if key != "n_ctx"}
    with gpt2_convert.open(write_model(tmp_path / "a", raws.huggingface(), config)) as checkpoint:
        assert checkpoint.hparams.known() == bundles.TINY
    with gpt2_convert.open(write_model(tmp_path / "b", raws.huggingface(), None)) as checkpoint:
        assert checkpoint.hparams.n_head is None


def test_untie_leaves_other_tensors_alone() -> None:
    checkpoint = drop_tied(adopt(raws.raw(bundles.gpt2_arrays(), bundles.TINY)))
    assert_canonical(checkpoint)
    assert checkpoint.dropped == ()


def test_openai_community_s_file_equals_the_tensorflow_checkpoint(tmp_path: Path) -> None:
    # The real file: 160 tensors, twelve float32 masks, no prefix, data that start at byte 14,291.
    sizes = {**bundles.TINY, "n_layer": 12, "n_ctx": 64}
    arrays = raws.huggingface(sizes)
    mask = np.tril(np.ones((64, 64), np.float32)).reshape(1, 1, 64, 64)
    arrays |= {f"h.{layer}.attn.bias": mask.copy() for layer in range(12)}
    assert len(arrays) == 160
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    data = b""
    for name, array in sorted(arrays.items()):
        offsets = [len(data), len(data) + array.nbytes]
        header[name] = {"dtype": "F32", "shape": list(array.shape), "data_offsets": offsets}
        data += array.tobytes()
    text = json.dumps(header).encode()
    text += b" " * (3 - len(text) % 8 + 8)
    assert len(text) % 8 == 3
    folder = tmp_path / "gpt2"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + data)
    config = {**CONFIG, "n_layer": 12, "n_ctx": 64, "n_positions": 64}
    (folder / "config.json").write_text(json.dumps(config))
    original = bundles.write_gpt2(tmp_path / "124M", sizes)
    gpt2_convert.convert(folder, tmp_path / "hf.npz")
    gpt2_convert.convert(original, tmp_path / "tf.npz")
    assert gpt2_convert.verify(tmp_path / "tf.npz", tmp_path / "hf.npz").ok
    digests = {gpt2_convert.digest(tmp_path / name).sha256 for name in ("hf.npz", "tf.npz")}
    assert len(digests | {gpt2_convert.digest(folder).sha256}) == 1
    with np.load(tmp_path / "hf.npz") as hf, np.load(tmp_path / "tf.npz") as tf:
        assert hf.files == tf.files


def test_an_untied_head_is_reported(tmp_path: Path) -> None:
    arrays = raws.huggingface()
    arrays["lm_head.weight"] = arrays["wte.weight"] + 1
    source = write_model(tmp_path / "model", arrays)
    report = gpt2_convert.convert(source, tmp_path / "out.npz")
    by_default = f"{source / 'config.json'}, by default, says tie_word_embeddings true"
    kept = (
        "'lm_head.weight' differs from wte, so it is kept",
        f"{by_default}, but the head differs from wte: it becomes false",
    )
    assert report.notes == kept
    assert gpt2_convert.convert(source, tmp_path / "half.npz", dtype="float16").notes == kept
    assert report.as_json()["notes"] == list(report.notes)


def test_an_untied_head_goes_only_by_its_full_name(tmp_path: Path) -> None:
    arrays = raws.huggingface()
    arrays["lm_head.weight"] = arrays["wte.weight"] + 1
    source = write_model(tmp_path / "model", arrays)
    for pattern in ("lm_head.*", "*head*", "lm_head.weigh?"):
        with pytest.raises(gpt2_convert.UsageError, match="only its full name leaves it out"):
            gpt2_convert.open(source, drop=[pattern])
    with gpt2_convert.open(source, drop=["lm_head.weight"]) as checkpoint:
        assert_canonical(checkpoint)
        assert checkpoint.dropped == (
            gpt2_convert.Dropped("lm_head.weight", "asked for by its full name"),
        )
        (note,) = checkpoint.notes
        assert note.startswith("the model was changed: 'lm_head.weight' differs from wte")


def test_a_head_that_a_cast_makes_equal_is_tied_from_then_on(tmp_path: Path) -> None:
    arrays = raws.huggingface()
    arrays["lm_head.weight"] = arrays["wte.weight"] * np.float32(1 + 1e-6)
    assert (arrays["lm_head.weight"] != arrays["wte.weight"]).any()
    source = write_model(tmp_path / "model", arrays)
    report = gpt2_convert.convert(source, tmp_path / "a.npz", dtype="float16", digest=True)
    assert report.digests is not None
    assert report.digests.sha256 == gpt2_convert.digest(tmp_path / "a.npz").sha256
    gpt2_convert.convert(tmp_path / "a.npz", tmp_path / "b.npz")
    assert gpt2_convert.verify(source, tmp_path / "b.npz", dtype="float16").ok


def test_brackets_in_a_pattern_mean_themselves(tmp_path: Path) -> None:
    arrays = {**raws.canonical(), "blocks[0].extra": np.zeros(3, np.float32)}
    np.savez(tmp_path / "a.npz", allow_pickle=False, **arrays)
    with gpt2_convert.open(tmp_path / "a.npz", drop=["blocks[0].*"]) as checkpoint:
        assert_canonical(checkpoint)


def test_a_model_in_bfloat16_can_be_read_as_another_dtype(tmp_path: Path) -> None:
    source = write_model(tmp_path / "model", raws.huggingface())
    gpt2_convert.convert(source, tmp_path / "half.safetensors", dtype="bfloat16")
    with gpt2_convert.open(tmp_path / "half.safetensors", dtype="float32") as checkpoint:
        wte = checkpoint["wte"].array()
    expected = raws.canonical()["wte"].astype(ml_dtypes.bfloat16).astype(np.float32)
    np.testing.assert_array_equal(wte, expected, strict=True)
