"""HDF5 files made by h5py, by others and by people who mean harm, as the reader sees them."""

from __future__ import annotations

import gc
import json
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import ml_dtypes
import numpy as np
import pytest
from h5py import h5d, h5p, h5s, h5t
from support import bundles, contracts, raws
from support.measure import measure

import gpt2_convert
from gpt2_convert.formats.hdf5.datasets import split
from gpt2_convert.formats.hdf5.file import translate_errors
from gpt2_convert.formats.hdf5.reader import open_hdf5, recognises
from gpt2_convert.io.source import CHUNK, SourceFile

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from gpt2_convert.checkpoint.raw import RawCheckpoint

    Make = Callable[[h5py.File], object]

LARGE = (1031, 17, 41)
"""Of float32: 2.9 MB, several pieces, and no piece ends with a row."""


def make(path: Path, fill: Make, **options: Any) -> Path:  # noqa: ANN401
    with h5py.File(path, "w", **options) as file:
        fill(file)
    return path


def one(name: str, data: Any = None, **options: Any) -> Make:  # noqa: ANN401
    return lambda file: file.create_dataset(name, data=data, **options)


class Hdf5Contract(contracts.ReaderContract):
    format = "hdf5"
    # Each file that is opened costs a process.
    flip_stride = 211
    cut_stride = 53
    options: Mapping[str, Any] = {}
    libver = "v108"

    def write(self, folder: Path, arrays: Mapping[str, contracts.Array]) -> Path:
        with h5py.File(folder / "x.h5", "w", libver=self.libver) as file:
            for name, array in arrays.items():
                chunked = self.options if array.size and array.shape else {}
                file.create_dataset(name, data=array, **chunked)
        return folder / "x.h5"

    def oracle(self, path: Path) -> dict[str, contracts.Array]:
        found: dict[str, contracts.Array] = {}

        def take(name: str, node: h5py.Group | h5py.Dataset) -> None:
            if isinstance(node, h5py.Dataset):
                found[name] = np.asarray(node[()])

        with h5py.File(path) as file:
            file.visititems(take)
        return found

    def extra_arrays(self) -> dict[str, contracts.Array]:
        return {
            "complex64": np.array([1 + 2j, -3j], np.complex64),
            "complex128": np.array([[1 + 2j, np.nan]], np.complex128),
        }


class TestContiguous(Hdf5Contract):
    pass


class TestWithoutChecksumsOfTheTree(Hdf5Contract):
    libver = "earliest"


class TestDeflated(Hdf5Contract):
    options: Mapping[str, Any] = {"compression": "gzip", "shuffle": True}


def random(shape: tuple[int, ...], dtype: str = "f4") -> np.ndarray[Any, Any]:
    return np.random.default_rng(0).standard_normal(shape).astype(dtype)


def read_all(raw: RawCheckpoint) -> dict[str, bytes]:
    return {tensor.name: b"".join(tensor.chunks()) for tensor in raw.tensors}


def write_canonical(file: h5py.File, sizes: dict[str, int] = bundles.TINY, **options: Any) -> None:  # noqa: ANN401
    for name, weights in raws.canonical(sizes).items():
        path = name.replace("[", "/").replace("]", "").replace(".", "/")
        file.create_dataset(path, data=weights, **options)


STORAGE: dict[str, dict[str, Any]] = {
    "contiguous": {},
    "chunked": {"chunks": True},
    "gzip": {"compression": "gzip"},
    "best gzip, shuffled": {"compression": "gzip", "compression_opts": 9, "shuffle": True},
    "checked": {"fletcher32": True},
    "everything": {"compression": "gzip", "shuffle": True, "fletcher32": True},
}


@pytest.mark.parametrize("options", STORAGE.values(), ids=STORAGE)
@pytest.mark.parametrize("libver", ["earliest", "latest"])
def test_models_written_by_h5py_are_read(
    options: dict[str, Any], libver: str, tmp_path: Path
) -> None:
    path = make(tmp_path / "m.h5", lambda file: write_canonical(file, **options), libver=libver)
    with gpt2_convert.open(path) as checkpoint:
        assert checkpoint.format == "hdf5"
        assert checkpoint.hparams_from == "the shapes"
        expected = raws.canonical()
        assert list(checkpoint) == list(expected)
        for name, weights in expected.items():
            np.testing.assert_array_equal(checkpoint[name].array(), weights, strict=True)
    assert gpt2_convert.verify(path, bundles.write_gpt2(tmp_path / "tf")).ok


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"chunks": (100, 17, 41)},
        {"chunks": (1, 5, 40)},
        {"chunks": (7, 3, 41), "compression": "gzip", "shuffle": True},
        {"chunks": (500, 2, 2), "compression": "gzip", "fletcher32": True},
        {"chunks": LARGE},
        {"maxshape": (None, None, None)},
    ],
    ids=str,
)
def test_pieces_are_those_of_the_elements_in_c_order(
    options: dict[str, Any], tmp_path: Path
) -> None:
    array = random(LARGE)
    path = make(tmp_path / "m.h5", one("a", array, **options))
    with open_hdf5(path) as raw:
        pieces = list(raw.tensors[0].chunks())
        assert b"".join(pieces) == array.tobytes()
        assert [len(piece) for piece in pieces[:-1]] == [CHUNK] * (len(pieces) - 1)
        assert list(raw.tensors[0].chunks()) == pieces


def test_any_range_is_cut_into_the_boxes_that_hold_it() -> None:
    shape = (3, 1, 4, 5)
    numbers = np.arange(60).reshape(shape)
    for start in range(60):
        for stop in range(start, 61):
            boxes = list(split(shape, start, stop))
            assert len(boxes) <= 2 * len(shape) - 1
            found: list[int] = []
            for offset, box in boxes:
                where = tuple(slice(at, at + n) for at, n in zip(offset, box, strict=True))
                found += numbers[where].ravel().tolist()
            assert found == list(range(start, stop))


def test_names_of_tensorflow_in_nested_groups_are_known(tmp_path: Path) -> None:
    arrays = bundles.gpt2_arrays()

    def fill(file: h5py.File) -> None:
        for name, array in arrays.items():
            file.create_dataset(name, data=array)
        file.create_dataset("global_step", data=np.int64(7))

    path = make(tmp_path / "m.h5", fill)
    assert gpt2_convert.verify(path, bundles.write_gpt2(tmp_path / "tf")).ok
    report = gpt2_convert.convert(path, tmp_path / "out.npz")
    assert dict(report.mapped)["model/h2/attn/c_attn/w"] == "blocks[2].attn.c_attn.w"
    assert report.dropped == (gpt2_convert.Dropped("global_step", "the training step"),)


def test_order_is_that_of_creation_where_it_is_tracked_and_of_names_elsewhere(
    tmp_path: Path,
) -> None:
    names = ["b", "g/10", "g/9", "g/9a", "a"]

    def fill(file: h5py.File) -> None:
        for name in names:
            file[name] = np.ones(2, "f4")

    with open_hdf5(make(tmp_path / "plain.h5", fill)) as raw:
        assert [tensor.name for tensor in raw.tensors] == ["a", "b", "g/10", "g/9", "g/9a"]

    def fill_tracked(file: h5py.File) -> None:
        file.create_group("g", track_order=True)
        fill(file)

    # The group is older than its siblings.
    with open_hdf5(make(tmp_path / "tracked.h5", fill_tracked, track_order=True)) as raw:
        assert [tensor.name for tensor in raw.tensors] == ["g/10", "g/9", "g/9a", "b", "a"]


@pytest.mark.parametrize(
    "dtype", ["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"]
)
def test_little_endian_numbers_are_read(dtype: str, tmp_path: Path) -> None:
    array = (100 * random((5, 7), "f8")).astype(dtype)
    with open_hdf5(make(tmp_path / "m.h5", one("a", array))) as raw:
        np.testing.assert_array_equal(raw.tensors[0].array(), array, strict=True)


def test_scalars_and_empty_shapes_are_read(tmp_path: Path) -> None:
    def fill(file: h5py.File) -> None:
        file["empty"] = np.empty((3, 0), "f4")
        file.create_dataset("empty_chunked", (0, 5), "f4", maxshape=(None, 5))
        file["scalar"] = np.float32(2.5)

    with open_hdf5(make(tmp_path / "m.h5", fill)) as raw:
        assert [tensor.shape for tensor in raw.tensors] == [(3, 0), (0, 5), ()]
        assert [list(tensor.chunks()) for tensor in raw.tensors[:2]] == [[], []]
        assert raw.tensors[2].array() == 2.5


def test_compact_datasets_are_read(tmp_path: Path) -> None:
    array = random((5, 7))

    def fill(file: h5py.File) -> None:
        plist = h5p.create(h5p.DATASET_CREATE)
        plist.set_layout(h5d.COMPACT)
        space = h5s.create_simple(array.shape)
        h5d.create(file.id, b"a", h5t.IEEE_F32LE, space, plist).write(h5s.ALL, h5s.ALL, array)

    with open_hdf5(make(tmp_path / "m.h5", fill)) as raw:
        np.testing.assert_array_equal(raw.tensors[0].array(), array, strict=True)


@pytest.mark.parametrize("options", [{}, {"chunks": (3, 5), "compression": "gzip"}], ids=str)
@pytest.mark.parametrize("size", [512, 4096])
def test_a_file_may_start_with_a_user_block(
    size: int, options: dict[str, Any], tmp_path: Path
) -> None:
    array = random((5, 7))
    path = make(tmp_path / "m.h5", one("a", array, **options), userblock_size=size)
    with path.open("r+b") as file:
        file.write(b"#!/bin/sh\n".ljust(size, b"#"))
    assert recognises(path)
    with open_hdf5(path) as raw:
        np.testing.assert_array_equal(raw.tensors[0].array(), array, strict=True)


def test_names_that_are_not_utf_8_survive(tmp_path: Path) -> None:
    with open_hdf5(make(tmp_path / "m.h5", one(b"g/\xff", random((2,))))) as raw:  # type: ignore[arg-type]
        assert os.fsencode(raw.tensors[0].name) == b"g/\xff"
        assert len(list(raw.tensors[0].chunks())) == 1


def test_one_dataset_under_two_names_is_two_tensors(tmp_path: Path) -> None:
    def fill(file: h5py.File) -> None:
        file["a"] = random((5,))
        file["b"] = file["a"]

    with open_hdf5(make(tmp_path / "m.h5", fill)) as raw:
        assert read_all(raw) == {"a": random((5,)).tobytes(), "b": random((5,)).tobytes()}


def test_hparams_are_an_attribute_of_the_root(tmp_path: Path) -> None:
    def fill(file: h5py.File) -> None:
        write_canonical(file)
        file.attrs["hparams"] = np.bytes_(json.dumps(bundles.TINY))

    path = make(tmp_path / "m.h5", fill)
    with gpt2_convert.open(path) as checkpoint:
        assert checkpoint.hparams.known() == bundles.TINY
        assert checkpoint.hparams_from == f"{path}: attributes"


@pytest.mark.parametrize(
    "value", [7, np.ones(3), [b"{}", b"{}"], h5py.Empty("S5"), '{"n_layer": 9}'], ids=repr
)
def test_foreign_attributes_are_not_hparams(value: object, tmp_path: Path) -> None:
    def fill(file: h5py.File) -> None:
        write_canonical(file)
        file.attrs["hparams"] = value

    with gpt2_convert.open(make(tmp_path / "m.h5", fill)) as checkpoint:
        assert checkpoint.hparams_from == "the shapes"


def test_hparams_that_are_not_json_are_refused(tmp_path: Path) -> None:
    def fill(file: h5py.File) -> None:
        write_canonical(file)
        file.attrs["hparams"] = np.bytes_(b"n_layer: 3")

    path = make(tmp_path / "m.h5", fill)
    with pytest.raises(gpt2_convert.FormatError, match="attributes: not JSON"):
        gpt2_convert.open(path)


def test_inspection_reads_no_elements(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = {**bundles.TINY, "n_vocab": 30_000}
    path = make(tmp_path / "m.h5", lambda file: write_canonical(file, sizes))
    with h5py.File(path) as file:
        first = file["wte"].id.get_offset()
        last = first + file["wte"].id.get_storage_size()
    reads: list[tuple[int, int]] = []
    read_into = SourceFile.read_into

    def spy(source: SourceFile, buffer: memoryview, offset: int, what: str) -> None:
        reads.append((offset, offset + len(buffer)))
        read_into(source, buffer, offset, what)

    monkeypatch.setattr(SourceFile, "read_into", spy)
    assert gpt2_convert.inspect(path).totals.tensors == 40
    assert reads
    # The library reads 512 bytes where it expects a header, which is shorter as a rule.
    assert not [span for span in reads if first + 512 < span[1] and span[0] < last]


def test_a_damaged_chunk_shows_when_its_dataset_is_read_and_spoils_no_other(
    tmp_path: Path,
) -> None:
    array = random((60, 70))

    def fill(file: h5py.File) -> None:
        for name in "abc":
            file.create_dataset(name, data=array, chunks=(17, 19), compression="gzip")

    path = make(tmp_path / "m.h5", fill)
    good = path.read_bytes()
    with h5py.File(path) as file:
        chunks = [file["b"].id.get_chunk_info(n) for n in range(file["b"].id.get_num_chunks())]
    for number, chunk in enumerate(chunks):
        data = bytearray(good)
        data[chunk.byte_offset + number * (chunk.size - 1) // (len(chunks) - 1)] ^= 1 << number % 8
        path.write_bytes(data)
        with open_hdf5(path) as raw:
            found = {tensor.name: tensor for tensor in raw.tensors}
            with pytest.raises(gpt2_convert.ChecksumError, match="'b', chunk at"):
                list(found["b"].chunks())
            for name in "ac":
                np.testing.assert_array_equal(found[name].array(), array)


# Files that are refused.


def soft(file: h5py.File) -> None:
    file["a"] = np.ones(3, "f4")
    file["b"] = h5py.SoftLink("/a")


def external_link(file: h5py.File) -> None:
    file["g/b"] = h5py.ExternalLink("/etc/passwd", "/a")


def cycle_to_the_root(file: h5py.File) -> None:
    file.create_group("g")["again"] = file["/"]


def cycle_to_itself(file: h5py.File) -> None:
    group = file.create_group("a/b")
    group["c"] = group


def exponential(file: h5py.File) -> None:
    group = file.create_group("0")
    for _ in range(30):
        below = group.create_group("a")
        group["b"] = below
        group = below


def deep(file: h5py.File) -> None:
    file.create_group("/".join(["g"] * 40))


def virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((3,), "f4")
    layout[:] = h5py.VirtualSource("/etc/passwd", "a", (3,))
    file.create_virtual_dataset("a", layout)


def variable_length(file: h5py.File) -> None:
    file.create_dataset("a", (3,), h5py.vlen_dtype("f4"))


def strings(file: h5py.File) -> None:
    file["a"] = ["one", "two"]


def references(file: h5py.File) -> None:
    file.create_dataset("a", (3,), h5py.ref_dtype)


def named_type(file: h5py.File) -> None:
    file["a"] = np.dtype("f4")


def twice_deflated(file: h5py.File) -> None:
    plist = h5p.create(h5p.DATASET_CREATE)
    plist.set_chunk((10,))
    plist.set_deflate(1)
    plist.set_deflate(1)
    h5d.create(file.id, b"a", h5t.IEEE_F32LE, h5s.create_simple((10,)), plist)


UNSUPPORTED: dict[str, tuple[Make, str]] = {
    "soft link": (soft, "'b': a soft link"),
    "external link": (external_link, "'g/b': an external link"),
    "cycle to the root": (cycle_to_the_root, "'g/again': a second link to one group"),
    "cycle to itself": (cycle_to_itself, "'a/b/c': a second link to one group"),
    "2^30 paths": (exponential, "a second link to one group"),
    "deep": (deep, "more than 32 groups within each other"),
    "virtual": (virtual, "'a': a virtual dataset"),
    "external": (
        one("a", dtype="f4", shape=(4,), external=[("/etc/passwd", 0, 16)]),
        "'a': its elements lie in another file",
    ),
    "variable length": (variable_length, "type variable-length"),
    "strings": (strings, "'a': elements of 8 bytes and type string"),
    "references": (references, "type reference"),
    "compound": (one("a", np.zeros(3, [("x", "f4"), ("y", "f4")])), "8 bytes and type compound"),
    "opaque": (one("a", np.zeros(3, "V5")), "type opaque"),
    "enum": (one("a", dtype=h5py.enum_dtype({"NO": 0, "YES": 1}), shape=(3,)), "type enum"),
    "bfloat16": (one("a", np.zeros(3, ml_dtypes.bfloat16)), "elements of 2 bytes"),
    "big-endian float": (one("a", np.zeros(3, ">f4")), "type big-endian float"),
    "big-endian integer": (one("a", np.zeros(3, ">i8")), "type big-endian integer"),
    "array elements": (one("a", dtype=np.dtype(("f4", (2, 2))), shape=(3,)), "type array"),
    "null dataspace": (one("a", h5py.Empty("f4")), "an empty dataspace"),
    "named type": (named_type, "'a': neither a group nor a dataset"),
    "lzf": (one("a", random((9,)), compression="lzf"), "'a': filter 32000; gzip"),
    "scaleoffset": (one("a", random((9,)), scaleoffset=2), "'a': filter 6; gzip"),
    "twice deflated": (twice_deflated, "one filter is applied twice"),
    "wide chunks": (
        one("a", dtype="f4", shape=(5000, 5000), chunks=(5000, 1), compression="gzip"),
        r"5,000 chunks of \[5000, 1\] cannot be read in order within 16,777,216 bytes",
    ),
}


@pytest.mark.parametrize(("fill", "message"), UNSUPPORTED.values(), ids=UNSUPPORTED)
def test_what_is_legal_but_not_handled_is_refused(fill: Make, message: str, tmp_path: Path) -> None:
    def padded(file: h5py.File) -> None:
        fill(file)
        file["z"] = np.zeros(1 << 20, "u1")  # so that no file is too small for its shapes

    path = make(tmp_path / "m.h5", padded)
    with pytest.raises(gpt2_convert.UnsupportedError, match=message) as caught:
        open_hdf5(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("options", [{}, {"chunks": (100,)}], ids=["contiguous", "chunked"])
def test_datasets_that_were_never_written_are_refused(
    options: dict[str, Any], tmp_path: Path
) -> None:
    path = make(tmp_path / "m.h5", one("a", dtype="f4", shape=(100,), **options))
    with (
        pytest.raises(gpt2_convert.FormatError, match="never written; the file is incomplete"),
        open_hdf5(path) as raw,
    ):
        read_all(raw)


@pytest.mark.parametrize(
    "options",
    [{}, {"chunks": (13, 17)}, {"chunks": (13, 17), "compression": "gzip"}],
    ids=["contiguous", "chunked", "gzip"],
)
@pytest.mark.parametrize("rows", [14, 1 << 20, 1 << 40, (1 << 64) - 1])
def test_a_shape_that_lies_is_refused(options: dict[str, Any], rows: int, tmp_path: Path) -> None:
    path = make(tmp_path / "m.h5", one("a", random((13, 17)), **options), libver="earliest")
    data = path.read_bytes()
    old = struct.pack("<QQ", 13, 17)
    # In the dataspace it stands twice: the size now and the largest. The last key of the chunks'
    # B-tree, further on, looks alike.
    assert data.count(old) >= 2
    path.write_bytes(data.replace(old, struct.pack("<QQ", rows, 17), 2))
    with pytest.raises(gpt2_convert.FormatError, match=r"m\.h5: 'a'"), open_hdf5(path) as raw:
        read_all(raw)


def test_more_links_than_a_model_has_tensors_are_refused(tmp_path: Path) -> None:
    def fill(file: h5py.File) -> None:
        group = file.create_group("g")
        group["0"] = np.ones(1, "f4")
        for number in range(1, 40_000):
            group[str(number)] = group["0"]

    path = make(tmp_path / "m.h5", fill)
    with pytest.raises(gpt2_convert.UnsupportedError, match=r"m\.h5: more than 40,000 tensors"):
        open_hdf5(path)


def test_long_names_of_groups_do_not_multiply(tmp_path: Path) -> None:
    def fill(file: h5py.File) -> None:
        group = file.create_group("/".join(["g" * 60_000] * 10))
        group["0"] = np.ones(1, "f4")
        for number in range(1, 30):
            group[str(number)] = group["0"]

    path = make(tmp_path / "m.h5", fill)
    assert path.stat().st_size < 1_000_000
    with pytest.raises(gpt2_convert.UnsupportedError, match="16,777,216 bytes of names"):
        open_hdf5(path)


def test_a_long_name_is_cut_in_messages(tmp_path: Path) -> None:
    path = make(tmp_path / "m.h5", one("x" * 60_000, np.zeros(3, ">f4")))
    with pytest.raises(gpt2_convert.UnsupportedError, match=r"'xxx.*xxx\.\.\.: elements") as caught:
        open_hdf5(path)
    assert len(str(caught.value)) < 1_000


def test_a_long_error_of_the_library_is_cut() -> None:
    with (
        pytest.raises(gpt2_convert.FormatError, match=r"m\.h5: no object 'xxx") as caught,
        translate_errors("m.h5"),
    ):
        raise OSError(f"no object '{'x' * 10_000}'")
    assert len(str(caught.value)) < 1_000


def test_a_link_that_no_path_can_spell_is_refused(tmp_path: Path) -> None:
    path = make(tmp_path / "m.h5", one("a-link", np.ones(3, "f4")), libver="earliest")
    data = path.read_bytes()
    assert data.count(b"a-link") == 1
    path.write_bytes(data.replace(b"a-link", b"a/link"))
    with pytest.raises(gpt2_convert.FormatError, match="a link is named b'a/link'"):
        open_hdf5(path)


def store_chunk(stored: bytes, mask: int = 0, **options: Any) -> Make:  # noqa: ANN401
    """Return a maker of a dataset of one chunk of 4,000 bytes, of which these bytes are stored."""

    def fill(file: h5py.File) -> None:
        dataset = file.create_dataset("a", (1000,), "f4", chunks=(1000,), **options)
        dataset.id.write_direct_chunk((0,), stored, mask)

    return fill


@pytest.mark.parametrize(
    ("stored", "error", "message"),
    [
        (zlib.compress(bytes(3999)), gpt2_convert.FormatError, "4,000 bytes expected, found 3,999"),
        (zlib.compress(bytes(4001)), gpt2_convert.FormatError, "4,000 bytes expected, found more"),
        (zlib.compress(bytes(9 << 20)), gpt2_convert.FormatError, "bytes stored for 4,000"),
        (zlib.compress(bytes(1 << 20)), gpt2_convert.FormatError, "4,000 bytes expected, found mo"),
        (zlib.compress(bytes(4000))[:-1], gpt2_convert.ChecksumError, "end too early"),
        (zlib.compress(bytes(4000))[:-1] + b"x", gpt2_convert.ChecksumError, "cannot be inflated"),
        (b"not deflated at all", gpt2_convert.ChecksumError, "cannot be inflated"),
    ],
)
def test_chunks_that_inflate_to_another_size_are_refused(
    stored: bytes, error: type[Exception], message: str, tmp_path: Path
) -> None:
    path = make(tmp_path / "m.h5", store_chunk(stored, compression="gzip"))
    with open_hdf5(path) as raw, pytest.raises(error, match=message) as caught:
        read_all(raw)
    assert "'a', chunk at [0]: " in str(caught.value)


def test_a_chunk_may_leave_out_its_filters(tmp_path: Path) -> None:
    array = random((1000,))
    path = make(tmp_path / "m.h5", store_chunk(array.tobytes(), mask=1, compression="gzip"))
    with open_hdf5(path) as raw:
        np.testing.assert_array_equal(raw.tensors[0].array(), array)
    path = make(tmp_path / "m.h5", store_chunk(b"short", mask=1, compression="gzip"))
    with (
        open_hdf5(path) as raw,
        pytest.raises(gpt2_convert.FormatError, match="4,000 bytes expected, found 5"),
    ):
        read_all(raw)


def test_an_unfiltered_chunk_of_another_size_is_refused(tmp_path: Path) -> None:
    path = make(tmp_path / "m.h5", one("a", random((1000,)), chunks=(1000,)), libver="earliest")
    data = path.read_bytes()
    # The key of the B-tree: size, mask, offset of the chunk, zero for the element.
    old, new = (struct.pack("<IIQQ", size, 0, 0, 0) for size in (4000, 4064))
    assert data.count(old) == 1
    path.write_bytes(data.replace(old, new))
    with (
        open_hdf5(path) as raw,
        pytest.raises(gpt2_convert.FormatError, match="4,000 bytes expected, found 4,064"),
    ):
        read_all(raw)


def test_a_bomb_takes_no_memory(tmp_path: Path) -> None:
    bomb = zlib.compress(bytes(256 << 20))

    def fill(file: h5py.File) -> None:
        dataset = file.create_dataset("a", (1 << 18,), "f4", chunks=(1 << 18,), compression="gzip")
        dataset.id.write_direct_chunk((0,), bomb)

    path = make(tmp_path / "m.h5", fill)
    program = (
        "import sys, pathlib, gpt2_convert\n"
        "from gpt2_convert.formats.hdf5.reader import open_hdf5\n"
        "with open_hdf5(pathlib.Path(sys.argv[1])) as raw:\n"
        "    raw.tensors[0].array()\n"
    )
    done = measure([sys.executable, "-c", program, path], tmp_path)
    assert "FormatError" in done.stderr
    assert "1,048,576 bytes expected, found more" in done.stderr
    assert done.peak < 100_000_000


@pytest.mark.parametrize("options", [{}, {"compression": "gzip"}], ids=["alone", "over gzip"])
def test_a_flipped_bit_fails_fletcher_32(options: dict[str, Any], tmp_path: Path) -> None:
    path = make(tmp_path / "m.h5", one("a", random((1000,)), fletcher32=True, **options))
    with h5py.File(path) as file:
        chunk = file["a"].id.get_chunk_info(0)
    data = bytearray(path.read_bytes())
    data[chunk.byte_offset + chunk.size - 1] ^= 1  # in the sum itself, which is last
    path.write_bytes(data)
    with (
        open_hdf5(path) as raw,
        pytest.raises(gpt2_convert.ChecksumError, match="'a': a chunk does not match its Fletcher"),
    ):
        read_all(raw)


@pytest.mark.parametrize("kept", [8, 40, 200, 1000, -4, -1])
def test_a_file_that_was_cut_is_refused(kept: int, tmp_path: Path) -> None:
    path = make(tmp_path / "m.h5", lambda file: write_canonical(file))
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(gpt2_convert.FormatError, match=r"m\.h5: "):
        gpt2_convert.open(path)


def test_a_file_cut_while_it_is_read_gives_no_zeros(tmp_path: Path) -> None:
    path = make(tmp_path / "m.h5", one("a", random(LARGE)))
    with open_hdf5(path) as raw:
        pieces = raw.tensors[0].chunks()
        next(pieces)
        os.truncate(path, path.stat().st_size // 2)
        with pytest.raises(gpt2_convert.FormatError, match="became shorter"):
            list(pieces)


def test_a_damaged_global_heap_cannot_catch_the_library(tmp_path: Path) -> None:
    def fill(file: h5py.File) -> None:
        write_canonical(file)
        file.attrs["hparams"] = json.dumps(bundles.TINY)

    path = make(tmp_path / "m.h5", fill)
    data = bytearray(path.read_bytes())
    heap = data.index(b"GCOL")
    # Object 1, 8 bytes of length at its byte 8; then the free space, whose length becomes zero.
    size = int.from_bytes(data[heap + 24 : heap + 32], "little")
    free = heap + 32 + -(-size // 8) * 8
    assert data[free : free + 2] == b"\0\0"
    data[free + 8 : free + 16] = bytes(8)
    path.write_bytes(data)
    program = "import sys, gpt2_convert; print(gpt2_convert.open(sys.argv[1]).hparams_from)"
    done = subprocess.run(
        [sys.executable, "-c", program, path], capture_output=True, text=True, timeout=30
    )
    assert done.stdout == "the shapes\n"


# The file beneath the library.


def test_only_the_signature_where_hdf5_may_have_it_is_recognised(tmp_path: Path) -> None:
    signature = b"\x89HDF\r\n\x1a\n"
    path = tmp_path / "m"
    for offset in (0, 512, 1024, 65536):
        path.write_bytes(bytes(offset) + signature)
        assert recognises(path)
    for data in (b"", signature[:-1], bytes(8) + signature, bytes(511) + signature, bytes(9999)):
        path.write_bytes(data)
        assert not recognises(path)
    os.mkfifo(tmp_path / "pipe")
    assert not any(map(recognises, [tmp_path, tmp_path / "pipe", Path("/dev/zero")]))


def test_a_signature_and_nothing_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.h5"
    path.write_bytes(b"\x89HDF\r\n\x1a\n")
    with pytest.raises(gpt2_convert.FormatError, match=r"m\.h5: "):
        gpt2_convert.inspect(path)


def test_closing_ends_reading_and_gives_the_descriptor_back(tmp_path: Path) -> None:
    path = make(tmp_path / "m.h5", one("a", random(LARGE)))
    before = set(os.listdir("/dev/fd"))
    raw = open_hdf5(path)
    pieces = raw.tensors[0].chunks()
    next(pieces)
    raw.close()
    raw.close()
    for read in (pieces, raw.tensors[0].chunks()):
        with pytest.raises(gpt2_convert.UsageError, match="read after the checkpoint was closed"):
            next(read)
    assert set(os.listdir("/dev/fd")) == before


def test_without_closing_the_descriptor_goes_with_the_last_reference(tmp_path: Path) -> None:
    path = make(tmp_path / "m.h5", one("a", random(LARGE)))
    before = set(os.listdir("/dev/fd"))
    tensor = open_hdf5(path).tensors[0]
    assert sum(map(len, tensor.chunks())) == tensor.nbytes
    del tensor
    gc.collect()
    assert set(os.listdir("/dev/fd")) == before


def test_a_refused_file_is_closed(tmp_path: Path) -> None:
    path = make(tmp_path / "m.h5", soft)
    before = set(os.listdir("/dev/fd"))
    with pytest.raises(gpt2_convert.UnsupportedError):
        open_hdf5(path)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(gpt2_convert.FormatError):
        open_hdf5(path)
    gc.collect()
    assert set(os.listdir("/dev/fd")) == before


def test_a_disk_that_fails_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make(tmp_path / "m.h5", one("a", random(LARGE)))

    def fail(fd: int, buffers: list[memoryview], offset: int) -> int:
        raise OSError(5, "Input/output error")

    with open_hdf5(path) as raw:
        monkeypatch.setattr(os, "preadv", fail)
        with pytest.raises(gpt2_convert.UnreadableError, match=r"m\.h5: input/output error"):
            read_all(raw)
        monkeypatch.undo()
        assert read_all(raw) == {"a": random(LARGE).tobytes()}


def test_threads_read_and_compare_side_by_side(tmp_path: Path) -> None:
    sizes = {**bundles.TINY, "n_vocab": 30_000}
    paths = [tmp_path / "a.h5", tmp_path / "b.h5"]
    make(paths[0], lambda file: write_canonical(file, sizes))
    make(paths[1], lambda file: write_canonical(file, sizes, compression="gzip"))
    program = (
        "import sys, threading, gpt2_convert\n"
        "def verify():\n"
        "    print(gpt2_convert.verify(*sys.argv[1:]).ok)\n"
        "    print(gpt2_convert.verify(*sys.argv[:0:-1]).ok)\n"
        "threads = [threading.Thread(target=verify) for _ in range(4)]\n"
        "for thread in threads: thread.start()\n"
        "for thread in threads: thread.join()\n"
    )
    # A process of its own: where the library is entered twice, it crashes.
    command = [sys.executable, "-c", program, *paths]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.stdout.count("True") == 8, done.stdout + done.stderr


def test_h5py_is_not_imported_before_a_file_needs_it(tiny: Path) -> None:
    program = (
        "import sys, gpt2_convert\n"
        "gpt2_convert.inspect(sys.argv[1])\n"
        "print('h5py' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, tiny], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"


def test_no_plugin_is_loaded(tmp_path: Path) -> None:
    # The library would load each file of this folder to ask it for the filter.
    plugins = tmp_path / "plugins"
    plugins.mkdir()
    plist = h5p.create(h5p.DATASET_CREATE)
    plist.set_chunk((10,))
    plist.set_filter(258, h5py.h5z.FLAG_OPTIONAL, ())

    def fill(file: h5py.File) -> None:
        h5d.create(file.id, b"a", h5t.IEEE_F32LE, h5s.create_simple((10,)), plist)

    path = make(tmp_path / "m.h5", fill)
    program = (
        "import os, sys, gpt2_convert\n"
        "try:\n"
        "    gpt2_convert.open(sys.argv[1])\n"
        "except gpt2_convert.UnsupportedError as error:\n"
        "    print(os.environ['HDF5_PLUGIN_PRELOAD'], error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, path],
        env={**os.environ, "HDF5_PLUGIN_PATH": str(plugins)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith(f":: {path}: 'a': filter 258; ")
