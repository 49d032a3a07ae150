"""safetensors files read: what the official library finds is found, what it refuses is refused."""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file, save_file
from support import contracts

import gpt2_convert
from gpt2_convert.api.source import refuse_faults
from gpt2_convert.formats.opening import open_raw
from gpt2_convert.formats.safetensors import cross_check as witness
from gpt2_convert.formats.safetensors import reader as reader

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    Header = dict[str, Any]

ONE = '{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
DATA = b"\x00\x00\x80\x3f"  # 1.0


def encode(header: str | bytes | Header, data: bytes = DATA, length: int | None = None) -> bytes:
    text = json.dumps(header) if isinstance(header, dict) else header
    text = text.encode() if isinstance(text, str) else text
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def entry(begin: int, end: int, shape: list[int] | None = None, dtype: str = "U8") -> Header:
    shape = [end - begin] if shape is None else shape
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def open_whole(path: Path) -> None:
    """Open as a conversion does: a fault is as good as an error."""
    with open_raw(path) as raw:
        refuse_faults(raw)


def library_refuses(path: Path) -> bool:
    try:
        with safe_open(path, "numpy"):
            return False
    except SafetensorError:
        return True


def read(path: Path) -> dict[str, bytes]:
    with open_raw(path) as raw:
        refuse_faults(raw)
        return {tensor.name: b"".join(tensor.chunks()) for tensor in raw.tensors}


class SafetensorsContract(contracts.ReaderContract):
    format = "safetensors"
    flip_stride = 3

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
        assert (raw.format, raw.where, raw.config, raw.faults) == (
            "safetensors", str(path), None, (),
        )  # fmt: skip


def test_the_trained_model_reads_as_the_library_reads_it(shared_data: Path) -> None:
    folder = shared_data / "hf-capp-gpt"
    expected = load_file(folder / "model.safetensors")
    assert read(folder) == {name: array.tobytes() for name, array in expected.items()}
    with open_raw(folder) as raw:
        assert {tensor.name: tensor.shape for tensor in raw.tensors} == {
            name: array.shape for name, array in expected.items()
        }
        assert raw.config is not None
        assert raw.config.text == (folder / "config.json").read_bytes()
        assert [file.nbytes for file in raw.files] == [949_792, 779]


def test_every_dtype_of_numpy_reads_as_the_library_reads_it(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    names = "bool int8 uint8 int16 uint16 float16 int32 uint32 float32 complex64 int64 uint64"
    arrays = {
        name: random.integers(0, 2, (3, 5)).astype(name) for name in [*names.split(), "float64"]
    }
    arrays |= {"scalar": np.array(2.5), "empty": np.zeros((0, 3), "float32")}
    save_file(arrays, tmp_path / "all.safetensors")
    with open_raw(tmp_path / "all.safetensors") as raw:
        assert {tensor.name for tensor in raw.tensors} == arrays.keys()
        for tensor in raw.tensors:
            array = tensor.array()
            assert array.dtype == arrays[tensor.name].dtype
            np.testing.assert_array_equal(array, arrays[tensor.name])


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


# What is refused

MALFORMED: dict[str, bytes] = {
    "no length": b"1234567",
    "a length and nothing": encode("", b""),
    "a length beyond the file": encode(ONE, length=1000),
    "a length of 100,000,001": encode(ONE, length=100_000_001),
    "a length of 2^63": encode(ONE, length=1 << 63),
    "a header that is cut": encode(ONE, length=40),
    "an array": encode("[]", b""),
    "a byte order mark": encode("\ufeff" + ONE),
    "not UTF-8": encode(ONE.encode().replace(b'"a"', b'"\xe9"')),
    "zeros after the object": encode(ONE + "\0\0"),
    "a control character in a name": encode(ONE.replace('"a"', '"a\n"')),
    "half a surrogate pair": encode(ONE.replace('"a"', r'"\ud800"')),
    "NaN": encode(ONE.replace("[1]", "[NaN]")),
    "nested too deeply": encode('{"a":' + "[" * 100_000 + "]" * 100_000 + "}"),
    "metadata that is no object": encode('{"__metadata__":[],' + ONE[1:]),
    "metadata that is no text": encode('{"__metadata__":{"a":1},' + ONE[1:]),
    "metadata twice": encode('{"__metadata__":{},"__metadata__":{},' + ONE[1:]),
    "metadata that is a tensor": encode(ONE.replace('"a"', '"__metadata__"')),
    "an entry that is null": encode('{"a":null}', b""),
    "no dtype": encode('{"a":{"shape":[1],"data_offsets":[0,4]}}'),
    "no shape": encode('{"a":{"dtype":"F32","data_offsets":[0,4]}}'),
    "no offsets": encode('{"a":{"dtype":"F32","shape":[1]}}'),
    "a field twice": encode(ONE.replace('"dtype"', '"dtype":"F32","dtype"')),
    "an unknown dtype": encode(ONE.replace("F32", "C128")),
    "a dtype that is a number": encode(ONE.replace('"F32"', "32")),
    "a dtype in small letters": encode(ONE.replace("F32", "f32")),
    "a shape that is a number": encode(ONE.replace("[1]", "1")),
    "a dimension of 1.0": encode(ONE.replace("[1]", "[1.0]")),
    "a dimension of true": encode(ONE.replace("[1]", "[true]")),
    "a dimension of -1": encode(ONE.replace("[1]", "[-1]")),
    'a dimension of "1"': encode(ONE.replace("[1]", '["1"]')),
    "a dimension of 2^64": encode(ONE.replace("[1]", "[18446744073709551616]")),
    "a dimension of a million digits": encode(ONE.replace("[1]", f"[{'9' * 1_000_000}]")),
    "more elements than can exist": encode(ONE.replace("[1]", "[4294967296,4294967296]")),
    "too many, times zero": encode({"a": entry(0, 0, [1 << 40, 1 << 40, 0])}, b""),
    "bytes that overflow": encode({"a": entry(0, 0, [1 << 62], "F64")}, b""),
    "an offset of -0": encode(ONE.replace("[0,4]", "[-0,4]")),
    "one offset": encode(ONE.replace("[0,4]", "[4]")),
    "three offsets": encode(ONE.replace("[0,4]", "[0,4,8]")),
    "an end before its begin": encode({"a": entry(4, 0, [1], "F32")}),
    "a size that is not its shape's": encode(ONE.replace("[1]", "[2]")),
    "an overlap": encode({"a": entry(0, 3), "b": entry(2, 4)}),
    "one range for two tensors": encode({"a": entry(0, 4), "b": entry(0, 4)}),
    "an empty tensor inside another": encode({"a": entry(0, 4), "b": entry(2, 2)}),
    "a hole": encode({"a": entry(0, 1), "b": entry(2, 4)}),
    "a hole at the start": encode({"a": entry(2, 4)}),
    "bytes after the last tensor": encode(ONE, DATA + b"\0"),
    "bytes and no tensors": encode("{}", DATA),
    "a truncated file": encode(ONE, DATA[:3]),
    "no data at all": encode(ONE, b""),
}


@pytest.mark.parametrize("what", MALFORMED)
def test_what_the_library_refuses_is_refused(what: str, tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(MALFORMED[what])
    assert library_refuses(path)
    with pytest.raises(gpt2_convert.FormatError) as caught:
        open_whole(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    assert len(message) < 500


AMBIGUOUS: dict[str, bytes] = {
    "a name twice": encode(ONE[:-1] + "," + ONE[1:]),
    "a key of the metadata twice": encode('{"__metadata__":{"a":"1","a":"2"},' + ONE[1:]),
    "a field that is not in the format": encode(ONE.replace('"dtype"', '"strides":[1],"dtype"')),
    "an entry that is an array": encode('{"a":["F32",[1],[0,4]]}'),
    "space before the object": encode(" " + ONE),
}


@pytest.mark.parametrize("what", AMBIGUOUS)
def test_what_only_the_library_accepts_is_refused(what: str, tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(AMBIGUOUS[what])
    assert not library_refuses(path)
    with pytest.raises(gpt2_convert.FormatError):
        open_whole(path)


@pytest.mark.parametrize("dtype", ["F8_E4M3", "F8_E5M2FNUZ", "F8_E8M0"])
def test_a_dtype_that_is_not_handled_is_refused_by_name(dtype: str, tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(encode({"a": entry(0, 4, [4], dtype)}))
    assert not library_refuses(path)
    with pytest.raises(gpt2_convert.UnsupportedError, match=f"'a': dtype {dtype}"):
        open_whole(path)


def test_more_axes_than_numpy_has_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(encode({"a": entry(0, 4, [4] + [1] * 100)}))
    with pytest.raises(gpt2_convert.UnsupportedError, match="101 axes"):
        open_whole(path)


def test_a_header_too_long_to_hold_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(encode(ONE, length=50_000_000))
    with path.open("r+b") as file:
        file.truncate(60_000_000)
    with pytest.raises(gpt2_convert.FormatError, match="50,000,000 bytes announced"):
        open_whole(path)


def test_a_truncated_file_is_listed_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(encode({"a": entry(0, 2), "b": entry(2, 4), "c": entry(4, 9)}, b"123"))
    report = gpt2_convert.inspect(path)
    assert [tensor.name for tensor in report.tensors] == ["a", "b", "c"]
    assert report.faults == (
        f"{path}: truncated: 'b' needs bytes 2 to 4 of the data, but there are 3; fetch it again",
    )


HEADERS = st.recursive(
    st.sampled_from(["F32", "U8", 0, 1, 2, 4, 8, -1, 1.0, 1 << 63, 1 << 64, True, None, "", "a"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["dtype", "shape", "data_offsets", "__metadata__", "x"]), inner
        )
    ),
    max_leaves=6,
)
NEARLY_ENTRIES = st.fixed_dictionaries(
    {
        "dtype": st.sampled_from(["F32", "U8", "BOOL", "F16", "X"]) | HEADERS,
        "shape": st.lists(st.integers(-1, 4), max_size=3) | HEADERS,
        "data_offsets": st.lists(st.integers(0, 16), min_size=2, max_size=2) | HEADERS,
    }
)


@settings(max_examples=300)
@given(
    header=st.dictionaries(st.sampled_from(["a", "b", "__metadata__"]), NEARLY_ENTRIES | HEADERS),
    damage=st.none() | st.tuples(st.integers(0), st.integers(0, 255)),
    size=st.integers(0, 32),
)
def test_no_header_is_believed_that_the_library_refuses(
    header: Header,
    damage: tuple[int, int] | None,
    size: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    content = bytearray(encode(header, bytes(range(size))))
    if damage is not None:
        content[damage[0] % len(content)] = damage[1]
    path = tmp_path_factory.getbasetemp() / "property.safetensors"
    path.write_bytes(content)
    try:
        found = read(path)
    except gpt2_convert.Gpt2ConvertError:
        return
    assert found == {name: array.tobytes() for name, array in load_file(path).items()}


@settings(max_examples=300)
@given(
    shapes=st.lists(st.lists(st.integers(0, 3), max_size=3), max_size=5),
    damage=st.tuples(st.integers(0), st.integers(0, 255)),
)
def test_one_changed_byte_of_a_header_is_never_believed_alone(
    shapes: list[list[int]], damage: tuple[int, int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged.safetensors"
    save_file({f"t{at}": np.ones(shape, "f4") for at, shape in enumerate(shapes)}, path)
    content = bytearray(path.read_bytes())
    header_end = 8 + struct.unpack("<Q", content[:8])[0]
    content[damage[0] % header_end] = damage[1]
    path.write_bytes(content)
    try:
        found = read(path)
    except gpt2_convert.Gpt2ConvertError:
        return
    assert found == {name: array.tobytes() for name, array in load_file(path).items()}


# Sizes that the file states


def test_the_sizes_come_from_config_json_beside_the_file(tmp_path: Path) -> None:
    (tmp_path / "x.safetensors").write_bytes(encode(ONE))
    (tmp_path / "config.json").write_bytes(b'{ "n_embd" : 1 }\n')
    with open_raw(tmp_path / "x.safetensors") as raw:
        assert raw.config is not None
        assert raw.config.text == b'{ "n_embd" : 1 }\n'
        assert raw.config.where == str(tmp_path / "config.json")


def test_the_sizes_in_our_own_metadata_go_before_config_json(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    metadata = {"gpt2-convert": '{"hparams":{"n_embd":7},"source_format":"npz"}'}
    path.write_bytes(encode({"__metadata__": metadata, "a": entry(0, 4)}))
    (tmp_path / "config.json").write_text('{"n_embd": 1}')
    with open_raw(path) as raw:
        assert raw.config is not None
        assert raw.config.fields() == {"n_embd": 7}
        assert raw.config.where == f"{path}: metadata"


@pytest.mark.parametrize("text", ["{", "[]", '{"hparams"', "[" * 5000])
def test_damaged_metadata_of_our_own_is_an_error_when_it_is_needed(
    text: str, tmp_path: Path
) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(encode({"__metadata__": {"gpt2-convert": text}, "a": entry(0, 4)}))
    with open_raw(path) as raw:
        assert raw.config is not None
        with pytest.raises(gpt2_convert.FormatError, match="metadata"):
            raw.config.fields()


# Models in several files


@pytest.fixture
def sharded(tmp_path: Path) -> Path:
    """A folder with tensors a, b in one shard and c in another."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "s1.safetensors").write_bytes(encode({"a": entry(0, 1), "b": entry(1, 4)}, b"abbb"))
    (folder / "s2.safetensors").write_bytes(encode({"c": entry(0, 2)}, b"cc"))
    write_index(folder, a="s1.safetensors", b="s1.safetensors", c="s2.safetensors")
    return folder


def write_index(folder: Path, **weight_map: object) -> Path:
    path = folder / "model.safetensors.index.json"
    path.write_text(json.dumps({"metadata": {"total_size": 6}, "weight_map": weight_map}))
    return path


@pytest.mark.parametrize("name", ["", "model.safetensors.index.json"])
def test_a_sharded_model_is_read_by_its_folder_and_by_its_index(sharded: Path, name: str) -> None:
    assert read(sharded / name) == {"a": b"a", "b": b"bbb", "c": b"cc"}
    with open_raw(sharded / name) as raw:
        assert [(file.path.rpartition("/")[2], file.nbytes) for file in raw.files] == [
            (path.name, path.stat().st_size)
            for path in (sharded / "model.safetensors.index.json", *sorted(sharded.glob("s*")))
        ]


@pytest.mark.parametrize(
    "shard",
    ["../s1.safetensors", "/etc/passwd", "sub/s1.safetensors", "..", ".", "", "s1\0", "a\\b", "C:x",
     None, 1, ["s1.safetensors"], "x" * 100_000],
    ids=lambda shard: str(shard)[:20],
)  # fmt: skip
def test_a_shard_that_is_not_a_plain_file_name_is_refused(sharded: Path, shard: object) -> None:
    (sharded.parent / "s1.safetensors").write_bytes(encode(ONE))
    path = write_index(sharded, a=shard, c="s2.safetensors")
    with pytest.raises(gpt2_convert.FormatError, match="file beside the index expected") as caught:
        open_raw(path)
    assert len(str(caught.value)) < 1_000


def test_a_missing_shard_is_a_fault_and_the_rest_is_listed(sharded: Path) -> None:
    (sharded / "s1.safetensors").unlink()
    report = gpt2_convert.inspect(sharded)
    assert [tensor.name for tensor in report.tensors] == ["c"]
    (fault,) = report.faults
    assert fault.startswith(f"{sharded / 's1.safetensors'}: missing: the index has 2 tensors in it")
    with pytest.raises(gpt2_convert.SourceNotFoundError, match=r"s1\.safetensors: missing"):
        gpt2_convert.open(sharded)


def spoil_shard(folder: Path) -> None:
    (folder / "s2.safetensors").write_bytes(encode("{", b""))


def truncate_shard(folder: Path) -> None:
    (folder / "s2.safetensors").write_bytes(encode({"c": entry(0, 2)}, b"c"))


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (lambda folder: write_index(folder, a="s1.safetensors", b="s1.safetensors",
                                    c="s2.safetensors", d="s2.safetensors"),
         "s2.safetensors: has no 'd', which model.safetensors.index.json puts there"),
        (lambda folder: write_index(folder, a="s1.safetensors", c="s2.safetensors"),
         "s1.safetensors: has 'b', which model.safetensors.index.json does not put there"),
        (lambda folder: (folder / "s2.safetensors").write_bytes(
            encode({"a": entry(0, 2), "c": entry(2, 4)})),
         "s2.safetensors: has 'a', which"),
        (spoil_shard, "s2.safetensors: header: not valid JSON"),
        (truncate_shard, "s2.safetensors: truncated: 'c'"),
    ],
    ids=["absent from the shard", "absent from the index", "in two shards", "spoilt", "truncated"],
)  # fmt: skip
def test_index_and_shards_must_agree(
    sharded: Path, spoil: Callable[[Path], object], fault: str
) -> None:
    spoil(sharded)
    with open_raw(sharded) as raw:
        assert {"a", "b"} <= {tensor.name for tensor in raw.tensors}
        assert len(raw.faults) == 1
        assert fault in str(raw.faults[0])
        assert isinstance(raw.faults[0], gpt2_convert.FormatError)
    with pytest.raises(gpt2_convert.FormatError, match=r"s[12]\.safetensors"):
        gpt2_convert.open(sharded)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"weight_map":[]}', '{"weight_map":{"a":"s1","a":"s2"}}', "{" * 9, '"',
     "\xff", '{"metadata":NaN,"weight_map":{}}', '{"a":' * 100_000],
)  # fmt: skip
def test_an_index_that_is_none_is_refused(sharded: Path, text: str) -> None:
    path = sharded / "model.safetensors.index.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(gpt2_convert.FormatError) as caught:
        open_raw(sharded)
    assert str(caught.value).startswith(str(path))


# Folders


def test_a_folder_with_one_file_of_any_name_is_read(tmp_path: Path) -> None:
    (tmp_path / "weights.safetensors").write_bytes(encode(ONE))
    (tmp_path / "README.md").touch()
    assert read(tmp_path) == {"a": DATA}


def test_model_safetensors_goes_before_its_index_and_other_files(sharded: Path) -> None:
    (sharded / "model.safetensors").write_bytes(encode(ONE))
    assert read(sharded) == {"a": DATA}


def test_a_folder_with_several_files_asks_which_is_meant(tmp_path: Path) -> None:
    for name in ("x.safetensors", "y.safetensors"):
        (tmp_path / name).write_bytes(encode(ONE))
    with pytest.raises(gpt2_convert.UsageError, match=r"x\.safetensors, y\.safetensors; name one"):
        open_raw(tmp_path)


def test_a_file_is_known_by_its_bytes_and_not_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "weights.bin"
    path.write_bytes(encode(ONE))
    assert read(path) == {"a": DATA}
    assert not reader.recognises(tmp_path / "absent.safetensors")


def test_a_file_whose_ninth_byte_happens_to_be_a_brace_is_not_safetensors(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("function{}")
    assert not reader.recognises(path)


# The library as witness

WRITTEN = {"__metadata__": {"k": "v"}, "a": entry(0, 1), "e": entry(1, 1), "b": entry(1, 4)}


def test_the_library_confirms_what_we_read(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(encode(WRITTEN))
    with reader.open_written(path) as raw:
        assert len(raw.tensors) == 3


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda text: text.replace('"a"', '"z"'), "'a'"),
        (lambda text: text.replace('"U8"', '"I8"', 1), "'a'"),
        (lambda text: text.replace("[3]", "[3,1]"), "'b'"),
        (lambda text: text.replace('"e"', '"f"'), "'e'"),
        (lambda text: text.replace('"v"', '"w"'), "metadata"),
    ],
    ids=["name", "dtype", "shape", "empty", "metadata"],
)
def test_a_header_that_the_library_reads_differently_is_an_error(
    change: Callable[[str], str], word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, other = tmp_path / "x.safetensors", tmp_path / "y.safetensors"
    path.write_bytes(encode(WRITTEN))
    other.write_bytes(encode(change(json.dumps(WRITTEN))))
    monkeypatch.setattr(witness, "SourceFile", lambda _: reader.SourceFile(other))
    with pytest.raises(gpt2_convert.FormatError, match=f"x.safetensors.*{word}"):
        witness.confirm(path)


def test_another_order_than_the_library_finds_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, other = tmp_path / "x.safetensors", tmp_path / "y.safetensors"
    path.write_bytes(encode({"a": entry(0, 2), "b": entry(2, 4)}))
    other.write_bytes(encode({"b": entry(0, 2), "a": entry(2, 4)}))
    monkeypatch.setattr(witness, "SourceFile", lambda _: reader.SourceFile(other))
    with pytest.raises(gpt2_convert.FormatError, match="another order"):
        witness.confirm(path)


def test_a_file_that_the_library_refuses_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, good = tmp_path / "x.safetensors", tmp_path / "y.safetensors"
    path.write_bytes(encode(ONE, b""))
    good.write_bytes(encode(ONE))
    monkeypatch.setattr(witness, "SourceFile", lambda _: reader.SourceFile(good))
    with pytest.raises(gpt2_convert.FormatError, match="the safetensors library refuses it"):
        witness.confirm(path)
