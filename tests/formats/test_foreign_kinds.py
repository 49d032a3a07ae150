"""Archives, graphs and other programs' weights: told by their bytes, or else by their names."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import pickle
import shutil
import struct
import tarfile
import zipfile
from typing import TYPE_CHECKING

import numpy as np
import pytest
from support import bundles, raws

import gpt2_convert
from gpt2_convert.formats.foreign_kinds import describe_bytes, describe_members, describe_name
from gpt2_convert.formats.opening import open_raw

if TYPE_CHECKING:
    from pathlib import Path

DATA = os.urandom(2000)


def varint(number: int) -> bytes:
    data = b""
    while number > 127:
        data += bytes([number & 127 | 128])
        number >>= 7
    return data + bytes([number])


def field(number: int, data: bytes) -> bytes:
    """A field of a protobuf message with a length."""
    return bytes([number << 3 | 2]) + varint(len(data)) + data


def tar(format: int) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=format) as archive:
        member = tarfile.TarInfo("model/model.ckpt.index")
        member.size = len(DATA)
        archive.addfile(member, io.BytesIO(DATA))
    return buffer.getvalue()


def zipped(names: list[str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, DATA)
    return buffer.getvalue()


def npy(array: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    return buffer.getvalue()


def numpy_pickle(protocol: int) -> bytes:
    return pickle.dumps({"wte": np.zeros((3, 2), np.float32)}, protocol)


NODE = field(1, b"input_ids") + field(2, b"Placeholder")
ARCHIVES: dict[str, tuple[bytes, str]] = {
    "gzip": (gzip.compress(DATA), "gunzip"),
    "tar in gzip": (gzip.compress(tar(tarfile.GNU_FORMAT)), "tar -xzf"),
    "bzip2": (bz2.compress(DATA), "bunzip2"),
    "bzip2 of nothing": (bz2.compress(b""), "bunzip2"),
    "xz": (lzma.compress(DATA), "unxz"),
    "zstd": (b"\x28\xb5\x2f\xfd" + DATA, "zstd -d"),
    "lz4": (b"\x04\x22\x4d\x18" + DATA, "lz4 -d"),
    "7z": (b"7z\xbc\xaf\x27\x1c\0\4" + DATA, "7z x"),
    "rar": (b"Rar!\x1a\x07\x01\0" + DATA, "unrar"),
    "tar of GNU": (tar(tarfile.GNU_FORMAT), "tar -xf"),
    "tar of POSIX": (tar(tarfile.PAX_FORMAT), "tar -xf"),
    "zip": (zipped(["model/model.ckpt.index"]), "a zip file.*unpack it first"),
}
OTHERS: dict[str, tuple[bytes, str]] = {
    "saved model": (
        b"\x08\x01" + field(2, field(1, field(2, DATA)) + DATA), "the graph of a SavedModel",
    ),
    "frozen graph": (field(1, NODE) + field(1, DATA), "a frozen graph"),
    "tflite": (struct.pack("<I", 28) + b"TFL3" + DATA, "TensorFlow Lite"),
    "onnx": (b"\x08\x07" + field(2, b"pytorch") + field(3, b"1.13.1") + DATA, "an ONNX model"),
    "msgpack": (b"\x81\xa6params\x81\xabtransformer" + DATA, "msgpack"),
    "gguf": (b"GGUF" + struct.pack("<IQQ", 3, 0, 0) + DATA, "GGUF"),
    "ggml": (struct.pack("<I", 0x67676D6C) + DATA, "a GGML file"),
    "ggjt": (struct.pack("<I", 0x67676A74) + DATA, "a GGML file"),
    "one array": (npy(np.zeros((3, 2), np.float32)), r"one NumPy array.*numpy\.savez"),
    "a pickled dict": (
        npy(np.array({"wte": np.zeros(3)}, object)), r"allow_pickle=True\)\.item\(\)",
    ),
    **{
        f"pickle {protocol} of arrays": (numpy_pickle(protocol), r"numpy\.savez.*pickle\.load")
        for protocol in (2, 3, 4, 5)
    },
}  # fmt: skip
NAMES = {
    "weights.tar": "tar -xf",
    "model.onnx": "an ONNX model",
    "model.tflite": "TensorFlow Lite",
    "GPT2.mlmodel": "Core ML",
    "frozen.pb": "a frozen graph",
    "graph.pbtxt": "the graph of a TensorFlow model as text",
    "saved_model.pb": "'variables' beside it",
    "flax_model.msgpack": "msgpack",
    "weights.pkl": r"numpy\.savez",
    "model.ckpt-5.meta": r"in 'model\.ckpt-5\.index' .* name the prefix, 'model\.ckpt-5'",
    "events.out.tfevents.1550000000.host": "TensorBoard",
}


@pytest.mark.parametrize("what", [*ARCHIVES, *OTHERS])
def test_a_file_is_told_by_its_bytes(what: str, tmp_path: Path) -> None:
    content, words = {**ARCHIVES, **OTHERS}[what]
    path = tmp_path / "weights"
    path.write_bytes(content)
    with pytest.raises(gpt2_convert.Gpt2ConvertError, match=words) as caught:
        open_raw(path)
    assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.parametrize("what", [*ARCHIVES, *OTHERS])
@pytest.mark.parametrize("beside", [True, False])
def test_a_folder_that_has_nothing_else_says_so(what: str, beside: bool, tmp_path: Path) -> None:
    content, words = {**ARCHIVES, **OTHERS}[what]
    (tmp_path / "weights.bin").write_bytes(content)
    if beside:
        (tmp_path / "config.json").write_text("{}")
        (tmp_path / "README.md").write_text("<h1>GPT-2</h1>")
    if what == "zip":
        words = "holds 'weights.bin': a zip file; unpack it first"
    with pytest.raises(gpt2_convert.Gpt2ConvertError, match=words):
        open_raw(tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_where_the_bytes_do_not_tell_the_name_does(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(b"\xc3(\n" + DATA)
    with pytest.raises(gpt2_convert.UnsupportedError, match=NAMES[name]) as caught:
        open_raw(path)
    assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.parametrize("what", ARCHIVES)
def test_an_archive_in_the_place_of_a_data_file_is_named(what: str, tiny: Path) -> None:
    content, words = ARCHIVES[what]
    path = tiny / "model.ckpt.data-00000-of-00001"
    size = path.stat().st_size
    for length in (len(content), size + 5):  # too short, and too long
        path.write_bytes(content.ljust(length, b"\0"))
        with pytest.raises(gpt2_convert.UnsupportedError, match=words) as caught:
            gpt2_convert.open(tiny)
        assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.parametrize("what", ARCHIVES)
@pytest.mark.parametrize("name", ["model.safetensors", "model.safetensors.index.json"])
def test_an_archive_in_the_place_of_safetensors_is_named(
    what: str, name: str, tmp_path: Path
) -> None:
    content, words = ARCHIVES[what]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(gpt2_convert.UnsupportedError, match=words):
        open_raw(tmp_path)


def test_a_whole_data_file_that_was_compressed_is_named(tmp_path: Path) -> None:
    bundles.write_gpt2(tmp_path, sizes={**bundles.TINY, "n_embd": 64})
    path = tmp_path / "model.ckpt.data-00000-of-00001"
    with path.open("rb") as source, gzip.open(tmp_path / "packed", "wb") as target:
        shutil.copyfileobj(source, target)
    assert (tmp_path / "packed").stat().st_size > 4096
    (tmp_path / "packed").replace(path)
    with pytest.raises(gpt2_convert.UnsupportedError, match=r"00001: a gzip file; unpack it first"):
        gpt2_convert.open(tmp_path)


def test_names_in_a_sentence_are_escaped() -> None:
    assert "\x1b" not in str(describe_name("\x1b[31m.meta"))


def test_an_archive_of_keras_is_told_by_its_members() -> None:
    names = ["metadata.json", "config.json", "model.weights.h5"]
    assert "a Keras model" in describe_members(names)
    assert "unpack it first" in describe_members(["model.ckpt.index"])


def test_weights_are_taken_for_nothing_else() -> None:
    random = np.random.default_rng(0)
    for _ in range(500):
        data = random.standard_normal(256).astype(np.float32).tobytes()
        assert describe_bytes(data) is None
    assert describe_name("model.ckpt.data-00000-of-00001") is None


def test_a_keras_file_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "gpt2.keras"
    path.write_bytes(zipped(["metadata.json", "config.json", "model.weights.h5"]))
    with pytest.raises(gpt2_convert.FormatError, match=r"a Keras model \(\.keras\)"):
        open_raw(path)


def test_a_readable_file_goes_before_what_is_not(tmp_path: Path) -> None:
    (tmp_path / "a.tar.gz").write_bytes(gzip.compress(DATA))
    np.savez(tmp_path / "weights.npz", allow_pickle=False, **raws.canonical())
    with pytest.raises(gpt2_convert.SourceNotFoundError, match=r"holds 'weights\.npz'"):
        open_raw(tmp_path)
