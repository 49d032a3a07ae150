"""safetensors files written: byte for byte what the official library writes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.numpy import load_file, save, save_file
from support import bundles, contracts, raws
from support.statements import compact, statement
from support.writers import WRITERS

import gpt2_convert
from gpt2_convert.formats.safetensors.writer import write as write_collection
from gpt2_convert.formats.safetensors.writer import write_tensors
from gpt2_convert.model.as_is import take_as_is
from gpt2_convert.tensors.dtype import DType
from gpt2_convert.tensors.tensor import LazyTensor

if TYPE_CHECKING:
    from pathlib import Path

    Array = np.ndarray[Any, Any]


class TestSafetensors(contracts.WriterContract):
    writer = WRITERS["safetensors"]

    def hparams(self, path: Path) -> dict[str, object]:
        with safe_open(path, "numpy") as library:
            metadata = json.loads(library.metadata()["gpt2-convert"])
        stated: dict[str, object] = metadata["hparams"]
        return stated


METADATA = {"gpt2-convert": compact(statement())}


def lazy(name: str, data: bytes, shape: tuple[int, ...], dtype: DType) -> LazyTensor:
    return LazyTensor(name, shape, dtype, len(data), lambda: iter([data]), name)


def write(path: Path, arrays: dict[str, Array], metadata: dict[str, str]) -> bytes:
    tensors = {name: raws.lazy("elsewhere", array) for name, array in arrays.items()}
    write_tensors(tensors, metadata, path, lambda _: None, "x")
    return path.read_bytes()


def test_a_conversion_writes_the_bytes_that_the_library_writes(tiny: Path, tmp_path: Path) -> None:
    report = gpt2_convert.convert(tiny, tmp_path / "out.safetensors", to="safetensors")
    assert report.ok
    save_file(raws.canonical(), tmp_path / "library", METADATA)
    assert (tmp_path / "out.safetensors").read_bytes() == (tmp_path / "library").read_bytes()


def test_a_conversion_to_and_fro_keeps_every_bit_and_size(tiny: Path, tmp_path: Path) -> None:
    there, back = tmp_path / "x.safetensors", tmp_path / "x.npz"
    gpt2_convert.convert(tiny, there, to="safetensors")
    report = gpt2_convert.convert(there, back)
    assert report.hparams is not None
    assert report.hparams.known() == bundles.TINY
    assert report.hparams_from == f"{there}: metadata"
    assert gpt2_convert.verify(tiny, there).ok
    assert gpt2_convert.verify(tiny, back).ok


def test_half_precision_is_written_as_the_library_writes_it(tmp_path: Path) -> None:
    arrays = bundles.gpt2_arrays(dtype="float16")
    source = bundles.write_gpt2(tmp_path / "m", arrays=arrays)
    gpt2_convert.convert(source, tmp_path / "out.safetensors", to="safetensors")
    halves = {name: array.astype("float16") for name, array in raws.canonical().items()}
    assert (tmp_path / "out.safetensors").read_bytes() == save(halves, METADATA)


def test_the_trained_model_keeps_every_bit_through_our_file(
    shared_data: Path, tmp_path: Path
) -> None:
    source, target = shared_data / "hf-capp-gpt", tmp_path / "out.safetensors"
    report = gpt2_convert.convert(source, target, to="safetensors")
    found, expected = load_file(target), load_file(source / "model.safetensors")
    assert len(found) == len(report.mapped) == 52
    for source_name, name in report.mapped:
        np.testing.assert_array_equal(found[name], expected[source_name])


NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
DTYPES = "bool int8 uint8 int16 uint16 float16 int32 uint32 float32 complex64 int64 uint64 float64"


@settings(max_examples=100)
@given(
    spec=st.dictionaries(
        NAMES,
        st.tuples(
            st.sampled_from(DTYPES.split()), st.lists(st.integers(0, 4), max_size=3).map(tuple)
        ),
        max_size=8,
    ),
    metadata=st.dictionaries(NAMES, NAMES, min_size=1, max_size=1),
)
def test_any_names_dtypes_and_shapes_are_written_as_the_library_writes_them(
    spec: dict[str, tuple[str, tuple[int, ...]]],
    metadata: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    random = np.random.default_rng(len(spec))
    arrays = {
        name: random.integers(0, 2, shape).astype(dtype) for name, (dtype, shape) in spec.items()
    }
    found = write(tmp_path_factory.getbasetemp() / "property", arrays, metadata)
    assert found == save(arrays, metadata)


def test_no_metadata_is_written_as_the_library_writes_none(tmp_path: Path) -> None:
    arrays = {"b": np.arange(3, dtype="f4"), "a": np.arange(2, dtype="f4")}
    assert write(tmp_path / "x", arrays, {}) == save(arrays)


def test_bfloat16_is_written_natively_before_the_other_two_byte_types(tmp_path: Path) -> None:
    tensors = {
        "a": lazy("a", b"\x00\x3c", (1,), DType.FLOAT16),
        "b": lazy("b", b"\x80\x3f\x00\xc0", (2,), DType.BFLOAT16),
        "c": lazy("c", b"\x00\x00\x80\x3f", (), DType.FLOAT32),
    }
    path = tmp_path / "x.safetensors"
    write_tensors(tensors, {"k": "v"}, path, lambda _: None, "x")
    header = (
        b'{"__metadata__":{"k":"v"},"c":{"dtype":"F32","shape":[],"data_offsets":[0,4]},'
        b'"b":{"dtype":"BF16","shape":[2],"data_offsets":[4,8]},'
        b'"a":{"dtype":"F16","shape":[1],"data_offsets":[8,10]}}'
    )
    header += b" " * (-len(header) % 8)
    data = b"\x00\x00\x80\x3f" + b"\x80\x3f\x00\xc0" + b"\x00\x3c"
    assert path.read_bytes() == len(header).to_bytes(8, "little") + header + data
    with safe_open(path, "numpy") as library:
        assert library.get_slice("b").get_dtype() == "BF16"


def test_a_name_that_is_not_unicode_is_refused(tmp_path: Path) -> None:
    taken = take_as_is(raws.raw({"\udcff": np.zeros(1, np.uint8)}))
    with pytest.raises(gpt2_convert.UnsupportedError, match=r"^memory: .*: not Unicode"):
        write_collection(taken, tmp_path / "x", lambda _: None)
    assert not (tmp_path / "x").exists()


def test_the_name_of_the_metadata_is_refused(tmp_path: Path) -> None:
    taken = take_as_is(raws.raw({"__metadata__": np.zeros(1, np.uint8)}))
    with pytest.raises(gpt2_convert.UnsupportedError) as caught:
        write_collection(taken, tmp_path / "x", lambda _: None)
    assert str(caught.value) == (
        "memory: '__metadata__': safetensors has that name for its metadata; "
        "drop='__metadata__' leaves it out"
    )


def test_the_metadata_is_one_key_without_clock_host_or_path(tiny: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "a.safetensors", tmp_path / "folder" / "b.safetensors"
    second.parent.mkdir()
    gpt2_convert.convert(tiny, first, to="safetensors")
    gpt2_convert.convert(tiny, second, to="safetensors")
    assert first.read_bytes() == second.read_bytes()
    with safe_open(first, "numpy") as library:
        metadata = library.metadata()
    assert metadata.keys() == {"gpt2-convert"}
    assert json.loads(metadata["gpt2-convert"]) == statement()


def test_a_writer_that_the_library_does_not_confirm_leaves_no_target(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import safetensors

    def refuse(*_: object, **__: object) -> None:
        raise safetensors.SafetensorError("no")

    monkeypatch.setattr(safetensors, "safe_open", refuse)
    with pytest.raises(gpt2_convert.FormatError, match="the safetensors library refuses it"):
        gpt2_convert.convert(tiny, tmp_path / "x.safetensors", to="safetensors")
    assert not list(tmp_path.glob("*safetensors*"))
