"""TensorFlow checkpoints as a target: TensorFlow's own bytes, in OpenAI's folder."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from typing import TYPE_CHECKING

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save_file
from support import bundles, contracts, raws
from support.tf_writers import load, save
from support.writers import WRITERS

import gpt2_convert
from gpt2_convert import Checkpoint
from gpt2_convert.formats.tensorflow.writer import write

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import ModuleType
    from typing import Any

    Array = np.ndarray[Any, Any]

assert ml_dtypes.bfloat16, "by which NumPy knows bfloat16"

INDEX, DATA = "model.ckpt.index", "model.ckpt.data-00000-of-00001"
BUNDLE = ("checkpoint", "hparams.json", INDEX, DATA)
"""What OpenAI's folder has beside the tokenizer and the graph."""
NARROW_124M = {"n_vocab": 61, "n_ctx": 16, "n_embd": 24, "n_head": 12, "n_layer": 12}
"""The tensors of 124M, a few columns wide; of the layers, h10 stands before h2."""


class TestTensorFlow(contracts.WriterContract):
    writer = WRITERS["tf"]

    def hparams(self, path: Path) -> dict[str, object]:
        found: dict[str, object] = json.loads((path / "hparams.json").read_text())
        return found


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def save_gpt2(
    tf: ModuleType,
    folder: Path,
    dtype: str = "float32",
    sizes: Mapping[str, int] = bundles.TINY,
) -> dict[str, bytes]:
    """Write a small GPT-2 with TensorFlow and OpenAI's files beside it, and return all of them."""
    arrays = bundles.gpt2_arrays(sizes)
    save(tf, folder / "model.ckpt", {name: each.astype(dtype) for name, each in arrays.items()})
    text = json.dumps(sizes, indent=2) + "\n"
    (folder / "hparams.json").write_text(text)
    (folder / "checkpoint").write_text(
        'model_checkpoint_path: "model.ckpt"\nall_model_checkpoint_paths: "model.ckpt"\n'
    )
    return contents(folder)


# The bytes.


def test_a_folder_has_the_bytes_that_tensorflow_s_saver_writes(
    tf: ModuleType, tiny: Path, tmp_path: Path
) -> None:
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        for name, array in reversed(bundles.gpt2_arrays().items()):
            v1.get_variable(name, initializer=array, use_resource=False)
        session.run(v1.global_variables_initializer())
        # In OpenAI's folder, too, the checkpoint file names a path within the folder.
        saver = v1.train.Saver(save_relative_paths=True)
        (tmp_path / "saved").mkdir()
        prefix = str(tmp_path / "saved" / "model.ckpt")
        saver.save(session, prefix, write_meta_graph=False)
    gpt2_convert.convert(tiny, tmp_path / "out", to="tensorflow")
    written = contents(tmp_path / "out")
    assert json.loads(written.pop("hparams.json")) == bundles.TINY
    assert written == contents(tmp_path / "saved")


ROUNDS = {
    "float32": ("npz", "safetensors", "hdf5", "hf", "tensorflow"),
    "float16": ("npz", "safetensors", "hdf5", "hf", "tensorflow"),
    "bfloat16": ("safetensors", "hf", "tensorflow"),
    "float64": ("npz", "safetensors", "hdf5", "hf", "tensorflow"),
}


@pytest.mark.parametrize(
    ("dtype", "by_way_of"), [(dtype, each) for dtype, ways in ROUNDS.items() for each in ways]
)
def test_a_way_there_and_back_gives_the_bytes_of_the_first_file(
    dtype: str,
    by_way_of: Any,  # noqa: ANN401 - a key of WRITERS
    tf: ModuleType,
    tmp_path: Path,
) -> None:
    # Not even a config.json comes in that has nothing to add.
    before = save_gpt2(tf, tmp_path / "first", dtype, NARROW_124M)
    between = tmp_path / "between"
    gpt2_convert.convert(tmp_path / "first", between, to=by_way_of)
    gpt2_convert.convert(between, tmp_path / "again", to="tensorflow")
    after = contents(tmp_path / "again")
    assert after == before


@pytest.mark.parametrize("by_way_of", ["npz", "safetensors", "hdf5", "hf"])
def test_the_way_from_a_file_of_this_tool_and_back_gives_its_bytes(
    by_way_of: Any,  # noqa: ANN401 - a key of WRITERS
    tiny: Path,
    tmp_path: Path,
) -> None:
    gpt2_convert.convert(tiny, tmp_path / "first", to=by_way_of)
    gpt2_convert.convert(tmp_path / "first", tmp_path / "between", to="tensorflow")
    gpt2_convert.convert(tmp_path / "between", tmp_path / "again", to=by_way_of)
    first, again = tmp_path / "first", tmp_path / "again"
    if by_way_of == "hf":
        assert contents(again) == contents(first)
    else:
        assert again.read_bytes() == first.read_bytes()


def test_the_shards_of_a_partitioned_checkpoint_become_one_file(
    tf: ModuleType, tmp_path: Path
) -> None:
    bundle = bundles.Bundle(shards=[bytearray() for _ in range(3)])
    for number, (name, array) in enumerate(bundles.gpt2_arrays().items()):
        if name == "model/wte":
            bundle.add_slices(name, array, [((0, 30), (0, -1)), ((30, 31), (0, -1))])
        else:
            bundle.add(name, array, number % 3)
    bundle.write(tmp_path / "model" / "model.ckpt")
    plain = save_gpt2(tf, tmp_path / "plain")
    gpt2_convert.convert(tmp_path / "model", tmp_path / "out", to="tensorflow", n_head=4)
    assert contents(tmp_path / "out") == plain


def test_sizes_and_names_are_stated_in_the_bytes_of_openai_s_files(tmp_path: Path) -> None:
    sizes = bundles.OPENAI["124M"]
    config = raws.config(**sizes, n_inner=4 * 768)
    checkpoint = Checkpoint(raw=raws.raw({}), config=config, tensors={}, dropped=())
    write(checkpoint, tmp_path, lambda _: None)
    # As they are published, in schemas/published.toml too.
    assert {name: hashlib.sha256(contents(tmp_path)[name]).hexdigest() for name in BUNDLE[:2]} == {
        "checkpoint": "dd1b025d2e155283f5e300ce95bf6d5b6bc0f7fe010db73daa6975eb896ab9cb",
        "hparams.json": "d9d56e4121c427164e0c55c6f03c08e1daf9002b9b672825112d19097b680318",
    }


# Who loads it.


@pytest.fixture
def model(tiny: Path, tmp_path: Path) -> Path:
    """The folder of a Hugging Face model with its tokenizer."""
    gpt2_convert.convert(tiny, tmp_path / "model", to="hf")
    (tmp_path / "model" / "vocab.json").write_bytes(b'{"\\u0120the": 60}')
    (tmp_path / "model" / "merges.txt").write_bytes(b"#version: 0.2\n\xc4\xa0 t\n")
    return tmp_path / "model"


def test_tensorflow_s_own_reader_finds_every_tensor(
    model: Path, tf: ModuleType, tmp_path: Path
) -> None:
    gpt2_convert.convert(model, tmp_path / "out", to="tensorflow")
    # By the checkpoint file, the folder alone says which.
    prefix = tf.train.latest_checkpoint(str(tmp_path / "out"))
    assert prefix == str(tmp_path / "out" / "model.ckpt")
    reader = tf.train.load_checkpoint(prefix)
    expected = bundles.gpt2_arrays()
    assert reader.get_variable_to_shape_map() == {
        name: list(array.shape) for name, array in expected.items()
    }
    for name, array in expected.items():
        np.testing.assert_array_equal(reader.get_tensor(name), array, strict=True)
    assert contracts.contents_of(load(tf, tmp_path / "out" / "model.ckpt")) == (
        contracts.contents_of(expected)
    )


def test_a_saver_restores_the_variables_that_openai_s_code_makes(
    model: Path, tf: ModuleType, tmp_path: Path
) -> None:
    # As nshepperd's train.py and gpt-2-simple do.
    gpt2_convert.convert(model, tmp_path / "out", to="tensorflow")
    hparams = json.loads((tmp_path / "out" / "hparams.json").read_text())
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        variables = {
            name: v1.get_variable(name, shape, use_resource=False)
            for name, shape in bundles.gpt2_shapes(hparams).items()
        }
        saver = v1.train.Saver(var_list=list(variables.values()))
        saver.restore(session, tf.train.latest_checkpoint(str(tmp_path / "out")))
        found = session.run(variables)
    for name, array in bundles.gpt2_arrays().items():
        np.testing.assert_array_equal(found[name], array, strict=True)


def test_picogpt_s_loop_over_the_names_makes_its_tree(
    model: Path, tf: ModuleType, tmp_path: Path
) -> None:
    gpt2_convert.convert(model, tmp_path / "out", to="tensorflow")
    prefix = str(tmp_path / "out" / "model.ckpt")
    tree: dict[str, Array] = {}
    for name, _ in tf.train.list_variables(prefix):
        array = np.squeeze(tf.train.load_variable(prefix, name))
        stem = name.removeprefix("model/")
        if stem.startswith("h"):
            layer, _, rest = stem[1:].partition("/")
            stem = f"blocks[{int(layer)}]/{rest}"
        tree[stem.replace("/", ".")] = array
    expected = raws.canonical()
    assert tree.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(tree[name], array, strict=True)


# What lies beside the weights.


def test_the_tokenizer_comes_along_under_openai_s_names_and_goes_back(
    model: Path, tmp_path: Path
) -> None:
    (model / "generation_config.json").write_text("{}")
    report = gpt2_convert.convert(model, tmp_path / "out", to="tensorflow")
    assert {each.source_name: each.name for each in report.companions} == {
        "generation_config.json": "generation_config.json",
        "merges.txt": "vocab.bpe",
        "vocab.json": "encoder.json",
    }
    written, before = contents(tmp_path / "out"), contents(model)
    assert written.keys() == {*BUNDLE, "encoder.json", "vocab.bpe", "generation_config.json"}
    assert written["encoder.json"] == before["vocab.json"]
    assert written["vocab.bpe"] == before["merges.txt"]
    found = gpt2_convert.verify(model, tmp_path / "out")
    assert found.ok
    assert found.companions == ("generation_config.json", "merges.txt", "vocab.json")
    gpt2_convert.convert(tmp_path / "out", tmp_path / "again", to="hf")
    assert contents(tmp_path / "again") == before
    # From OpenAI's folder to OpenAI's folder they keep their names.
    gpt2_convert.convert(tmp_path / "out", tmp_path / "copy", to="tensorflow")
    assert contents(tmp_path / "copy") == written


def test_the_weights_alone_are_a_folder_too(model: Path, tmp_path: Path) -> None:
    gpt2_convert.convert(model, tmp_path / "out", to="tensorflow", weights_only=True)
    assert contents(tmp_path / "out").keys() == set(BUNDLE)
    gpt2_convert.convert(model, tmp_path / "a.npz")
    gpt2_convert.convert(tmp_path / "a.npz", tmp_path / "bare", to="tensorflow")
    assert contents(tmp_path / "bare") == contents(tmp_path / "out")


def test_a_digest_is_that_of_the_source_and_of_the_report(model: Path, tmp_path: Path) -> None:
    report = gpt2_convert.convert(model, tmp_path / "out", to="tensorflow", digest=True)
    assert report.digests is not None
    found = gpt2_convert.digest(tmp_path / "out")
    assert found.sha256 == gpt2_convert.digest(model).sha256 == report.digests.sha256


# What OpenAI's layout has no word for.


def change_config(folder: Path, **fields: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("activation_function", "relu", 'activation_function "relu"'),
        ("layer_norm_epsilon", 1e-6, "layer_norm_epsilon 1e-06"),
        ("scale_attn_by_inverse_layer_idx", True, "scale_attn_by_inverse_layer_idx true"),
    ],
)
def test_behaviour_is_carried_by_a_config_beside_it_and_said(
    field: str, value: object, told: str, model: Path, tmp_path: Path
) -> None:
    change_config(model, **{field: value})
    report = gpt2_convert.convert(model, tmp_path / "out", to="tensorflow")
    (note,) = report.notes
    assert note == (
        f"config.json beside the checkpoint states {told}, for which OpenAI's layout has no word: "
        "whoever goes by hparams.json alone computes otherwise"
    )
    assert json.loads((tmp_path / "out" / "config.json").read_text())[field] == value
    assert set(json.loads((tmp_path / "out" / "hparams.json").read_text())) == set(bundles.TINY)
    assert gpt2_convert.verify(model, tmp_path / "out").ok
    assert gpt2_convert.digest(tmp_path / "out").sha256 == gpt2_convert.digest(model).sha256
    (tmp_path / "out" / "config.json").unlink()
    assert not gpt2_convert.verify(model, tmp_path / "out").ok


@pytest.mark.parametrize(
    "fields", [{"resid_pdrop": 0.25}, {"use_cache": 1}, {"zzz": [1, {"b": 1, "a": 2}], "aaa": None}]
)
def test_a_config_that_has_something_to_add_is_carried_whole(
    fields: dict[str, object], model: Path, tmp_path: Path
) -> None:
    change_config(model, **fields)
    own = json.loads((model / "config.json").read_text())
    report = gpt2_convert.convert(model, tmp_path / "out", to="tensorflow")
    assert report.notes == ()  # nothing that decides what the model says
    first = contents(tmp_path / "out")
    carried = json.loads(first["config.json"])
    assert json.dumps(carried, sort_keys=True) == json.dumps(own, sort_keys=True)
    # It comes back as it was, by whatever way.
    for to in ("npz", "safetensors", "hdf5", "hf"):
        gpt2_convert.convert(tmp_path / "out", tmp_path / to, to=to, weights_only=True)
        gpt2_convert.convert(tmp_path / to, tmp_path / f"{to} again", to="tensorflow")
        again = contents(tmp_path / f"{to} again")
        assert again == {name: first[name] for name in (*BUNDLE, "config.json")}


def test_a_config_is_that_of_a_hugging_face_folder(shared_data: Path, tmp_path: Path) -> None:
    source = shared_data / "hf-capp-gpt"
    for to in ("tensorflow", "hf"):
        gpt2_convert.convert(source, tmp_path / to, to=to)
    written = [(tmp_path / to / "config.json").read_bytes() for to in ("tensorflow", "hf")]
    assert written[0] == written[1]
    gpt2_convert.convert(tmp_path / "tensorflow", tmp_path / "again", to="hf")
    assert contents(tmp_path / "again") == contents(tmp_path / "hf")


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_what_openai_s_variables_cannot_be_restored_from_is_said(
    dtype: Any,  # noqa: ANN401 - a name of a dtype
    tf: ModuleType,
    tiny: Path,
    tmp_path: Path,
) -> None:
    report = gpt2_convert.convert(tiny, tmp_path / "out", to="tensorflow", dtype=dtype)
    assert report.notes == (f"OpenAI's code restores float32 alone, and the weights are {dtype}",)
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        saver = v1.train.Saver([v1.get_variable("model/wpe", (16, 32), use_resource=False)])
        with pytest.raises(tf.errors.OpError, match="dtype"):
            saver.restore(session, str(tmp_path / "out" / "model.ckpt"))


def narrow(folder: Path) -> Path:
    """A checkpoint whose MLP is half as wide as GPT-2's."""
    arrays = bundles.gpt2_arrays()
    for name, array in arrays.items():
        if "/mlp/c_fc/" in name:
            arrays[name] = array[..., :64]
        elif name.endswith("/mlp/c_proj/w"):
            arrays[name] = array[:, :64]
    return bundles.write_gpt2(folder, arrays=arrays, hparams=False)


def test_another_width_of_the_mlp_is_carried_by_a_config_too(tmp_path: Path) -> None:
    source = narrow(tmp_path / "source")
    report = gpt2_convert.convert(source, tmp_path / "out", to="tensorflow", n_head=4)
    assert [each for each in report.notes if "states n_inner 64, for which" in each]
    assert json.loads((tmp_path / "out" / "hparams.json").read_text()) == bundles.TINY
    with gpt2_convert.open(tmp_path / "out") as checkpoint:
        assert checkpoint.config.n_inner == 64
    assert gpt2_convert.verify(source, tmp_path / "out").ok
    assert contents(tmp_path / "out")[INDEX] == contents(source)[INDEX]


@pytest.fixture
def untied(model: Path) -> Path:
    """A Hugging Face model whose head differs from its embeddings."""
    arrays = WRITERS["hf"].load(model)
    arrays["lm_head.weight"] = arrays["transformer.wte.weight"] + 1
    save_file(arrays, model / "model.safetensors", {"format": "pt"})
    change_config(model, tie_word_embeddings=False)
    return model


def test_a_head_has_no_name_and_goes_only_by_its_own(untied: Path, tmp_path: Path) -> None:
    with pytest.raises(
        gpt2_convert.UnsupportedError,
        match=r"'lm_head\.weight' differs from wte, and OpenAI's layout has no name for a head",
    ) as caught:
        gpt2_convert.convert(untied, tmp_path / "out", to="tensorflow")
    assert caught.value.advice is not None
    assert (caught.value.advice.option, caught.value.advice.value) == ("drop", "lm_head.weight")
    assert not (tmp_path / "out").exists()
    report = gpt2_convert.convert(
        untied, tmp_path / "out", to="tensorflow", drop=["lm_head.weight"]
    )
    assert any("the model was changed" in note for note in report.notes)
    # That its head is tied goes without saying.
    assert contents(tmp_path / "out").keys() == {*BUNDLE, "encoder.json", "vocab.bpe"}


def test_without_a_number_of_heads_there_are_no_hparams(tmp_path: Path) -> None:
    source = bundles.write_gpt2(tmp_path / "source", hparams=False)
    with pytest.raises(gpt2_convert.UnsupportedError, match="n_head is unknown") as caught:
        gpt2_convert.convert(source, tmp_path / "out", to="tensorflow")
    assert caught.value.advice is not None
    assert caught.value.advice.option == "n_head"
    assert os.listdir(tmp_path) == ["source"]
    gpt2_convert.convert(source, tmp_path / "out", to="tensorflow", n_head=4)
    assert json.loads((tmp_path / "out" / "hparams.json").read_text()) == bundles.TINY


def test_a_config_that_no_reader_would_take_is_not_written(model: Path, tmp_path: Path) -> None:
    path = model / "config.json"
    fields = {**json.loads(path.read_text()), "numbers": [1] * 300_000}
    path.write_text(json.dumps(fields, separators=(",", ":")))
    with pytest.raises(
        gpt2_convert.UnsupportedError, match=r"bytes as config\.json, where at most 1,048,576 make"
    ):
        gpt2_convert.convert(model, tmp_path / "out", to="tensorflow")
    assert not (tmp_path / "out").exists()


# Folders that are there.


def test_an_older_checkpoint_is_replaced_by_force_alone(
    model: Path, tiny: Path, tmp_path: Path
) -> None:
    target = tmp_path / "out"
    gpt2_convert.convert(model, target, to="tensorflow")
    with pytest.raises(gpt2_convert.TargetExistsError, match="force=True"):
        gpt2_convert.convert(tiny, target, to="tensorflow")
    # Its tokenizer and its configuration are files that such a folder may have.
    gpt2_convert.convert(tiny, target, to="tensorflow", force=True)
    assert contents(target).keys() == set(BUNDLE)
    assert gpt2_convert.verify(tiny, target).ok
    (tmp_path / "empty").mkdir()
    gpt2_convert.convert(tiny, tmp_path / "empty", to="tensorflow")
    assert contents(tmp_path / "empty") == contents(target)


def test_what_this_tool_does_not_write_is_never_replaced(
    model: Path, tiny: Path, tmp_path: Path
) -> None:
    (tmp_path / "a.txt").write_text("years of work")
    for name in ("model.ckpt.meta", "model.ckpt-7.index", "thesis.tex"):
        target = tmp_path / name
        shutil.copytree(tiny, target)
        (target / name).touch()
        with pytest.raises(gpt2_convert.TargetError, match=rf"holds '{name}'"):
            gpt2_convert.convert(model, target, to="tensorflow", force=True)
    with pytest.raises(gpt2_convert.TargetError, match=r"holds 'model\.safetensors'"):
        gpt2_convert.convert(tiny, model, to="tensorflow", force=True)
    with pytest.raises(gpt2_convert.TargetError, match="is a file; name a folder"):
        gpt2_convert.convert(tiny, tmp_path / "a.txt", to="tensorflow", force=True)
    with pytest.raises(gpt2_convert.UsageError, match="source lies in the target folder"):
        gpt2_convert.convert(tiny, tiny, to="tensorflow", force=True)


@pytest.mark.parametrize("force", [False, True])
def test_after_a_failure_the_older_checkpoint_stands_and_nothing_else(
    force: bool, tiny: Path, tmp_path: Path
) -> None:
    gpt2_convert.convert(tiny, tmp_path / "out", to="tensorflow")
    before = contents(tmp_path / "out")
    shard = tiny / DATA
    shard.write_bytes(bytes(shard.stat().st_size))
    with pytest.raises(gpt2_convert.Gpt2ConvertError):
        gpt2_convert.convert(tiny, tmp_path / "out", to="tensorflow", force=force)
    with pytest.raises(gpt2_convert.ChecksumError):
        gpt2_convert.convert(tiny, tmp_path / "new", to="tensorflow")
    assert contents(tmp_path / "out") == before
    assert sorted(os.listdir(tmp_path)) == ["models", "out"]


@pytest.mark.parametrize("name", BUNDLE)
def test_a_written_folder_that_loses_a_byte_is_no_equal(
    name: str, tiny: Path, tmp_path: Path
) -> None:
    gpt2_convert.convert(tiny, tmp_path / "out", to="tensorflow")
    path = tmp_path / "out" / name
    path.write_bytes(path.read_bytes()[:-3])
    if name == "checkpoint":
        assert gpt2_convert.verify(tiny, tmp_path / "out").ok  # its first line says enough
        return
    if name == "hparams.json":
        (finding,) = gpt2_convert.verify(tiny, tmp_path / "out").findings
        assert "hparams.json: not JSON" in finding.message
        return
    with pytest.raises(gpt2_convert.FormatError, match=re.escape(str(path))):
        gpt2_convert.verify(tiny, tmp_path / "out")
