"""TensorFlow checkpoints as TensorFlow writes and reads them, found ones, and damaged ones."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy
from support import bundles
from support.contracts import contents, contents_of, find_tensor, no_hang, split_strings
from support.tf_contracts import BundleContract
from support.tf_writers import load, merge, save

import gpt2_convert
from gpt2_convert import ChecksumError, FormatError, UnreadableError, UnsupportedError
from gpt2_convert.cli.program import run
from gpt2_convert.formats.opening import open_raw
from gpt2_convert.formats.tensorflow import reader as tf_bundle

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import ModuleType

    from support.contracts import Array


class TestBundle(BundleContract):
    """One shard."""


class TestShards(BundleContract):
    """Up to three shards, as a distributed saver leaves them."""

    flip_stride = 3

    def write(self, folder: Path, arrays: Mapping[str, Array]) -> Path:
        names = list(arrays)
        shards = min(3, len(names))
        merge(
            self.tf,
            folder,
            [{name: arrays[name] for name in names[at::shards]} for at in range(shards)],
        )
        return folder


# Beyond the contract: what TensorFlow alone can write.


@pytest.mark.parametrize(
    "dtype",
    ["qint8", "qint16", "qint32", "quint8", "quint16", "float8_e4m3fn", "float8_e5m2"],
)
def test_what_numpy_has_no_type_for_is_listed_and_read(
    tf: ModuleType, tmp_path: Path, dtype: str
) -> None:
    values = tf.cast if dtype.startswith("float8") else tf.bitcast
    width = np.dtype(f"u{tf.dtypes.as_dtype(dtype).size}")
    plain = tf.constant([1, 2, 3], "float32" if dtype.startswith("float8") else width)
    prefix = tmp_path / "m"
    tf.raw_ops.SaveV2(
        prefix=str(prefix),
        tensor_names=["x"],
        shape_and_slices=[""],
        tensors=[values(plain, tf.dtypes.as_dtype(dtype))],
    )
    assert tf.train.list_variables(str(prefix)) == [("x", [3])]
    expected = tf.train.load_variable(str(prefix), "x").tobytes()
    assert contents(prefix) == {"x": (dtype, (3,), expected)}
    with open_raw(prefix) as raw, pytest.raises(UnsupportedError, match=f"NumPy has no {dtype}"):
        raw.tensors[0].array()


def test_a_gpt2_in_three_shards_converts_to_the_same_bytes(
    tf: ModuleType, tiny: Path, tmp_path: Path
) -> None:
    arrays = bundles.gpt2_arrays()
    bundle = bundles.Bundle(shards=[bytearray(), bytearray(), bytearray()])
    for number, (name, array) in enumerate(arrays.items()):
        bundle.add(name, array, number % 3)
    prefix = bundle.write(tmp_path / "sharded" / "model.ckpt")
    assert contents_of(load(tf, prefix)) == contents_of(arrays) == contents(prefix)
    (prefix.parent / "hparams.json").write_bytes((tiny / "hparams.json").read_bytes())
    gpt2_convert.convert(tiny, tmp_path / "expected.npz")
    gpt2_convert.convert(prefix, tmp_path / "found.npz")
    expected = (tmp_path / "expected.npz").read_bytes()
    assert (tmp_path / "found.npz").read_bytes() == expected


def test_what_an_object_saver_writes_is_read(tf: ModuleType, tmp_path: Path) -> None:
    arrays = {name: array for name, array in bundles.gpt2_arrays().items() if "h0" in name}
    root = tf.train.Checkpoint(
        step=tf.Variable(7, dtype=tf.int64),
        layers=[tf.Variable(array) for array in arrays.values()],
    )
    prefix = root.save(str(tmp_path / "model"))
    expected = load(tf, tmp_path / "model-1")
    assert prefix == str(tmp_path / "model-1")
    del expected["_CHECKPOINTABLE_OBJECT_GRAPH"]
    graph = tf.train.load_variable(prefix, "_CHECKPOINTABLE_OBJECT_GRAPH")
    assert len(expected) == len(arrays) + 2
    with open_raw(tmp_path) as raw:
        strings = find_tensor(raw, "_CHECKPOINTABLE_OBJECT_GRAPH")
        assert split_strings(strings) == [graph]
        for name, array in expected.items():
            tensor = find_tensor(raw, name)
            assert (tensor.dtype.value, tensor.shape) == (array.dtype.name, array.shape)
            assert b"".join(tensor.chunks()) == array.tobytes()
        assert len(raw.tensors) == len(expected) + 1


@pytest.mark.parametrize("sharded", [False, True])
def test_what_tensorflow_1_saves_is_read(tf: ModuleType, tmp_path: Path, sharded: bool) -> None:
    v1 = tf.compat.v1
    arrays = {f"v{number}": np.full((2, number), number, np.float32) for number in range(5)}
    with tf.Graph().as_default(), v1.Session() as session:
        for name, array in arrays.items():
            v1.get_variable(name, initializer=v1.constant(array))
        session.run(v1.global_variables_initializer())
        prefix = v1.train.Saver(sharded=sharded).save(session, str(tmp_path / "model"), 3)
    assert contents_of(load(tf, tmp_path / "model-3")) == contents_of(arrays)
    assert contents(tmp_path) == contents_of(arrays)
    assert prefix == str(tmp_path / "model-3")


def test_bfloat16_keeps_its_bits(tf: ModuleType, tmp_path: Path) -> None:
    values = tf.constant([[1.0, -2.5], [3e38, float("nan")]], tf.bfloat16)
    prefix = save(tf, tmp_path / "m", {"x": values})
    expected = tf.train.load_variable(str(prefix), "x")
    assert contents(prefix) == {"x": ("bfloat16", (2, 2), expected.tobytes())}
    with open_raw(prefix) as raw, pytest.raises(UnsupportedError, match="x: NumPy has no bfloat16"):
        raw.tensors[0].array()


@pytest.mark.parametrize("data", [b"", b"abc", b"\xfb\x80\x8b\x24\x75\x47\xdb", bytes(100)])
def test_a_file_without_the_magic_at_its_end_is_no_tensorflow_checkpoint(
    tmp_path: Path, data: bytes
) -> None:
    path = tmp_path / "x"
    path.write_bytes(data)
    assert not tf_bundle.recognises(path)
    path.write_bytes(data + bytes.fromhex("57 fb 80 8b 24 75 47 db"))
    assert tf_bundle.recognises(path)


@pytest.mark.parametrize("shape", [(1 << 62, 1 << 62, 0)])
def test_shapes_that_numpy_does_not_have_are_refused_by_name(
    tmp_path: Path, shape: tuple[int, ...]
) -> None:
    bundle = bundles.Bundle()
    bundle.add("x", np.zeros(0 if 0 in shape else 1, np.float32))
    bundle.entries["x"].shape = shape
    with open_raw(bundle.write(tmp_path / "m")) as raw:
        assert raw.tensors[0].shape == shape
        with pytest.raises(UnsupportedError, match="x: NumPy has no array of"):
            raw.tensors[0].array()


# hparams.json.


def test_hparams_are_read_when_there(tiny: Path) -> None:
    with open_raw(tiny) as raw:
        (config,) = raw.configs
        assert config.fields() == bundles.TINY
        assert config.where == str(tiny / "hparams.json")
        assert [file.path for file in raw.files] == [
            str(tiny / name)
            for name in (
                "model.ckpt.index",
                "model.ckpt.data-00000-of-00001",
                "checkpoint",
                "hparams.json",
            )
        ]


def test_without_hparams_there_is_no_config(tiny: Path) -> None:
    (tiny / "hparams.json").unlink()
    with open_raw(tiny) as raw:
        assert raw.configs == ()
        assert len(raw.files) == 3


def test_a_config_of_transformers_counts_beside_hparams_and_without_them(tiny: Path) -> None:
    path = tiny / "config.json"
    path.write_bytes(b'{"activation_function": "gelu"}')
    with open_raw(tiny) as raw:
        assert [config.where for config in raw.configs] == [str(tiny / "hparams.json"), str(path)]
        assert raw.configs[1].fields() == {"activation_function": "gelu"}
        assert raw.files[-1].path == str(path)
    (tiny / "hparams.json").unlink()
    with open_raw(tiny / "model.ckpt") as raw:
        (config,) = raw.configs
        assert config.where == str(path)


@pytest.mark.parametrize(
    "text", [b"", b"../124M/hparams.json", b"\xff", b"{", b"[" * 9999, b"9" * 9999]
)
def test_broken_hparams_are_an_error_only_when_they_are_wanted(tiny: Path, text: bytes) -> None:
    (tiny / "hparams.json").write_bytes(text)
    with open_raw(tiny) as raw:
        assert len(raw.tensors) == 40
        (config,) = raw.configs
        with pytest.raises(FormatError, match=r"hparams\.json: not JSON"):
            config.fields()


def test_hparams_that_are_no_small_file_are_refused(tiny: Path) -> None:
    path = tiny / "hparams.json"
    path.write_bytes(b" " * ((1 << 20) + 1))
    with pytest.raises(FormatError, match="1,048,577 bytes"):
        gpt2_convert.open(tiny)
    path.unlink()
    path.mkdir()
    with pytest.raises(UnreadableError, match=r"hparams\.json"):
        gpt2_convert.open(tiny)
    path.rmdir()
    os.mkfifo(path)
    with no_hang(), pytest.raises(UnreadableError, match=r"hparams\.json"):
        gpt2_convert.open(tiny)
    # What can be listed is listed all the same.
    with open_raw(tiny) as raw:
        assert len(raw.tensors) == len(bundles.gpt2_arrays())


# Found ones.


@pytest.mark.slow
def test_openais_index_before_wrong_data_is_one_error_and_leaves_nothing(
    shared_data: Path, tmp_path: Path
) -> None:
    folder, target = tmp_path / "124M", tmp_path / "out" / "124M.npz"
    folder.mkdir()
    target.parent.mkdir()
    for name in ("checkpoint", "hparams.json", "model.ckpt.index"):
        (folder / name).write_bytes((shared_data / "openai-124M-index" / name).read_bytes())
    data = folder / "model.ckpt.data-00000-of-00001"
    data.touch()
    os.truncate(data, 497_759_232)
    with pytest.raises(ChecksumError, match="'model/wte': crc32c") as caught:
        gpt2_convert.convert(folder, target)
    assert str(data) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not list(target.parent.iterdir())


def found_bundles(shared_data: Path) -> list[Path]:
    indexes = (shared_data / "tf-serving-testdata").rglob("*.index")
    prefixes = [index.with_suffix("") for index in sorted(indexes)]
    assert len(prefixes) == 13
    return [*prefixes, shared_data / "tf1-2shard-tensor2tensor" / "model.ckpt-1"]


def test_bundles_found_in_the_world_read_as_tensorflow_reads_them(
    tf: ModuleType, shared_data: Path
) -> None:
    strings = tensors = 0
    for prefix in found_bundles(shared_data):
        oracle = tf.train.load_checkpoint(str(prefix))
        dtypes = oracle.get_variable_to_dtype_map()
        with open_raw(prefix) as raw:
            assert not raw.faults
            for tensor in raw.tensors:
                value = oracle.get_tensor(tensor.name)
                expected = np.asarray(value, object if tensor.dtype == "string" else None)
                assert tensor.dtype.value == dtypes[tensor.name].name
                assert tensor.shape == expected.shape
                tensors += 1
                if tensor.dtype == "string":
                    strings += 1
                    assert split_strings(tensor) == expected.ravel().tolist()
                else:
                    assert b"".join(tensor.chunks()) == expected.tobytes()
    assert strings == 2
    assert tensors > 250 + 13


def test_bundles_found_in_the_world_are_listed_as_tensorflow_lists_them(
    tf: ModuleType, shared_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for prefix in found_bundles(shared_data):
        expected = tf.train.list_variables(str(prefix))
        report = gpt2_convert.inspect(prefix)
        assert [(each.name, list(each.shape)) for each in report.tensors] == expected
        assert run(["inspect", "--json", str(prefix)]) == 0
        listed = json.loads(capsys.readouterr().out)["tensors"]
        assert [(each["source_name"], each["shape"]) for each in listed] == expected


def test_hparams_that_were_a_link_are_refused_by_name(shared_data: Path) -> None:
    folder = shared_data / "gpt2-finetuned-index-oscar" / "models" / "oscar"
    with open_raw(folder) as raw:
        (config,) = raw.configs
        with pytest.raises(FormatError, match=r"hparams\.json: not JSON.*\.\./124M/hparams\.json"):
            config.fields()


# Any bundle.

NAMES = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=30
)
ARRAYS = st.sampled_from(list(bundles.DTYPE_NUMBERS)).flatmap(
    lambda dtype: st_numpy.arrays(
        dtype, st_numpy.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)
    )
)


@settings(derandomize=True, deadline=None, max_examples=60)
@given(
    arrays=st.dictionaries(NAMES, ARRAYS, max_size=12),
    shards=st.integers(1, 4),
    snappy=st.booleans(),
    block_size=st.sampled_from([1, 100, bundles.BLOCK_SIZE]),
)
def test_any_bundle_reads_back(
    tmp_path_factory: pytest.TempPathFactory,
    arrays: dict[str, Array],
    shards: int,
    snappy: bool,
    block_size: int,
) -> None:
    bundle = bundles.Bundle(shards=[bytearray() for _ in range(shards)])
    for number, (name, array) in enumerate(arrays.items()):
        bundle.add(name, array, number % shards)
    prefix = tmp_path_factory.mktemp("any") / "m"
    bundle.write(prefix, snappy=snappy, block_size=block_size)
    assert contents(prefix) == contents_of(arrays)
    with open_raw(prefix) as raw:
        names = [tensor.name.encode() for tensor in raw.tensors]
    assert names == sorted(names)
