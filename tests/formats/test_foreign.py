"""What people pass by mistake: each is named, with what to do about it."""

from __future__ import annotations

import io
import pickle
import struct
import tarfile
from typing import TYPE_CHECKING

import numpy as np
import pytest
from safetensors.numpy import save_file
from support import bundles, torch_files

import gpt2_convert
from gpt2_convert.formats.opening import open_raw

if TYPE_CHECKING:
    from pathlib import Path


def torch_tar() -> bytes:
    """A tar file that begins as those of torch 0.1.9 do."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:", format=tarfile.PAX_FORMAT) as archive:
        for name in ("sys_info", "pickle", "tensors", "storages"):
            data = pickle.dumps({}, 2)
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


LFS = (
    b"version https://git-lfs.github.com/spec/v1\n"
    b"oid sha256:248dfc3911869ec493c76e65bf2fcf7f615828b0254c12b473182f0f81d3a707\n"
    b"size 548105171\n"
)
STRANGERS: dict[str, tuple[bytes, type[Exception], str]] = {
    "git-lfs": (LFS, gpt2_convert.FormatError, "git lfs pull"),
    "html": (b"\n <!DOCTYPE html><html>", gpt2_convert.FormatError, "HTML"),
    "xml": (b'<?xml version="1.0"?><Error>', gpt2_convert.FormatError, "XML"),
    "hub": (b"Entry not found", gpt2_convert.FormatError, "Hugging Face Hub"),
    "zeros": (bytes(1000), gpt2_convert.FormatError, "interrupted download"),
    "pickle 2": (pickle.dumps({"a": 1}, 2), gpt2_convert.UnsupportedError, "a pickle"),
    "pickle 5": (pickle.dumps({"a": 1}, 5), gpt2_convert.UnsupportedError, "a pickle"),
    "torch": (torch_tar(), gpt2_convert.UnsupportedError, "of torch before 0.1.10"),
    "flax": (b"\x81\xabtransformer\x84\xa1h", gpt2_convert.UnsupportedError, "msgpack"),
    "gguf": (b"GGUF" + struct.pack("<IQQ", 3, 0, 0), gpt2_convert.UnsupportedError, "GGUF"),
    "empty": (b"", gpt2_convert.FormatError, "an empty file"),
}


@pytest.mark.parametrize("suffix", [".index", ".data-00000-of-00001"])
@pytest.mark.parametrize("what", ["git-lfs", "html", "empty"])
def test_a_stranger_in_place_of_a_tensorflow_file_is_named(
    what: str, suffix: str, tiny: Path
) -> None:
    content, kind, words = STRANGERS[what]
    path = tiny / f"model.ckpt{suffix}"
    path.write_bytes(content)
    with pytest.raises(kind, match=words) as caught:
        gpt2_convert.open(tiny)
    assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.parametrize("name", ["model.safetensors", "weights.bin"])
@pytest.mark.parametrize("what", STRANGERS)
def test_a_stranger_is_named_with_what_to_do(what: str, name: str, tmp_path: Path) -> None:
    content, kind, words = STRANGERS[what]
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(kind, match=words) as caught:
        open_raw(path)
    assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.parametrize("what", STRANGERS)
@pytest.mark.parametrize(
    "name",
    [
        "model.safetensors", "model.safetensors.index.json", "pytorch_model.bin",
        "pytorch_model.bin.index.json",
    ],
)  # fmt: skip
def test_a_stranger_in_a_model_folder_is_named(what: str, name: str, tmp_path: Path) -> None:
    content, kind, words = STRANGERS[what]
    (tmp_path / name).write_bytes(content)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(kind, match=words) as caught:
        open_raw(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path / name}: ")


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["adapter_config.json"], "merge_and_unload"),
        (["flax_model.msgpack"], "msgpack"),
    ],
)
def test_a_folder_of_another_program_is_named(names: list[str], words: str, tmp_path: Path) -> None:
    for name in ["config.json", *names]:
        (tmp_path / name).write_text("{}")
    with pytest.raises(gpt2_convert.UnsupportedError, match=words):
        open_raw(tmp_path)


@pytest.mark.parametrize(
    ("file", "tensor"),
    [
        ("adapter_model.safetensors", "base_model.model.h.0.attn.c_attn.lora_A.weight"),
        ("adapter_model.safetensors", "prompt_embeddings"),
        ("model.safetensors", "base_model.model.h.0.attn.c_attn.lora_A.weight"),
        ("adapter_model.bin", "base_model.model.h.0.attn.c_attn.lora_A.weight"),
        ("adapter_model.bin", "prompt_embeddings"),
    ],
)
def test_an_adapter_is_listed_and_not_converted(file: str, tensor: str, tmp_path: Path) -> None:
    array = np.zeros((), np.uint8)
    if file.endswith(".bin"):
        torch_files.write(tmp_path / file, {tensor: torch_files.tensor(array)})
    else:
        save_file({tensor: array}, tmp_path / file)
    (tmp_path / "adapter_config.json").write_text("{}")
    report = gpt2_convert.inspect(tmp_path)
    assert [found.name for found in report.tensors] == [tensor]
    assert "LoRA adapter" in f"{report.faults}{report.not_gpt2}"
    with pytest.raises(gpt2_convert.UnsupportedError, match="merge_and_unload"):
        gpt2_convert.convert(tmp_path, tmp_path / "out.npz")


def test_an_adapter_is_nothing_to_compare_a_model_with(tmp_path: Path) -> None:
    save_file({"x": np.zeros(1, np.float32)}, tmp_path / "adapter_model.safetensors")
    with pytest.raises(gpt2_convert.UnsupportedError, match="merge_and_unload"):
        gpt2_convert.verify(bundles.write_gpt2(tmp_path / "model"), tmp_path)


def test_an_adapter_is_taken_as_it_is(tmp_path: Path) -> None:
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    save_file({"h.0.lora_A.weight": array}, tmp_path / "adapter_model.safetensors")
    report = gpt2_convert.convert(tmp_path, tmp_path / "out.npz", as_is=True)
    assert report.ok
    with np.load(tmp_path / "out.npz") as written:
        np.testing.assert_array_equal(written["h.0.lora_A.weight"], array, strict=True)


def test_a_json_text_points_to_the_weights(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text('{\n  "n_embd": 768\n}')
    with pytest.raises(gpt2_convert.FormatError, match="name the folder"):
        open_raw(path)
