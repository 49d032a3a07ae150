"""safetensors files read: what the official library finds is found, what it refuses is refused."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from support import contracts
from support.safetensors_files import DATA, ONE, Header, encode, entry, read, write_index

import gpt2_convert
from gpt2_convert.formats.huggingface.reader import recognises
from gpt2_convert.formats.opening import open_raw

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class SafetensorsContract(contracts.ReaderContract):
    format = "safetensors"
    direct = True
    flip_stride = 3
    cut_stride = 3

    def extra_arrays(self) -> dict[str, contracts.Array]:
        return {"complex64": np.array([1 + 2j, -3j], np.complex64)}


class TestOneFile(SafetensorsContract):
    def write(self, folder: Path, arrays: Mapping[str, contracts.Array]) -> Path:
        save_file(dict(arrays), folder / "x.safetensors", {"format": "pt"})
        return folder / "x.safetensors"

    def oracle(self, path: Path) -> dict[str, contracts.Array]:
        return load_file(path)


class TestShards(SafetensorsContract):
    def write(self, folder: Path, arrays: Mapping[str, contracts.Array]) -> Path:
        names = [f"model-{number:05d}-of-00002.safetensors" for number in (1, 2)]
        weight_map = {name: names[at % len(names)] for at, name in enumerate(arrays)}
        for shard in names:
            part = {name: array for name, array in arrays.items() if weight_map[name] == shard}
            if part:
                save_file(part, folder / shard)
        return write_index(folder, **weight_map)

    def oracle(self, path: Path) -> dict[str, contracts.Array]:
        shards = (load_file(shard) for shard in path.parent.glob("*.safetensors"))
        return {name: array for shard in shards for name, array in shard.items()}


# What is read


def test_a_file_of_one_number_byte_by_byte(tmp_path: Path) -> None:
    path = tmp_path / "one.safetensors"
    path.write_bytes(b"\x36\0\0\0\0\0\0\0" + ONE.encode() + DATA)
    with open_raw(path) as raw:
        (tensor,) = raw.tensors
        assert (tensor.name, tensor.shape, tensor.dtype, tensor.nbytes) == ("a", (1,), "float32", 4)
        assert list(tensor.chunks()) == [DATA]
        assert (raw.format, raw.where, raw.configs, raw.faults) == (
            "safetensors", str(path), (), (),
        )  # fmt: skip


def test_the_trained_model_reads_as_the_library_reads_it(shared_data: Path) -> None:
    folder = shared_data / "hf-capp-gpt"
    expected = load_file(folder / "model.safetensors")
    assert read(folder) == {name: array.tobytes() for name, array in expected.items()}
    with open_raw(folder) as raw:
        assert {tensor.name: tensor.shape for tensor in raw.tensors} == {
            name: array.shape for name, array in expected.items()
        }
        (config,) = raw.configs
        assert config.text == (folder / "config.json").read_bytes()
        assert [file.nbytes for file in raw.files] == [949_792, 779]


def test_bfloat16_is_listed_and_its_bytes_are_read(tmp_path: Path) -> None:
    path = tmp_path / "b.safetensors"
    path.write_bytes(encode({"a": entry(0, 4, [2], "BF16")}, b"\x80\x3f\x00\xc0"))
    with open_raw(path) as raw:
        assert raw.tensors[0].dtype is gpt2_convert.DType.BFLOAT16
        assert list(raw.tensors[0].chunks()) == [b"\x80\x3f\x00\xc0"]


def test_tensors_come_in_the_order_of_their_data_whatever_the_header_says(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(encode({"b": entry(3, 4), "a": entry(1, 3), "c": entry(0, 1)}, b"caab"))
    assert list(read(path).items()) == [("c", b"c"), ("a", b"aa"), ("b", b"b")]


@pytest.mark.slow
def test_the_official_gpt2_file_has_unaligned_data_and_is_read(tmp_path: Path) -> None:
    """Names, shapes and sizes of openai-community/gpt2; its order is not known here."""
    width, shapes = 768, {"wte.weight": [50257, 768], "wpe.weight": [1024, 768]}
    for layer in range(12):
        h = f"h.{layer}"
        shapes |= {f"{h}.{norm}.{leaf}": [width] for norm in ("ln_1", "ln_2") for leaf in LEAVES}
        shapes[f"{h}.attn.bias"] = [1, 1, 1024, 1024]
        for conv, nin, nout in (
            ("attn.c_attn", 1, 3), ("attn.c_proj", 1, 1), ("mlp.c_fc", 1, 4), ("mlp.c_proj", 4, 1),
        ):  # fmt: skip
            shapes[f"{h}.{conv}.weight"] = [nin * width, nout * width]
            shapes[f"{h}.{conv}.bias"] = [nout * width]
    shapes |= {f"ln_f.{leaf}": [width] for leaf in LEAVES}
    header: Header = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, shape in sorted(shapes.items(), key=lambda item: (np.prod(item[1]), item[0])):
        begin, end = end, end + 4 * int(np.prod(shape))
        header[name] = entry(begin, end, shape, "F32")
    assert end == 548_090_880
    header = dict(sorted(header.items(), key=lambda item: item[0][::-1]))  # another order
    text = json.dumps(header, separators=(",", ":")).encode().ljust(14_283)
    assert len(text) == 14_283
    assert len(text) % 8
    path = tmp_path / "model.safetensors"
    path.write_bytes(encode(text, b""))
    last = header["wte.weight"]["data_offsets"][0] + 8 + len(text)
    with path.open("r+b") as file:  # all but one row is a hole in the file, and reads as zeros
        file.truncate(548_105_171)
        file.seek(last + 768 * 4 * 1000)
        row = np.random.default_rng(0).standard_normal(768, np.float32)
        file.write(row.tobytes())
    with open_raw(path) as raw, safe_open(path, "numpy") as library:
        assert len(raw.tensors) == 160
        assert raw.faults == ()
        found = {tensor.name: tensor for tensor in raw.tensors}
        assert found["h.3.attn.bias"].shape == (1, 1, 1024, 1024)
        wte = found["wte.weight"].array()
        np.testing.assert_array_equal(wte[1000], row)
        np.testing.assert_array_equal(wte[999:1002], library.get_slice("wte.weight")[999:1002])


LEAVES = ("bias", "weight")


# Sizes that the file states


def test_the_sizes_come_from_config_json_beside_the_file(tmp_path: Path) -> None:
    (tmp_path / "x.safetensors").write_bytes(encode(ONE))
    (tmp_path / "config.json").write_bytes(b'{ "n_embd" : 1 }\n')
    with open_raw(tmp_path / "x.safetensors") as raw:
        (config,) = raw.configs
        assert config.text == b'{ "n_embd" : 1 }\n'
        assert config.where == str(tmp_path / "config.json")


def test_our_own_metadata_count_alone_unless_the_folder_was_named(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    metadata = {"gpt2-convert": '{"hparams":{"n_embd":7},"source_format":"npz"}'}
    path.write_bytes(encode({"__metadata__": metadata, "a": entry(0, 4)}))
    (tmp_path / "config.json").write_text('{"n_embd": 1}')
    with open_raw(path) as raw:
        (config,) = raw.configs
        assert config.fields() == {"n_embd": 7}
        assert config.where == f"{path}: metadata"
    with open_raw(tmp_path) as raw:
        assert [(config.where, config.fields()) for config in raw.configs] == [
            (f"{path}: metadata", {"n_embd": 7}),
            (str(tmp_path / "config.json"), {"n_embd": 1}),
        ]


@pytest.mark.parametrize("text", ["{", "[]", '{"hparams"', "[" * 5000])
def test_damaged_metadata_of_our_own_is_an_error_when_it_is_needed(
    text: str, tmp_path: Path
) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(encode({"__metadata__": {"gpt2-convert": text}, "a": entry(0, 4)}))
    with open_raw(path) as raw:
        (config,) = raw.configs
        with pytest.raises(gpt2_convert.FormatError, match="metadata"):
            config.fields()


def test_a_file_is_known_by_its_bytes_and_not_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "weights.bin"
    path.write_bytes(encode(ONE))
    assert read(path) == {"a": DATA}
    assert not recognises(tmp_path / "absent.safetensors")


def test_a_file_whose_ninth_byte_happens_to_be_a_brace_is_not_safetensors(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("function{}")
    assert not recognises(path)
