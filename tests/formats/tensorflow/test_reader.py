"""TensorFlow checkpoints as TensorFlow writes and reads them, found ones, and damaged ones."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy
from support import bundles, contracts
from support.console import SCRIPT, run
from support.contracts import contents, contents_of, find_tensor, no_hang, split_strings
from support.tf_writers import UNREADABLE, load, merge, save

import gpt2_convert
from gpt2_convert import (
    ChecksumError,
    FormatError,
    Gpt2ConvertError,
    SourceNotFoundError,
    UnreadableError,
    UnsupportedError,
)
from gpt2_convert.formats.opening import open_raw
from gpt2_convert.formats.tensorflow import reader as tf_bundle
from gpt2_convert.formats.tensorflow.entries import parse_entry
from gpt2_convert.formats.tensorflow.table import read_table
from gpt2_convert.io.source import CHUNK, SourceFile

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import ModuleType

    from support.contracts import Array

SIZES_124M = {"n_vocab": 50257, "n_ctx": 1024, "n_embd": 768, "n_head": 12, "n_layer": 12}


class TestBundle(contracts.ChecksumContract):
    format = "tensorflow"

    @pytest.fixture(autouse=True)
    def with_tensorflow(self, tf: ModuleType) -> None:
        self.tf = tf

    def write(self, folder: Path, arrays: Mapping[str, Array]) -> Path:
        save(self.tf, folder / "model.ckpt", arrays)
        return folder

    def oracle(self, path: Path) -> dict[str, Array]:
        return load(self.tf, path / "model.ckpt")

    def extra_arrays(self) -> dict[str, Array]:
        return {
            "complex64": np.array([1 + 2j, -3j], np.complex64),
            "complex128": np.array([[1 + 2j, np.nan]], np.complex128),
            "a name/with: spaces 'and' \u00e4": np.arange(3.0),
        }


class TestShards(contracts.ChecksumContract):
    """Up to three shards, as a distributed saver leaves them."""

    format = "tensorflow"
    flip_stride = 3
    with_tensorflow = TestBundle.with_tensorflow
    oracle = TestBundle.oracle

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
    prefix = str(tmp_path / "m")
    tf.raw_ops.SaveV2(
        prefix=prefix,
        tensor_names=["x"],
        shape_and_slices=[""],
        tensors=[values(plain, tf.dtypes.as_dtype(dtype))],
    )
    assert tf.train.list_variables(prefix) == [("x", [3])]
    expected = tf.train.load_variable(prefix, "x").tobytes()
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


def test_more_shards_than_a_process_usually_opens_are_converted(tmp_path: Path) -> None:
    bundle = bundles.Bundle(shards=[bytearray() for _ in range(100)])
    for number, (name, array) in enumerate(bundles.gpt2_arrays().items()):
        bundle.add(name, array, number % 100)
    prefix = bundle.write(tmp_path / "model.ckpt")
    command = ["sh", "-c", 'ulimit -S -n 128; exec "$@"', "sh", SCRIPT]
    done = subprocess.run(
        [*command, "tf2npz", "-q", prefix, tmp_path / "out.npz"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("block_size", [200, bundles.BLOCK_SIZE])
def test_an_index_of_snappy_blocks_is_read(tf: ModuleType, tmp_path: Path, block_size: int) -> None:
    arrays = bundles.gpt2_arrays()
    bundle = bundles.Bundle()
    for name, array in arrays.items():
        bundle.add(name, array)
    plain = bundle.write(tmp_path / "plain")
    prefix = bundle.write(tmp_path / "snappy", snappy=True, block_size=block_size)
    # The first entry, the header, stands there as it is, or behind a decompressed length.
    first = bytes.fromhex("00 00 06 08 01 1a 02 08 01")
    assert plain.with_name("plain.index").read_bytes().startswith(first)
    assert first not in prefix.with_name("snappy.index").read_bytes()[:9]
    assert contents_of(load(tf, prefix)) == contents_of(arrays)
    assert contents(prefix) == contents_of(arrays)


def test_an_index_of_several_blocks_is_read(tf: ModuleType, tmp_path: Path) -> None:
    arrays = {
        f"scope/variable_{number:05d}/{'long' * 8}": np.array(number, np.int32)
        for number in range(9_000)
    }
    prefix = save(tf, tmp_path / "m", arrays)
    assert prefix.with_name("m.index").stat().st_size > bundles.BLOCK_SIZE
    assert contents(prefix) == contents_of(arrays)


def test_a_merged_index_of_many_shards_and_blocks_is_read(tf: ModuleType, tmp_path: Path) -> None:
    arrays = {
        f"layer{number:05d}/{'name' * 10}/w": np.arange(number, number + 3, dtype=np.float32)
        for number in range(9_000)
    }
    names = list(arrays)
    parts = [{name: arrays[name] for name in names[part::30]} for part in range(30)]
    prefix = merge(tf, tmp_path, parts)
    assert bundles.data_blocks((tmp_path / "model.ckpt.index").read_bytes()) > 1
    assert len(list(tmp_path.glob("model.ckpt.data-*-of-00030"))) == 30
    reader = tf.train.load_checkpoint(str(prefix))
    assert contents(prefix) == contents_of(arrays)
    assert contents_of({name: reader.get_tensor(name) for name in names}) == contents_of(arrays)


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


def test_the_v1_format_is_declined_by_name(tf: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "model.ckpt"
    tf.raw_ops.Save(filename=str(path), tensor_names=["a"], data=[tf.ones(3)])
    assert tf.train.list_variables(str(path)) == [("a", [3])]
    with pytest.raises(UnsupportedError, match=r"in the V1 format.*: --engine tensorflow"):
        open_raw(path, engine="native")


def test_an_index_that_lost_its_suffix_is_not_taken_for_v1(tiny: Path, tmp_path: Path) -> None:
    path = tmp_path / "index"
    path.write_bytes((tiny / "model.ckpt.index").read_bytes())
    with pytest.raises(FormatError, match=r"its name must end in \.index"):
        open_raw(path)


def test_a_file_called_like_the_prefix_is_not_taken_for_v1(tiny: Path) -> None:
    (tiny / "model.ckpt").write_text("notes")
    assert len(contents(tiny / "model.ckpt")) == 40


@pytest.mark.parametrize("data", [b"", b"abc", b"\xfb\x80\x8b\x24\x75\x47\xdb", bytes(100)])
def test_a_file_without_the_magic_at_its_end_is_no_tensorflow_checkpoint(
    tmp_path: Path, data: bytes
) -> None:
    path = tmp_path / "x"
    path.write_bytes(data)
    assert not tf_bundle.recognises(path)
    path.write_bytes(data + bytes.fromhex("57 fb 80 8b 24 75 47 db"))
    assert tf_bundle.recognises(path)


@pytest.mark.parametrize("dtype", bundles.DTYPE_NUMBERS)
def test_a_big_endian_bundle_is_read_as_tensorflow_reads_it(
    tf: ModuleType, tmp_path: Path, dtype: str
) -> None:
    random = np.random.default_rng(0)
    arrays = {
        name: random.integers(0, 2, shape).astype(dtype)
        if dtype == "bool"
        else random.integers(0, 256, (*shape, np.dtype(dtype).itemsize), np.uint8).view(dtype)[
            ..., 0
        ]
        for name, shape in {"a": (), "b": (3, 5), "c": (0, 2), "d": (70_000, 5)}.items()
    }
    bundle = bundles.Bundle(
        header=bundles.header(2, endianness=1), shards=[bytearray(), bytearray()]
    )
    swapped = {name: array.astype(array.dtype.newbyteorder(">")) for name, array in arrays.items()}
    for name in "abc":
        bundle.add(name, swapped[name])
    if dtype in UNREADABLE:
        bundle.add("d", swapped["d"], 1)
    else:
        bundle.add_slices("d", swapped["d"], [((0, -1), (0, 2)), ((0, -1), (2, 3))])
    prefix = bundle.write(tmp_path / "m")
    assert contents(prefix) == contents_of(arrays) == contents_of(load(tf, prefix))


def test_names_that_are_no_utf8_are_kept_apart(tmp_path: Path) -> None:
    records = [(b"", bundles.header())]
    data = b"\1\2"
    for offset, key in enumerate((b"\xc3\xa4", b"\xe4", b"\xff")):
        crc = bundles.masked_crc(data[offset : offset + 1])
        entry = bundles.Entry(dtype=4, shape=(1,), size=1, crc32c=crc, offset=offset)
        records.append((key, entry.encode()))
    (tmp_path / "m.index").write_bytes(bundles.encode_table(records[:3]))
    (tmp_path / "m.data-00000-of-00001").write_bytes(data)
    assert contents(tmp_path) == {
        "\u00e4": ("uint8", (1,), b"\1"),
        "\udce4": ("uint8", (1,), b"\2"),
    }


# The header's place, and what entries and shards say of each other.


def test_an_index_without_a_header_is_refused(tmp_path: Path) -> None:
    entry = bundles.Entry(dtype=1, shape=(), size=4, crc32c=bytes(4)).encode()
    empty = bundles.Block().encode()
    empty += bundles.trailer(empty, 0)
    footer = bytes([0, 8, len(empty), 8]).ljust(40, b"\0") + bundles.MAGIC.to_bytes(8, "little")
    for table in (bundles.encode_table([(b"a", entry)]), 2 * empty + footer):
        (tmp_path / "m.index").write_bytes(table)
        with pytest.raises(FormatError, match="no header: the first key must be empty"):
            open_raw(tmp_path)


def test_long_keys_make_no_long_messages(tmp_path: Path) -> None:
    entry = bundles.Entry(dtype=1, shape=(0,), size=0, crc32c=b"").encode()
    header = (b"", bundles.header())
    low, high = (char * 60_000 for char in (b"a", b"b"))
    for table, says in (
        (bundles.encode_table([(high, entry)]), "found b'bbb"),
        (bundles.encode_table([header, (high, entry), (low, entry)]), "does not follow b'bbb"),
        (bundles.encode_table([header, (high, b"")]), "'bbb"),
    ):
        (tmp_path / "m.index").write_bytes(table)
        with pytest.raises(Gpt2ConvertError, match=says) as caught:
            open_raw(tmp_path)
        assert len(str(caught.value)) < 1_000


def test_an_index_that_names_more_tensors_than_any_model_has_is_refused(tmp_path: Path) -> None:
    entry = bundles.Entry(dtype=1, shape=(0,), size=0, crc32c=b"").encode()
    names = sorted(str(number).encode() for number in range(40_001))
    records = [(b"", bundles.header()), *((name, entry) for name in names)]
    (tmp_path / "m.index").write_bytes(bundles.encode_table(records, snappy=True))
    with pytest.raises(UnsupportedError, match=r"m\.index: more than 40,000 tensors"):
        open_raw(tmp_path)
    # What names slices costs as much.
    records = [(name and b"\0" + name, value) for name, value in records]
    (tmp_path / "m.index").write_bytes(bundles.encode_table(records, snappy=True))
    with pytest.raises(UnsupportedError, match="more than 40,000 tensors"):
        open_raw(tmp_path)


@pytest.mark.parametrize("where", ["header", "entry"])
def test_entries_of_megabytes_are_refused_unparsed(tmp_path: Path, where: str) -> None:
    unknown = bundles.proto_int(9, 1) * (2 << 20)
    more = {where: unknown}
    records = [(b"", bundles.header() + more.get("header", b"")), (b"x", more.get("entry", b""))]
    (tmp_path / "m.index").write_bytes(bundles.encode_table(records, snappy=True))
    with pytest.raises(FormatError, match="more than 4,194,304 bytes of entries"):
        open_raw(tmp_path)


def test_an_entry_that_is_wrong_is_named(tmp_path: Path) -> None:
    bundle = bundles.Bundle()
    bundle.add("fine", np.zeros(3, np.float32))
    bundle.add("wrong", np.zeros(3, np.float32))
    bundle.entries["wrong"].size = 11
    with pytest.raises(FormatError, match=r"m\.index: 'wrong': shape \[3\]"):
        open_raw(bundle.write(tmp_path / "m"))


def test_of_a_truncated_shard_the_first_tensor_that_is_cut_off_is_named(tmp_path: Path) -> None:
    bundle = bundles.Bundle()
    for name in "bac":
        bundle.add(name, np.arange(25, dtype=np.float32))
    prefix = bundle.write(tmp_path / "m")
    data = tmp_path / "m.data-00000-of-00001"
    os.truncate(data, 150)
    with open_raw(prefix) as raw:
        (fault,) = raw.faults
        assert isinstance(fault, FormatError)
        assert f"{data}: truncated: 'a' needs bytes 100 to 200, but the file has 150" in str(fault)
        assert len(find_tensor(raw, "b").array()) == 25
        for name in "ac":
            with pytest.raises(FormatError, match=f"truncated: '{name}'"):
                find_tensor(raw, name).array()
    os.truncate(data, 300)
    with open_raw(prefix) as raw:
        assert not raw.faults


def test_a_truncated_tensor_is_refused_before_memory_is_asked_for(tmp_path: Path) -> None:
    # 4 EB announced; the first chunks are there.
    bundle = bundles.Bundle()
    bundle.add("x", np.zeros(CHUNK, np.uint8))
    entry = bundle.entries["x"]
    entry.shape, entry.size = (1 << 62,), 1 << 62
    with open_raw(bundle.write(tmp_path / "m")) as raw:
        assert raw.tensors[0].nbytes == 1 << 62
        with pytest.raises(FormatError, match="truncated: 'x'"):
            raw.tensors[0].array()
        with pytest.raises(FormatError, match="truncated: 'x'"):
            next(raw.tensors[0].chunks())


@pytest.mark.parametrize("shape", [(1,) * 254, (1 << 62, 1 << 62, 0)])
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


def test_data_that_became_shorter_after_opening_is_refused(tmp_path: Path) -> None:
    bundle = bundles.Bundle()
    bundle.add("x", np.zeros(2 * CHUNK, np.uint8))
    prefix = bundle.write(tmp_path / "m")
    with open_raw(prefix) as raw:
        chunks = raw.tensors[0].chunks()
        next(chunks)
        os.truncate(tmp_path / "m.data-00000-of-00001", CHUNK + 5)
        with pytest.raises(FormatError, match="became shorter"):
            next(chunks)


def test_holes_and_shared_places_in_the_data_are_legal(tf: ModuleType, tmp_path: Path) -> None:
    bundle = bundles.Bundle(shards=[bytearray(b"padding")])
    bundle.add("a", np.arange(3, dtype=np.float32))
    bundle.shards[0] += b"more"
    bundle.add("b", np.arange(4, dtype=np.float32))
    bundle.entries["c"] = bundle.entries["b"]
    bundle.shards[0] += b"rest"
    prefix = bundle.write(tmp_path / "m")
    assert contents(prefix) == contents_of(load(tf, prefix))
    assert len(contents(prefix)) == 3


def test_a_checksum_error_names_tensor_place_and_both_checksums(tmp_path: Path) -> None:
    bundle = bundles.Bundle()
    bundle.add("before", np.zeros(3, np.float32))
    bundle.add("x", np.arange(5, dtype=np.float32))
    expected = int.from_bytes(bundle.entries["x"].crc32c, "little")
    bundle.shards[0][-1] ^= 0x80
    found = int.from_bytes(bundles.masked_crc(bytes(bundle.shards[0][12:])), "little")
    prefix = bundle.write(tmp_path / "m")
    with open_raw(prefix) as raw, pytest.raises(ChecksumError) as caught:
        raw.tensors[1].array()
    assert str(caught.value).startswith(f"{prefix}.data-00000-of-00001: 'x': crc32c ")
    assert f"{expected:#010x} expected from the index, found {found:#010x}" in str(caught.value)
    assert "in bytes 12 to 32" in str(caught.value)


def test_an_entry_without_a_checksum_is_no_excuse(tmp_path: Path) -> None:
    bundle = bundles.Bundle()
    bundle.add("x", np.arange(5, dtype=np.float32))
    bundle.entries["x"].crc32c = b""
    with open_raw(bundle.write(tmp_path / "m")) as raw, pytest.raises(ChecksumError):
        raw.tensors[0].array()


# hparams.json.


def test_hparams_are_read_when_there(tiny: Path) -> None:
    with open_raw(tiny) as raw:
        assert raw.config is not None
        assert raw.config.fields() == bundles.TINY
        assert raw.config.where == str(tiny / "hparams.json")
        assert [file.path for file in raw.files] == [
            str(tiny / name)
            for name in (
                "model.ckpt.index",
                "model.ckpt.data-00000-of-00001",
                "hparams.json",
                "checkpoint",
            )
        ]


def test_without_hparams_there_is_no_config(tiny: Path) -> None:
    (tiny / "hparams.json").unlink()
    with open_raw(tiny) as raw:
        assert raw.config is None
        assert len(raw.files) == 3


@pytest.mark.parametrize(
    "text", [b"", b"../124M/hparams.json", b"\xff", b"{", b"[" * 9999, b"9" * 9999]
)
def test_broken_hparams_are_an_error_only_when_they_are_wanted(tiny: Path, text: bytes) -> None:
    (tiny / "hparams.json").write_bytes(text)
    with open_raw(tiny) as raw:
        assert len(raw.tensors) == 40
        assert raw.config is not None
        with pytest.raises(FormatError, match=r"hparams\.json: not JSON"):
            raw.config.fields()


def test_hparams_that_are_no_small_file_are_refused(tiny: Path) -> None:
    path = tiny / "hparams.json"
    path.write_bytes(b" " * ((1 << 20) + 1))
    with pytest.raises(FormatError, match="1,048,577 bytes"):
        open_raw(tiny)
    path.unlink()
    path.mkdir()
    with pytest.raises(UnreadableError, match=r"hparams\.json"):
        open_raw(tiny)
    path.rmdir()
    os.mkfifo(path)
    with no_hang(), pytest.raises(UnreadableError, match=r"hparams\.json"):
        open_raw(tiny)


# Found ones.


def test_openais_index_holds_openais_names_shapes_and_offsets(
    tf: ModuleType, shared_data: Path
) -> None:
    folder = shared_data / "openai-124M-index"
    expected = bundles.gpt2_shapes(SIZES_124M)
    sizes = [4 * int(np.prod(shape)) for shape in expected.values()]
    offsets = [0, *itertools.accumulate(sizes)]
    assert len(expected) == 148
    assert offsets[-1] == 497_759_232 == 4 * 124_439_808
    assert expected == {
        name: tuple(shape) for name, shape in tf.train.list_variables(str(folder / "model.ckpt"))
    }
    with open_raw(folder) as raw:
        found = {tensor.name: tensor.shape for tensor in raw.tensors}
        assert list(found.items()) == list(expected.items())
        assert {tensor.dtype for tensor in raw.tensors} == {"float32"}
        (fault,) = raw.faults
        assert isinstance(fault, SourceNotFoundError)
    file = SourceFile(folder / "model.ckpt.index")
    _, *records = read_table(file)
    file.close()
    entries = [parse_entry(value, 1, key.decode()) for key, value in records]
    assert [entry.offset for entry in entries] == offsets[:-1]
    assert [entry.size for entry in entries] == sizes


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
    tf: ModuleType, shared_data: Path
) -> None:
    for prefix in found_bundles(shared_data):
        expected = tf.train.list_variables(str(prefix))
        report = gpt2_convert.inspect(prefix)
        assert [(each.name, list(each.shape)) for each in report.tensors] == expected
        done = run("inspect", "--json", prefix)
        assert done.code == 0
        listed = json.loads(done.out)["tensors"]
        assert [(each["source_name"], each["shape"]) for each in listed] == expected


def test_hparams_that_were_a_link_are_refused_by_name(shared_data: Path) -> None:
    folder = shared_data / "gpt2-finetuned-index-oscar" / "models" / "oscar"
    with open_raw(folder) as raw:
        assert raw.config is not None
        with pytest.raises(FormatError, match=r"hparams\.json: not JSON.*\.\./124M/hparams\.json"):
            raw.config.fields()


# Any bundle, and any damage.

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


@settings(
    derandomize=True,
    deadline=None,
    max_examples=400,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_no_index_raises_anything_but_our_errors_even_with_right_checksums(
    tmp_path: Path, data: st.DataObject
) -> None:
    bundle = bundles.Bundle(shards=[bytearray(), bytearray()])
    bundle.add("a", np.arange(3, dtype=np.float32))
    bundle.add("b/c", np.arange(4, dtype=np.float64).reshape(2, 2), 1)
    records = bundle.records()
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(records) - 1))
        key, value = records[at]
        start = data.draw(st.integers(0, len(value)))
        stop = data.draw(st.integers(start, min(len(value), start + 3)))
        value = value[:start] + data.draw(st.binary(max_size=4)) + value[stop:]
        records[at] = (data.draw(st.sampled_from([key, key + b"\0", b"\0", b"\xff"])), value)
    bundle.write(tmp_path / "m")
    (tmp_path / "m.index").write_bytes(bundles.encode_table(records))
    try:
        found = contents(tmp_path / "m")
    except Gpt2ConvertError as error:
        message = str(error)
    else:
        message = ""
        for dtype, shape, chunks in found.values():
            assert np.frombuffer(chunks, dtype).reshape(shape).shape == shape
    assert "\n" not in message


@pytest.mark.parametrize(("missing", "listed"), [(100, True), (101, False), (99_999, False)])
def test_so_many_data_files_may_be_missing_for_the_rest_to_be_listed(
    missing: int, listed: bool, tmp_path: Path
) -> None:
    bundle = bundles.Bundle(header=bundles.header(missing))
    bundle.add("x", np.ones(3, np.float32))
    prefix = bundle.write(tmp_path / "m")
    if listed:
        with open_raw(prefix) as raw:
            assert [tensor.name for tensor in raw.tensors] == ["x"]
            assert len(raw.faults) == missing
    else:
        name = f"m.data-00000-of-{missing:05d}: missing"
        with pytest.raises(gpt2_convert.SourceNotFoundError, match=name):
            open_raw(prefix)
