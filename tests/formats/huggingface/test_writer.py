"""Hugging Face model folders: what is in them, and that they appear whole or not at all."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import numpy as np
import pytest
from safetensors.numpy import load_file, save
from support import bundles, contracts, raws
from support.writers import WRITERS

import gpt2_convert

if TYPE_CHECKING:
    from pathlib import Path


MODEL = "model.safetensors"


class TestHuggingFace(contracts.WriterContract):
    writer = WRITERS["hf"]

    def hparams(self, path: Path) -> dict[str, object]:
        config = json.loads((path / "config.json").read_text())
        keys = {"n_vocab": "vocab_size", "n_ctx": "n_positions"}
        return {key: config[keys.get(key, key)] for key in bundles.TINY}


def test_weights_are_the_bytes_that_the_library_would_write(tiny: Path, tmp_path: Path) -> None:
    gpt2_convert.convert(tiny, f"{tmp_path}/hf/")
    arrays = {f"transformer.{name}": array for name, array in raws.huggingface().items()}
    assert (tmp_path / "hf" / "model.safetensors").read_bytes() == save(arrays, {"format": "pt"})


def test_config_states_the_sizes_of_the_source(tiny: Path, tmp_path: Path) -> None:
    gpt2_convert.convert(tiny, f"{tmp_path}/hf/")
    config = json.loads((tmp_path / "hf" / "config.json").read_text())
    assert config["model_type"] == "gpt2"
    assert config["architectures"] == ["GPT2LMHeadModel"]
    assert (config["vocab_size"], config["n_positions"], config["n_ctx"]) == (61, 16, 16)
    assert (config["n_embd"], config["n_head"], config["n_layer"]) == (32, 4, 3)
    assert config["tie_word_embeddings"] is True
    assert config["dtype"] == "float32"


@pytest.mark.parametrize(("n_vocab", "token"), [(50257, 50256), (50258, None), (61, None)])
def test_only_openai_s_vocabulary_has_a_token_that_is_known(
    n_vocab: int, token: int | None, tmp_path: Path
) -> None:
    sizes = {**bundles.TINY, "n_vocab": n_vocab, "n_embd": 4, "n_layer": 1}
    source = bundles.write_gpt2(tmp_path / "source", sizes)
    gpt2_convert.convert(source, f"{tmp_path}/hf/")
    config = json.loads((tmp_path / "hf" / "config.json").read_text())
    assert (config["bos_token_id"], config["eos_token_id"]) == (token, token)
    assert "pad_token_id" not in config


@pytest.mark.parametrize("n_vocab", [50257, 61])
def test_the_source_s_own_tokens_go_before_openai_s(n_vocab: int, tmp_path: Path) -> None:
    sizes = {**bundles.TINY, "n_vocab": n_vocab, "n_embd": 4, "n_layer": 1}
    gpt2_convert.convert(bundles.write_gpt2(tmp_path / "source", sizes), f"{tmp_path}/first/")
    path = tmp_path / "first" / "config.json"
    tokens = {"bos_token_id": None, "eos_token_id": 51, "pad_token_id": 52}
    path.write_text(json.dumps({**json.loads(path.read_text()), **tokens}))
    gpt2_convert.convert(tmp_path / "first", tmp_path / "x.npz")
    for source, target in (("first", "second"), ("x.npz", "third")):
        gpt2_convert.convert(tmp_path / source, f"{tmp_path}/{target}/")
        config = json.loads((tmp_path / target / "config.json").read_text())
        assert {key: config[key] for key in tokens} == tokens


def test_a_real_model_keeps_its_tokens_through_an_archive(
    shared_data: Path, tmp_path: Path
) -> None:
    source = shared_data / "hf-capp-gpt"
    gpt2_convert.convert(source, tmp_path / "x.npz")
    gpt2_convert.convert(tmp_path / "x.npz", f"{tmp_path}/hf/")
    config = json.loads((tmp_path / "hf" / "config.json").read_text())
    own = json.loads((source / "config.json").read_text())
    del own["torch_dtype"]
    assert {key: config[key] for key in own} == own


def test_a_hugging_face_source_keeps_its_own_config(tiny: Path, tmp_path: Path) -> None:
    gpt2_convert.convert(tiny, f"{tmp_path}/first/")
    path = tmp_path / "first" / "config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps({**config, "resid_pdrop": 0.25, "pad_token_id": 7}))
    gpt2_convert.convert(tmp_path / "first", f"{tmp_path}/second/")
    carried = json.loads((tmp_path / "second" / "config.json").read_text())
    assert carried == {**config, "resid_pdrop": 0.25, "pad_token_id": 7}


def test_openai_s_tokenizer_comes_along_byte_for_byte(tiny: Path, tmp_path: Path) -> None:
    (tiny / "encoder.json").write_bytes(b'{"\\u0120the": 262}')
    (tiny / "vocab.bpe").write_bytes(b"#version: 0.2\n\xc4\xa0 t\n")
    gpt2_convert.convert(tiny, f"{tmp_path}/hf/")
    assert (tmp_path / "hf" / "vocab.json").read_bytes() == b'{"\\u0120the": 262}'
    assert (tmp_path / "hf" / "merges.txt").read_bytes() == b"#version: 0.2\n\xc4\xa0 t\n"
    gpt2_convert.convert(tmp_path / "hf", f"{tmp_path}/again/")
    assert sorted(os.listdir(tmp_path / "again")) == sorted(os.listdir(tmp_path / "hf"))
    assert (tmp_path / "again" / "vocab.json").read_bytes() == b'{"\\u0120the": 262}'


TOKENIZER = (
    "vocab.json", "merges.txt", "tokenizer.json", "tokenizer_config.json",
    "special_tokens_map.json", "added_tokens.json", "generation_config.json",
)  # fmt: skip


def test_every_file_beside_the_weights_comes_along_byte_for_byte(
    tiny: Path, tmp_path: Path
) -> None:
    gpt2_convert.convert(tiny, f"{tmp_path}/first/")
    contents = dict.fromkeys(TOKENIZER, b'\r\n{"model": 7}')
    contents |= {"merges.txt": b"a \xc4\xa0\r\n", "README.md": b"\xff\0", "code.py": b"\0 = 1"}
    for name, content in contents.items():
        (tmp_path / "first" / name).write_bytes(content)
    gpt2_convert.convert(tmp_path / "first", f"{tmp_path}/second/")
    # With the file alone goes what has a model's names, and the program beside it may be anybody's.
    gpt2_convert.convert(tmp_path / "first" / "model.safetensors", f"{tmp_path}/third/")
    for target, missing in (("second", set()), ("third", {"code.py"})):
        expected = {name: each for name, each in contents.items() if name not in missing}
        assert set(os.listdir(tmp_path / target)) == {*expected, "config.json", MODEL}
        for name, content in expected.items():
            assert (tmp_path / target / name).read_bytes() == content
    # Code is nothing that a model folder has as a rule, and this conversion writes none.
    with pytest.raises(gpt2_convert.TargetError, match=r"holds 'code\.py'"):
        gpt2_convert.convert(tiny, f"{tmp_path}/second/", force=True)
    (tmp_path / "second" / "code.py").unlink()
    gpt2_convert.convert(tiny, f"{tmp_path}/second/", force=True)
    assert sorted(os.listdir(tmp_path / "second")) == ["config.json", MODEL]


def test_a_vocabulary_under_its_own_name_goes_before_openai_s(tiny: Path, tmp_path: Path) -> None:
    for name in ("encoder.json", "vocab.json", "vocab.bpe", "merges.txt"):
        (tiny / name).write_text(f'{{"{name}": 1}}')
    report = gpt2_convert.convert(tiny, f"{tmp_path}/hf/")
    assert (tmp_path / "hf" / "vocab.json").read_text() == '{"vocab.json": 1}'
    assert (tmp_path / "hf" / "merges.txt").read_text() == '{"merges.txt": 1}'
    assert [each.name for each in report.left] == ["encoder.json", "vocab.bpe"]


@pytest.mark.parametrize("name", ["x.npz", "x.h5", "x.safetensors", "model.safetensors"])
def test_what_lies_beside_a_file_of_this_tool_is_left_there(
    name: str, tiny: Path, tmp_path: Path
) -> None:
    (tmp_path / "many").mkdir()
    gpt2_convert.convert(tiny, tmp_path / "many" / name)
    (tmp_path / "many" / "vocab.json").write_text("of another model")
    (tmp_path / "many" / "tokenizer.json").write_text("of another model")
    gpt2_convert.convert(tmp_path / "many" / name, f"{tmp_path}/hf/")
    assert sorted(os.listdir(tmp_path / "hf")) == ["config.json", MODEL]


def test_what_lies_in_a_folder_that_was_named_comes_along_also_from_a_file_of_this_tool(
    tiny: Path, tmp_path: Path
) -> None:
    (tmp_path / "model").mkdir()
    gpt2_convert.convert(tiny, tmp_path / "model" / MODEL)
    (tmp_path / "model" / "vocab.json").write_text('{"a": 0}')
    gpt2_convert.convert(tmp_path / "model", f"{tmp_path}/hf/")
    assert sorted(os.listdir(tmp_path / "hf")) == ["config.json", MODEL, "vocab.json"]


def test_without_a_number_of_heads_there_is_no_config(tmp_path: Path) -> None:
    source = bundles.write_gpt2(tmp_path / "source", hparams=False)
    with pytest.raises(gpt2_convert.UnsupportedError, match="n_head is unknown"):
        gpt2_convert.convert(source, f"{tmp_path}/hf/")
    assert os.listdir(tmp_path) == ["source"]


def test_a_config_that_no_reader_would_take_is_not_written(tmp_path: Path) -> None:
    # With a line for each number, config.json is four times as long.
    fields = {**raws.CONFIG, "numbers": [1] * 300_000}
    source = tmp_path / "source"
    source.mkdir()
    (source / MODEL).write_bytes(save(raws.huggingface()))
    (source / "config.json").write_text(json.dumps(fields, separators=(",", ":")))
    with pytest.raises(
        gpt2_convert.UnsupportedError, match=r"bytes as config\.json, where at most 1,048,576 make"
    ):
        gpt2_convert.convert(source, f"{tmp_path}/hf/")
    assert os.listdir(tmp_path) == ["source"]


def test_an_existing_folder_needs_force(tiny: Path, tmp_path: Path) -> None:
    gpt2_convert.convert(tiny, f"{tmp_path}/hf/")
    before = (tmp_path / "hf" / "model.safetensors").stat().st_ino
    with pytest.raises(gpt2_convert.TargetExistsError, match="force=True"):
        gpt2_convert.convert(tiny, f"{tmp_path}/hf/")
    assert (tmp_path / "hf" / "model.safetensors").stat().st_ino == before
    gpt2_convert.convert(tiny, f"{tmp_path}/hf/", force=True)
    assert (tmp_path / "hf" / "model.safetensors").stat().st_ino != before
    assert sorted(os.listdir(tmp_path)) == ["hf", "models"]


def test_an_empty_folder_is_filled(tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "hf").mkdir()
    gpt2_convert.convert(tiny, f"{tmp_path}/hf/")
    assert gpt2_convert.verify(tiny, tmp_path / "hf").ok


def test_a_folder_with_anything_else_is_never_replaced(tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.tex").write_text("years of work")
    with pytest.raises(gpt2_convert.TargetError, match=r"holds 'thesis\.tex'"):
        gpt2_convert.convert(tiny, f"{tmp_path}/home/", force=True)
    assert (tmp_path / "home" / "thesis.tex").read_text() == "years of work"


def test_the_source_folder_is_never_replaced(tiny: Path, tmp_path: Path) -> None:
    gpt2_convert.convert(tiny, f"{tmp_path}/hf/")
    with pytest.raises(gpt2_convert.UsageError, match="source lies in the target folder"):
        gpt2_convert.convert(tmp_path / "hf", f"{tmp_path}/hf/", force=True)


@pytest.mark.parametrize("force", [False, True])
def test_after_a_failure_the_old_folder_stands_and_nothing_else(
    force: bool, tiny: Path, tmp_path: Path
) -> None:
    gpt2_convert.convert(tiny, f"{tmp_path}/hf/")
    before = (tmp_path / "hf" / "model.safetensors").read_bytes()
    shard = tiny / "model.ckpt.data-00000-of-00001"
    shard.write_bytes(bytes(shard.stat().st_size))
    with pytest.raises(gpt2_convert.Gpt2ConvertError):
        gpt2_convert.convert(tiny, f"{tmp_path}/hf/", force=force)
    with pytest.raises(gpt2_convert.ChecksumError):
        gpt2_convert.convert(tiny, f"{tmp_path}/new/")
    assert (tmp_path / "hf" / "model.safetensors").read_bytes() == before
    assert sorted(os.listdir(tmp_path)) == ["hf", "models"]


def test_half_precision_is_stated_in_the_config(tmp_path: Path) -> None:
    arrays = bundles.gpt2_arrays(dtype="float16")
    source = bundles.write_gpt2(tmp_path / "source", arrays=arrays)
    gpt2_convert.convert(source, f"{tmp_path}/hf/")
    assert json.loads((tmp_path / "hf" / "config.json").read_text())["dtype"] == "float16"
    loaded = load_file(tmp_path / "hf" / "model.safetensors")
    np.testing.assert_array_equal(
        loaded["transformer.wpe.weight"], arrays["model/wpe"], strict=True
    )
