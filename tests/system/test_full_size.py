"""At the sizes OpenAI published: what comes out, and the memory it takes."""

from __future__ import annotations

import filecmp
import io
import json
import math
import re
import shutil
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from support import bundles, raws, torch_files
from support.measure import measure
from support.room import room

import gpt2_convert

if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

pytestmark = pytest.mark.slow

PROGRAM = Path(sys.executable).with_name("gpt2-convert")
MEMORY = 100_000_000
"""Bytes that a conversion may take at any model size."""


@pytest.fixture(scope="module")
def saved_by_tensorflow(tf: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """124M random weights in OpenAI's layout, written by TensorFlow's own SaveV2."""
    folder = tmp_path_factory.mktemp("124M")
    arrays = bundles.gpt2_arrays(bundles.OPENAI["124M"])
    tf.raw_ops.SaveV2(
        prefix=str(folder / "model.ckpt"),
        tensor_names=list(arrays),
        shape_and_slices=[""] * len(arrays),
        tensors=list(arrays.values()),
    )
    (folder / "hparams.json").write_text(json.dumps(bundles.OPENAI["124M"]))
    return folder


def test_124m_equals_what_tensorflow_loads(
    saved_by_tensorflow: Path, tf: ModuleType, tmp_path: Path
) -> None:
    prefix = saved_by_tensorflow / "model.ckpt"
    assert prefix.with_name("model.ckpt.index").stat().st_size == 5215
    assert prefix.with_name("model.ckpt.data-00000-of-00001").stat().st_size == 497_759_232
    target = tmp_path / "out.npz"
    done = measure([PROGRAM, "tf2npz", "--json", saved_by_tensorflow, target], tmp_path)
    assert done.code == 0, done.stderr
    assert done.peak <= MEMORY
    report = json.loads(done.stdout)
    assert report["verified"]
    assert (report["tensors"], report["parameters"]) == (148, 124_439_808)
    with np.load(target) as archive:
        assert len(archive.files) == len(report["mapped"]) == 148
        for pair in report["mapped"]:
            expected = tf.train.load_variable(str(prefix), pair["source_name"])
            if expected.ndim == 3:
                expected = expected[0]
            found = archive[pair["name"]]
            assert found.dtype == expected.dtype
            assert found.shape == expected.shape
            assert found.tobytes() == expected.tobytes()
    target.unlink()


def test_124m_comes_back_as_the_bytes_that_tensorflow_wrote(
    saved_by_tensorflow: Path, tmp_path: Path
) -> None:
    archive, again = tmp_path / "a.npz", tmp_path / "again"
    commands: list[list[str | Path]] = [
        [PROGRAM, "tf2npz", saved_by_tensorflow, archive],
        [PROGRAM, "convert", archive, again, "--to", "tensorflow"],
    ]
    for command in commands:
        done = measure(command, tmp_path)
        assert done.code == 0, done.stderr
        assert done.peak <= MEMORY
    archive.unlink()
    for name in ("model.ckpt.index", "model.ckpt.data-00000-of-00001"):
        assert filecmp.cmp(saved_by_tensorflow / name, again / name, shallow=False)
    shutil.rmtree(again)


def test_picogpt_gets_what_its_own_loader_returns(
    saved_by_tensorflow: Path, tf: ModuleType
) -> None:
    prefix = str(saved_by_tensorflow / "model.ckpt")
    params = gpt2_convert.load_gpt2_params_from_tf_ckpt(prefix, bundles.OPENAI["124M"])
    assert set(params) == {"wte", "wpe", "blocks", "ln_f"}
    assert len(params["blocks"]) == 12
    assert params["blocks"][0]["attn"]["c_attn"]["w"].shape == (768, 2304)
    for name, _ in tf.train.list_variables(prefix):
        place: Any = params
        for key in name.removeprefix("model/").split("/"):
            place = place["blocks"][int(key[1:])] if key[0] == "h" else place[key]
        expected = np.squeeze(tf.train.load_variable(prefix, name))
        assert (place.dtype, place.shape) == (expected.dtype, expected.shape)
        assert place.tobytes() == expected.tobytes()


def test_1558m_takes_no_more_memory_and_zip64_works(tmp_path: Path) -> None:
    sizes = bundles.OPENAI["1558M"]
    random = np.random.default_rng(0)
    last_layer = f"model/h{sizes['n_layer'] - 1}/"
    zero = np.zeros(1, np.float32)

    def weights(name: str, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
        random_too = name.startswith((last_layer, "model/ln_f"))
        return random.standard_normal(shape, "f4") if random_too else np.broadcast_to(zero, shape)

    # The source is zeros for the most part, and they take no room.
    with room(6_230_444_800 + (1 << 28), tmp_path) as folder:
        source = bundles.stream_gpt2(folder / "1558M", sizes, weights)
        target = folder / "out.npz"
        done = measure([PROGRAM, "tf2npz", source, target], tmp_path)
        assert done.code == 0, done.stderr
        assert done.peak <= MEMORY
        assert target.stat().st_size > 6_230_444_800
        with zipfile.ZipFile(target) as archive:
            assert archive.getinfo("ln_f.b.npy").header_offset > 1 << 32
        random = np.random.default_rng(0)
        with np.load(target) as arrays:
            assert len(arrays.files) == 580
            for name, shape in bundles.gpt2_shapes(sizes).items():
                if name.startswith((last_layer, "model/ln_f")):
                    canonical = name.removeprefix("model/").replace("/", ".")
                    canonical = canonical.replace("h47.", "blocks[47].")
                    expected = random.standard_normal(shape, np.float32)
                    np.testing.assert_array_equal(arrays[canonical], expected.reshape(shape[-2:]))


class Sparse(io.FileIO):
    """A new file in which zeros take no room."""

    def write(self, data: Any) -> int:  # noqa: ANN401 - whatever has bytes
        if len(data) > 4096 and data.count(0) == len(data):
            self.seek(len(data), io.SEEK_CUR)
            return len(data)
        return super().write(data)


def test_a_pytorch_file_of_1558m_takes_no_more_memory_either(tmp_path: Path) -> None:
    sizes = bundles.OPENAI["1558M"]
    zeros, last = np.zeros(1, np.float32), np.arange(1600, dtype=np.float32)
    state: dict[str, torch_files.View] = {}
    for name, shape in bundles.gpt2_shapes(sizes).items():
        canonical = name.removeprefix("model/").replace("/", ".")
        canonical = re.sub(r"^h(\d+)\.", r"blocks[\1].", canonical)
        array = last if canonical == "ln_f.b" else np.broadcast_to(zeros, math.prod(shape))
        state[raws.huggingface_name(canonical)] = torch_files.view(array, shape[-2:])
    with room(6_230_444_800 + (1 << 28), tmp_path) as folder:
        with Sparse(folder / "pytorch_model.bin", "w+") as file:
            torch_files.write_zip(file, torch_files.each_member(state))
        (folder / "hparams.json").write_text(json.dumps(sizes))
        target = folder / "out.npz"
        done = measure([PROGRAM, "convert", folder / "pytorch_model.bin", target], tmp_path)
        assert done.code == 0, done.stderr
        assert done.peak <= MEMORY
        assert target.stat().st_size > 6_230_444_800
        with np.load(target) as arrays:
            assert len(arrays.files) == 580
            np.testing.assert_array_equal(arrays["ln_f.b"], last)


def write_zeros(folder: Path, size: str) -> Path:
    """A checkpoint of that size, which takes no room on the disk."""
    zeros = np.zeros(1, np.float32)
    return bundles.stream_gpt2(
        folder, bundles.OPENAI[size], lambda _, shape: np.broadcast_to(zeros, shape)
    )


def test_a_model_that_speaks_takes_its_weights_in_float32_and_little_more(tmp_path: Path) -> None:
    source = write_zeros(tmp_path / "124M", "124M")
    prompt = " ".join(["7"] * 900)
    for arguments in (["1 2 3"], [prompt], ["1 2 3", "--temperature", "1", "--top-p", "0.9"]):
        done = measure([PROGRAM, "generate", source, *arguments, "--ids", "-q"], tmp_path)
        assert done.code == 0, done.stderr
        assert len(done.stdout.split()) == 40
        assert done.peak <= 497_759_232 + 150_000_000


def test_two_models_of_1558m_are_run_in_a_fraction_of_the_memory_of_one(tmp_path: Path) -> None:
    source = write_zeros(tmp_path / "1558M", "1558M")
    arguments = ["--logits", "--tokens", "48", "--dtype", "float16", "--json"]
    done = measure([PROGRAM, "verify", source, source, *arguments], tmp_path)
    assert done.code == 0, done.stderr
    assert json.loads(done.stdout)["logits"]["max_abs_diff"] == 0
    assert done.peak <= 400_000_000


def write_openai_community_gpt2(folder: Path) -> Path:
    """The file that Hugging Face serves as openai-community/gpt2, but for its weights.

    160 tensors without a prefix, twelve of them masks, and data that are not 8-byte aligned:
    14,283 bytes of header, 548,105,171 in all.
    """
    folder.mkdir()
    sizes = bundles.OPENAI["124M"]
    arrays = raws.huggingface(sizes)
    mask = np.tril(np.ones((1024, 1024), np.float32)).reshape(1, 1, 1024, 1024)
    arrays |= {f"h.{layer}.attn.bias": mask for layer in range(12)}
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    names = sorted(arrays, key=lambda name: arrays[name].nbytes)  # short offsets first
    for name in names:
        start, end = end, end + arrays[name].nbytes
        shape = list(arrays[name].shape)
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    assert len(text) <= 14_283
    with open(folder / "model.safetensors", "wb") as file:
        file.write((14_283).to_bytes(8, "little") + text.ljust(14_283))
        for name in names:
            file.write(arrays[name].tobytes())
        assert file.tell() == 548_105_171
    config = {"model_type": "gpt2", "vocab_size": sizes["n_vocab"], "n_positions": sizes["n_ctx"]}
    config |= {key: sizes[key] for key in ("n_ctx", "n_embd", "n_head", "n_layer")}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_openai_community_gpt2_equals_the_tensorflow_checkpoint(
    saved_by_tensorflow: Path, tmp_path: Path
) -> None:
    model = write_openai_community_gpt2(tmp_path / "gpt2")
    done = measure([PROGRAM, "hf2npz", "--digest", "--json", model, tmp_path / "hf.npz"], tmp_path)
    assert done.code == 0, done.stderr
    assert done.peak <= MEMORY
    report = json.loads(done.stdout)
    assert [drop["reason"] for drop in report["dropped"]] == ["causal mask buffer"] * 12
    gpt2_convert.convert(saved_by_tensorflow, tmp_path / "tf.npz")
    assert gpt2_convert.verify(tmp_path / "tf.npz", tmp_path / "hf.npz").ok
    assert gpt2_convert.digest(tmp_path / "tf.npz").sha256 == report["digest"]
    with zipfile.ZipFile(tmp_path / "tf.npz") as tf, zipfile.ZipFile(tmp_path / "hf.npz") as hf:
        members = [(info.filename, info.CRC) for info in tf.infolist()]
        assert members == [(info.filename, info.CRC) for info in hf.infolist()]
    shutil.rmtree(model)
    for name in ("hf.npz", "tf.npz"):
        (tmp_path / name).unlink()
