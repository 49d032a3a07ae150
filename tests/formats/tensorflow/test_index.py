"""An index as a whole: TensorFlow's, a found one, contradictory ones, and its limits."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import bundles
from support.contracts import contents, contents_of
from support.tf_writers import load, merge, save

from gpt2_convert import FormatError, Gpt2ConvertError, SourceNotFoundError, UnsupportedError
from gpt2_convert.formats import limits
from gpt2_convert.formats.opening import open_raw
from gpt2_convert.formats.tensorflow.entries import parse_entry
from gpt2_convert.formats.tensorflow.table import read_table
from gpt2_convert.io.source import SourceFile

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType


SIZES_124M = {"n_vocab": 50257, "n_ctx": 1024, "n_embd": 768, "n_head": 12, "n_layer": 12}


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


@pytest.mark.slow
def test_an_index_that_names_more_tensors_than_any_model_has_is_refused(tmp_path: Path) -> None:
    entry = bundles.Entry(dtype=1, shape=(0,), size=0, crc32c=b"").encode()
    names = sorted(str(number).encode() for number in range(40_001))
    records = [(b"", bundles.header()), *((name, entry) for name in names)]
    (tmp_path / "m.index").write_bytes(bundles.encode_table(records, snappy=True))
    with pytest.raises(UnsupportedError, match=r"m\.index: more than 16,000 tensors"):
        open_raw(tmp_path)
    # What names slices costs as much.
    records = [(name and b"\0" + name, value) for name, value in records]
    (tmp_path / "m.index").write_bytes(bundles.encode_table(records, snappy=True))
    with pytest.raises(UnsupportedError, match="more than 16,000 tensors"):
        open_raw(tmp_path)


@pytest.mark.parametrize("where", ["header", "entry"])
def test_entries_of_megabytes_are_refused_unparsed(tmp_path: Path, where: str) -> None:
    unknown = bundles.proto_int(9, 1) * (5 << 19)
    more = {where: unknown}
    records = [(b"", bundles.header() + more.get("header", b"")), (b"x", more.get("entry", b""))]
    (tmp_path / "m.index").write_bytes(bundles.encode_table(records, snappy=True))
    with pytest.raises(UnsupportedError, match="more than 5,242,880 bytes of headers"):
        open_raw(tmp_path)


def test_the_axes_of_slices_count_as_those_of_tensors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = bundles.Bundle()
    bundle.add_slices("w", np.zeros((4, 3)), [((row, 1), (0, -1)) for row in range(4)])
    prefix = bundle.write(tmp_path / "m")
    for most in (10, 9):
        monkeypatch.setattr(limits, "MAX_AXES", most)
        if most == 10:
            open_raw(prefix).close()
            continue
        with pytest.raises(UnsupportedError, match=r"m\.index: more than 9 axes of all tensors"):
            open_raw(prefix)


def test_an_entry_that_is_wrong_is_named(tmp_path: Path) -> None:
    bundle = bundles.Bundle()
    bundle.add("fine", np.zeros(3, np.float32))
    bundle.add("wrong", np.zeros(3, np.float32))
    bundle.entries["wrong"].size = 11
    with pytest.raises(FormatError, match=r"m\.index: 'wrong': shape \[3\]"):
        open_raw(bundle.write(tmp_path / "m"))


@pytest.mark.slow
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
